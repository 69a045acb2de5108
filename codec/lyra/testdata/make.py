"""Writes the packets and the sums of the tests. Run it in this folder, with the
folder of Lyra v2's coefficients: python make.py FOLDER

It needs numpy, soundfile and ai-edge-litert (2.1 made the committed files) and
runs the published graphs on TensorFlow Lite's reference kernels: the faster ones
round int8 in other places, and give other packets.
"""
import hashlib
import sys

import numpy as np
import soundfile
from ai_edge_litert import interpreter


def load(name):
    kind = interpreter.OpResolverType.BUILTIN_REF
    return interpreter.Interpreter(model_path=sys.argv[1] + "/" + name, experimental_op_resolver_type=kind)


class Network:
    def __init__(self, name):
        self.run = load(name)
        self.run.allocate_tensors()
        self.input = self.run.get_input_details()[0]
        self.output = self.run.get_output_details()[0]

    def __call__(self, x):
        self.run.set_tensor(self.input["index"], x.reshape(self.input["shape"]))
        self.run.invoke()
        return self.run.get_tensor(self.output["index"])


x, rate = soundfile.read("../../../samples/speech.wav", dtype="float32")
assert rate == 16000
frames = -(-len(x) // 320)
x = np.pad(x, (0, frames * 320 - len(x))).reshape(frames, 320)
quantizer = load("quantizer.tflite")
quantize, dequantize = quantizer.get_signature_runner("encode"), quantizer.get_signature_runner("decode")
with open("packets.tsv", "w") as out:
    out.write("codebooks\tcodes in hexadecimal, one frame after the other\tSHA-256 of the decoded samples, float32\n")
    for n in [16, 30, 46]:
        encoder, decoder = Network("soundstream_encoder.tflite"), Network("lyragan.tflite")
        text, samples = "", hashlib.sha256()
        for frame in x:
            codes = quantize(input_frames=encoder(frame), num_quantizers=np.int32(n))["output_0"].ravel()[:n]
            text += "".join("%x" % c for c in codes)
            index = np.full((46, 1, 1), -1, np.int32)
            index[:n, 0, 0] = codes
            y = decoder(dequantize(encoding_indices=index)["output_0"])
            samples.update(np.clip(y, -1, 1).astype("<f4").tobytes())
        out.write("%d\t%s\t%s\n" % (n, text, samples.hexdigest()))
