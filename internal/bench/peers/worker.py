"""Runs the native codec's network in PyTorch and ONNX Runtime on command: see
turns.py and main.go.
"""
import torch

from model import Decoder, Encoder, read
from turns import serve, session, setup

options, samples, codes, wave = setup()
weights, config = read(options["weights"])
threads = options["threads"]

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
        "encode": session(Encoder(weights, config, False), samples, threads, 1),
        "decode": session(Decoder(weights, config, False), codes, threads, 0),
    }
except Exception as e:
    failed["onnxruntime"] = str(e).split("\n")[0]
serve(ways, failed, samples, codes, wave)
