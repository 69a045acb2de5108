"""Runs the codec in PyTorch and ONNX Runtime on command.

Lines of JSON come in and go out. First {"weights", "samples", "codes", "threads"}
names files: the codec's weights, float32 samples, and the codes [T, codebooks] in
int32 that the native codec makes of them. The answer lists the runtimes, and how
many codes and how many decibels of the samples each has in common with the native
codec. Then {"runtime", "way", "calls"} measures the seconds of a call.
"""
import json
import os
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import torch

from model import Decoder, Encoder, read

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print to the standard output
setup = json.loads(sys.stdin.readline())
torch.set_num_threads(setup["threads"])
weights, config = read(setup["weights"])
samples = torch.tensor(np.fromfile(setup["samples"], "<f4"))[None]
books = config["quantizer"]["levels"] * config["quantizer"]["groups"]
codes = torch.tensor(np.fromfile(setup["codes"], "<i4").reshape(-1, books).astype(np.int64))
wave = np.fromfile(setup["wave"], "<f4")
torch.set_grad_enabled(False)


def session(module, example, name, axis):
    """The module in ONNX Runtime, for any length."""
    path = os.path.join(tempfile.mkdtemp(), name + ".onnx")
    torch.onnx.export(module.eval(), (example,), path, input_names=["x"], output_names=["y"], dynamo=False,
                      dynamic_axes={"x": {axis: "n"}}, opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setup["threads"]
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    s = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.tensor(s.run(None, {"x": x.numpy()})[0])


ways = {}
for name, fft in [("eager", True), ("eager-matmul", False)]:
    ways[name] = {"encode": Encoder(weights, config, fft).eval(), "decode": Decoder(weights, config, fft).eval()}
failed = {}
for name in ["compiled", "compiled-matmul"]:
    fft = name == "compiled"
    try:
        pair = {"encode": torch.compile(Encoder(weights, config, fft).eval()), "decode": torch.compile(Decoder(weights, config, fft).eval())}
        pair["encode"](samples), pair["decode"](codes)
        ways[name] = pair
    except Exception as e:  # no compiler, or an operator that it cannot take
        failed[name] = str(e).split("\n")[0]
try:
    ways["onnxruntime"] = {
        "encode": session(Encoder(weights, config, False), samples, "encoder", 1),
        "decode": session(Decoder(weights, config, False), codes, "decoder", 0),
    }
except Exception as e:
    failed["onnxruntime"] = str(e).split("\n")[0]

report = {}
for name, way in ways.items():
    same = (way["encode"](samples) == codes).all(1).float().mean().item()
    y = way["decode"](codes).numpy().ravel()
    noise = float(((y - wave) ** 2).sum())
    report[name] = {"frames": same, "snr": 10 * np.log10(float((wave**2).sum()) / max(noise, 1e-30))}
versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
print(json.dumps({"versions": versions, "runtimes": report, "failed": failed}), file=answers, flush=True)

for line in sys.stdin:
    job = json.loads(line)
    f, x = ways[job["runtime"]][job["way"]], samples if job["way"] == "encode" else codes
    start = time.perf_counter()
    for _ in range(job["calls"]):
        f(x)
    print(json.dumps({"seconds": (time.perf_counter() - start) / job["calls"]}), file=answers, flush=True)
