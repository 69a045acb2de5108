"""Writes the PyTorch checkpoints of the tests. Run it in this folder: python make.py

They were made with PyTorch 2.15. The values are simple formulas, so that the
test can work them out.
"""
import argparse
import collections
import os
import torch

torch.manual_seed(0)


def ramp(*shape, dtype=torch.float32):
    n = 1
    for d in shape:
        n *= d
    return (torch.arange(n) * 0.5 - 3).reshape(shape).to(dtype)


model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
with torch.no_grad():
    for p in model.parameters():
        p.copy_(ramp(*p.shape))
shared = ramp(4, 6)
content = {
    "state_dict": model.state_dict(),
    "parameter": torch.nn.Parameter(ramp(2, 2)),
    "transposed": shared.t(),
    "part": shared[1:3, ::2],
    "scalar": torch.tensor(7),
    "empty": torch.zeros(0, 5),
    "types": {
        str(d).removeprefix("torch."): ramp(5, dtype=d)
        for d in [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8]
    },
    "bytes": torch.tensor([0, 1, 255], dtype=torch.uint8),
    "bools": torch.tensor([True, False]),
    "epoch": 12,
    "lr": 0.25,
    "name": "dé",
    "list": [1, (2.5, None), {"deep": ramp(1)}],
    "hyper_parameters": argparse.Namespace(width=8),
    "ordered": collections.OrderedDict(a=1, b=ramp(2)),
}
torch.save(content, "new.pt")
torch.save(content, "old.pt", _use_new_zipfile_serialization=False)


class Attack:
    def __reduce__(self):
        return os.system, ("echo this must not run",)


torch.save({"weights": ramp(2), "attack": Attack()}, "attack.pt")
