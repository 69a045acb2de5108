"""Weights from a formula, so that fixtures need not hold them: value i of the
tensor called name is

    mean + std·√3·(2u − 1),  u = (splitmix64(fnv1a64(name) + (i+1)·φ) >> 40) / 2²⁴

in float32, with mean and std by the kind of tensor (rule below).
"""
import numpy as np
import torch
import whisper
from whisper.model import ModelDimensions, Whisper, sinusoids


def fnv(name):
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = ((h ^ c) * 0x100000001B3) & (2**64 - 1)
    return h


def uniform(name, n):
    with np.errstate(over="ignore"):
        z = np.uint64(fnv(name)) + (np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return np.float32(2) * u - np.float32(1)


def parts_of(name):
    return name.split(".")


def rule(name, shape):
    """mean and std"""
    parts = parts_of(name)
    if parts[-2:] == ["token_embedding", "weight"]:
        return 0, 0.5 if shape[1] < 100 else 3.5 / np.sqrt(shape[1])
    if parts[-1] == "positional_embedding":
        return 0, 2.4 if shape[1] < 100 else 9.6
    norm = "ln" in parts[-2] or parts[-2].endswith("_ln")
    if norm and parts[-1] == "weight":
        return 1, 0.1
    if parts[-1] == "bias":
        return 0, 0.1
    fan = int(np.prod(shape[1:]))
    gain = {"query": 2.0, "key": 2.0, "value": 1.5, "out": 1.5, "0": 1.0, "2": 1.5}.get(parts[-2], 1.5)
    return 0, gain / np.sqrt(fan)


def tensor(name, shape):
    if name == "encoder.positional_embedding":
        return sinusoids(*shape)
    mean, std = rule(name, shape)
    v = uniform(name, int(np.prod(shape)))
    v = np.float32(mean) + np.float32(std * np.sqrt(3)) * v
    v = v.reshape(shape)
    if parts_of(name)[-2:] == ["token_embedding", "weight"] and shape[0] > 51000:
        v[-1501:] *= np.float32(1.125)  # timestamps, so that there are some
    return torch.from_numpy(v)


def model(**sizes):
    dims = ModelDimensions(**sizes)
    m = Whisper(dims)
    m.load_state_dict({k: tensor(k, tuple(v.shape)) for k, v in m.state_dict().items()})
    return m.eval()


def ending(m, push=13.0):
    """Makes the end of text likelier, which random weights never find: the bias of
    the last norm adds push to its logit."""
    eot = m.decoder.token_embedding.weight[50257]
    m.decoder.ln.bias += np.float32(push) * eot / (eot * eot).sum()
    return m
