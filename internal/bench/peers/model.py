"""The native codec's network in PyTorch, for comparison only.

It reads the project's own weights file and gives its latents, codes and samples.
Transforms are either torch.fft's or products with a matrix, for runtimes without
a fast Fourier transform.
"""
import json
import math
import struct

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def read(path):
    """The tensors of a safetensors file, as float32, and its configuration."""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    meta = header.pop("__metadata__")
    kinds = {"F16": np.float16, "F32": np.float32}
    tensors = {}
    for name, t in header.items():
        a, b = t["data_offsets"]
        values = np.frombuffer(data[8 + size + a : 8 + size + b], kinds[t["dtype"]])
        tensors[name] = torch.tensor(values.astype(np.float32).reshape(t["shape"]))
    return tensors, json.loads(meta["config"])


def hann(n):
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


def mel_filters(rate, n, bands):
    corner = 700 * (np.exp(np.log(1 + rate / 1400) * np.arange(bands + 2) / (bands + 1)) - 1)
    hz = np.arange(n // 2 + 1) * rate / n
    up = (hz - corner[:-2, None]) / (corner[1:-1] - corner[:-2])[:, None]
    down = (corner[2:, None] - hz) / (corner[2:] - corner[1:-1])[:, None]
    w = np.maximum(np.minimum(up, down), 0)
    w = w[w.sum(1) > 0]
    return (w / w.sum(1, keepdims=True)).T  # [bins, bands]


class Block(nn.Module):
    """ConvNeXt: causal depthwise convolution, norm, expansion, projection."""

    def __init__(self, t, name, lookahead):
        super().__init__()
        taps, width = t[name + ".depthwise.weight"].shape
        self.lookahead = lookahead
        self.conv = nn.Conv1d(width, width, taps, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.expand = nn.Linear(width, t[name + ".expand.bias"].numel())
        self.project = nn.Linear(t[name + ".expand.bias"].numel(), width)
        self.conv.weight.data = t[name + ".depthwise.weight"].T[:, None].contiguous()
        self.conv.bias.data = t[name + ".depthwise.bias"]
        self.norm.weight.data, self.norm.bias.data = t[name + ".norm.gamma"], t[name + ".norm.beta"]
        self.expand.weight.data, self.expand.bias.data = t[name + ".expand.weight"].T.contiguous(), t[name + ".expand.bias"]
        # The layer scale is part of the projection: cheaper, and what a user would do.
        scale = t[name + ".scale.gamma"]
        self.project.weight.data = (t[name + ".project.weight"] * scale).T.contiguous()
        self.project.bias.data = t[name + ".project.bias"] * scale

    def forward(self, x):  # [B, T, C]
        h = self.conv(F.pad(x.transpose(1, 2), (self.conv.kernel_size[0] - 1, 0))).transpose(1, 2)
        h = self.project(F.gelu(self.expand(self.norm(h)), approximate="tanh"))
        if self.lookahead:
            x = F.pad(x, (0, 0, self.lookahead, 0))[:, : -self.lookahead]
        return x + h


def linear(t, name):
    w = t[name + ".weight"]
    layer = nn.Linear(*w.shape, bias=name + ".bias" in t)
    layer.weight.data = w.T.contiguous()
    if name + ".bias" in t:
        layer.bias.data = t[name + ".bias"]
    return layer


def norm(t, name):
    layer = nn.LayerNorm(t[name + ".gamma"].numel(), eps=1e-5)
    layer.weight.data, layer.bias.data = t[name + ".gamma"], t[name + ".beta"]
    return layer


class Encoder(nn.Module):
    """Samples [1, n] to codes [T, codebooks]."""

    def __init__(self, t, c, fft):
        super().__init__()
        self.c, self.fft = c, fft
        n = c["n_fft"]
        window = hann(n)
        window = window / math.sqrt((window**2).sum())
        self.register_buffer("window", torch.tensor(window, dtype=torch.float32))
        k = np.outer(np.arange(n), np.arange(n // 2 + 1)) * 2 * np.pi / n
        pairs = np.stack([np.cos(k), -np.sin(k)], -1).reshape(n, -1) * window[:, None]
        self.register_buffer("dft", torch.tensor(pairs, dtype=torch.float32))
        self.register_buffer("mel", torch.tensor(mel_filters(c["sample_rate"], n, c["mel_bands"]), dtype=torch.float32))
        self.input, self.skip = linear(t, "encoder.input"), linear(t, "encoder.skip")
        self.blocks = nn.Sequential(*[Block(t, "encoder.block%d" % i, 0) for i in range(c["encoder_blocks"])])
        self.norm, self.project = norm(t, "encoder.norm"), linear(t, "encoder.project")
        books = t["quantizer.codebooks"]
        self.register_buffer("books", books)
        self.register_buffer("half_energy", (books**2).sum(-1) / 2)

    def forward(self, x):
        c, q = self.c, self.c["quantizer"]
        n, hop = c["n_fft"], c["analysis_hop"]
        parts = F.pad(x, (n - hop, 0)).reshape(1, -1, hop)  # n/hop of them are a frame
        last = parts.shape[1] - n // hop + 1
        frames = torch.cat([parts[:, k : k + last] for k in range(n // hop)], 2)  # [1, T', n]
        if self.fft:
            s = torch.view_as_real(torch.fft.rfft(frames * self.window)).flatten(2)
        else:
            s = frames @ self.dft
        per = c["hop_length"] // hop
        pairs = s.unflatten(2, (-1, 2))
        m = torch.sqrt((pairs * pairs).sum(-1) + 1e-7)
        g = torch.sqrt(torch.sqrt(m)) / m
        bins = (pairs * g[..., None]).flatten(2)
        bands = 5 * (torch.sqrt(torch.sqrt(torch.sqrt(m @ self.mel))) - 0.62)
        rows = lambda v: v.reshape(1, -1, per * v.shape[2])
        f = torch.cat([rows(bins), rows(bands)], -1)
        z = self.project(self.norm(self.blocks(self.input(f)))) + self.skip(f)
        z = F.layer_norm(z, (q["dim"],), eps=1e-5)[0]
        codes, dim = [], q["dim"] // q["groups"]
        residual = list(z.split(dim, 1))
        for i in range(q["levels"] * q["groups"]):
            g = i % q["groups"]
            code = torch.argmin(self.half_energy[i] - residual[g] @ self.books[i].T, 1)
            residual[g] = residual[g] - self.books[i][code]
            codes.append(code)
        return torch.stack(codes, 1)


class Decoder(nn.Module):
    """Codes [T, codebooks] to samples [1, T·hop]."""

    def __init__(self, t, c, fft):
        super().__init__()
        self.c, self.fft = c, fft
        n, hop = c["n_fft"], c["hop_length"]
        self.input, self.norm = linear(t, "decoder.input"), norm(t, "decoder.norm")
        self.blocks = nn.Sequential(*[Block(t, "decoder.block%d" % i, c["lookahead"] if i == 0 else 0) for i in range(c["decoder_blocks"])])
        self.output, self.skip = linear(t, "decoder.output"), linear(t, "decoder.skip")
        w = hann(n)
        window = 18 * np.sqrt(w) / np.tile(w.reshape(-1, hop).sum(0), n // hop)
        self.register_buffer("window", torch.tensor(window, dtype=torch.float32))
        k = np.outer(np.arange(n // 2 + 1), np.arange(n)) * 2 * np.pi / n
        twice = np.full((n // 2 + 1, 1), 2.0)
        twice[[0, -1]] = 1
        pairs = np.stack([np.cos(k) * twice, -np.sin(k) * twice], 1).reshape(-1, n) / n * window
        self.register_buffer("idft", torch.tensor(pairs, dtype=torch.float32))
        self.register_buffer("books", t["quantizer.codebooks"])

    def forward(self, codes):
        c, q = self.c, self.c["quantizer"]
        n, hop, ahead = c["n_fft"], c["hop_length"], c["lookahead"]
        groups = [0] * q["groups"]
        for i in range(q["levels"] * q["groups"]):
            groups[i % q["groups"]] = groups[i % q["groups"]] + self.books[i][codes[:, i]]
        z = torch.cat(groups, 1)[None]
        delay = ahead + n // hop - 1
        z = torch.cat([z] + [z[:, -1:]] * delay, 1)
        h = self.output(self.norm(self.blocks(self.input(z))))
        s = h + self.skip(F.pad(z, (0, 0, ahead, 0))[:, : z.shape[1]])
        pairs = s.unflatten(2, (-1, 2))
        s = (pairs * ((pairs * pairs).sum(-1, keepdim=True) + 0.05)).flatten(2)
        if self.fft:
            wave = torch.fft.irfft(torch.view_as_complex(s.unflatten(2, (-1, 2)).contiguous()), n) * self.window
        else:
            wave = s @ self.idft
        parts = wave.unflatten(2, (-1, hop))  # [1, T, n/hop, hop]
        y = 0
        for k in range(n // hop):
            y = y + F.pad(parts[:, :, k], (0, 0, k, 0))[:, : wave.shape[1]]
        return y[:, delay:].reshape(1, -1)
