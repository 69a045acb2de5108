"""What the workers share: lines of JSON come in and go out, see main.go."""
import json
import os
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import torch

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print to the standard output


def setup():
    """The first line, with the arrays that it names."""
    s = json.loads(sys.stdin.readline())
    torch.set_num_threads(s["threads"])
    torch.set_grad_enabled(False)
    samples = torch.tensor(np.fromfile(s["samples"], "<f4"))[None]
    codes = torch.tensor(np.fromfile(s["codes"], "<i4").reshape(-1, s["codebooks"]).astype(np.int64))
    return s, samples, codes, np.fromfile(s["wave"], "<f4")


def session(module, example, threads, axis=None):
    """The module in ONNX Runtime, for the length of the example, or for any along an
    axis. Each of PyTorch's two exporters takes models that the other does not."""
    path = os.path.join(tempfile.mkdtemp(), "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    shape = None if axis is None else {"x": {axis: "n"}}
    why = []
    for export in [dict(dynamo=False, dynamic_axes=shape, opset_version=17), dict(dynamo=True, verbose=False)]:
        if export["dynamo"] and axis is not None:
            break
        try:
            torch.onnx.export(module.eval(), (example,), path, input_names=["x"], output_names=["y"], **export)
            s = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            x = s.get_inputs()[0].name
            s.run(None, {x: example.numpy()})
            return lambda v: torch.tensor(s.run(None, {x: v.numpy()})[0])
        except Exception as e:  # an operator that it cannot take
            why.append((str(e).strip() or repr(e)).split("\n")[0][:120])
    raise RuntimeError("; ".join(why))


def serve(ways, failed, samples, codes, wave):
    """ways names runtimes, each with encode, from samples [1, n] to codes [T,
    codebooks], and decode, to samples; either may be missing."""
    report = {}
    for name, way in ways.items():
        same = snr = 0.0
        if "encode" in way:
            theirs = way["encode"](samples)
            n = min(len(theirs), len(codes))
            same = (theirs[:n] == codes[:n]).all(1).float().mean().item()
        if "decode" in way:
            y = way["decode"](codes).numpy().ravel()
            n = min(len(y), len(wave))
            noise = float(((y[:n] - wave[:n]) ** 2).sum())
            snr = 10 * np.log10(max(float((wave**2).sum()), 1e-30) / max(noise, 1e-30))
        report[name] = {"frames": same, "snr": snr, "ways": sorted(way)}
    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    print(json.dumps({"versions": versions, "runtimes": report, "failed": failed}), file=answers, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        f, x = ways[job["runtime"]][job["way"]], samples if job["way"] == "encode" else codes
        clock = time.process_time if job["cpu"] else time.perf_counter
        start = clock()
        for _ in range(job["calls"]):
            f(x)
        print(json.dumps({"seconds": (clock() - start) / job["calls"]}), file=answers, flush=True)
