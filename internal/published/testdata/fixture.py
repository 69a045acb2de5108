"""What the make.py of every published family shares: random weights of which every
branch matters, clips, codebooks taken from the model's own latents, and the file
that internal/published/published_test reads.

A make.py builds the original at a small width, calls these, and writes its
checkpoints beside it. Nothing here is needed to run the tests.
"""

import importlib.machinery
import os
import pathlib
import sys
import types

import numpy as np
import torch
from safetensors.numpy import save_file

try:
    import torchaudio  # noqa: F401
except Exception:  # packages import it for what is not used here
    stub = types.ModuleType("torchaudio")
    stub.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = stub

torch.set_num_threads(1)
ROOT = pathlib.Path(__file__).resolve().parents[3]


def randomize(model, seed=0, gain=1.3, bias=0.2):
    """Draws every parameter, norms, biases (of that deviation), weight_g and layer
    scales too."""
    g = torch.Generator().manual_seed(seed)
    normal = lambda p: torch.randn(p.shape, generator=g)
    with torch.no_grad():
        for name, p in model.named_parameters():
            last = name.split(".")[-1]
            if last in ("weight_g", "original0"):
                continue  # after its direction
            if "alpha" in last or "beta" in last:
                p.copy_(0.5 + torch.rand(p.shape, generator=g))
            elif p.dim() <= 1 or (p.dim() == 3 and p.shape[0] == p.shape[2] == 1):
                p.copy_(bias * normal(p) if "bias" in last else 1 + 0.3 * normal(p))
            else:
                p.copy_(normal(p) * gain / np.sqrt(p[0].numel()))
        params = dict(model.named_parameters())
        for name, p in params.items():
            last = name.split(".")[-1]
            if last in ("weight_g", "original0"):
                v = params[name.replace("weight_g", "weight_v").replace("original0", "original1")]
                norm = v.flatten(1).norm(dim=1).view(p.shape)
                p.copy_(norm * (0.7 + 0.6 * torch.rand(p.shape, generator=g)))
    return model.eval()


def clips(rate, seconds=0.12, channels=1):
    """Noise, tones and speech of odd lengths, [channels, n] each."""
    import soundfile

    rng = np.random.default_rng(7)
    n = int(rate * seconds) | 1
    t = np.arange(n + 130) / rate
    tones = 0.3 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * (500 + 4000 * t) * t) + 0.1 * np.sign(np.sin(2 * np.pi * 90 * t))
    speech, sr = soundfile.read(sorted(ROOT.glob("samples/*.flac"))[0])
    at = len(speech) // 3
    speech = np.interp(np.arange(n + 57) * sr / rate, np.arange(len(speech) - at), speech[at:] if speech.ndim == 1 else speech[at:, 0])
    out = [0.2 * rng.standard_normal(n), tones, speech / max(1e-9, np.abs(speech).max()) * 0.7]
    out = [np.stack([np.roll(x, 40 * c) * (1 - 0.3 * c) for c in range(channels)]) for x in out]
    return [torch.tensor(x.astype(np.float32).astype(np.float16).astype(np.float32)) for x in out]


def sample_codebook(latents, size, seed, wide=False):
    """Entries of a codebook [size, D]: rows of latents [N, D], moved a little. Wide
    ones are no near copies of each other, and lower the residual as little as
    trained ones of high dimension do: deep levels would quantize its rounding
    otherwise."""
    g = torch.Generator().manual_seed(seed)
    pick = torch.randint(len(latents), (size,), generator=g)
    noise = latents.std(0) * torch.randn(size, latents.shape[1], generator=g)
    mean = latents.mean(0)
    return mean + 0.3 * (latents[pick] - mean + 2 * noise) if wide else latents[pick] + 0.1 * noise


def exact(model, items, encode, decode):
    """Adds what the original gives in double precision: codes [T, Q] of pcm [C, n],
    and the wave of its own float32 codes."""
    model.double()
    with torch.no_grad():
        for item in items:
            pcm = item["pcm"].double()
            item["exact"] = encode(pcm if pcm.dim() == 2 else pcm[None])
            item["exactwave"] = decode(item["codes"])
        frames = sum(len(i["codes"]) for i in items)
        differ = sum(int((i["exact"] != i["codes"]).any(1).sum()) for i in items)
        noise = sum(float(((i["exactwave"] - i["wave"].double()) ** 2).sum()) for i in items)
        print(f"float32 beside float64: {differ} of {frames} frames differ, {10 * np.log10(sum(float((i['exactwave'] ** 2).sum()) for i in items) / noise):.1f} dB")


def residual_codebooks(latents, count, size, seed=11, wide=False):
    """Codebooks [count][size, D] of a residual quantizer for latents [N, D]."""
    books, residual = [], latents
    for i in range(count):
        book = sample_codebook(residual, size, seed + i, wide)
        residual = residual - book[torch.cdist(residual, book).argmin(1)]
        books.append(book)
    return books


def margin(x, book):
    """For rows x and entries: how much farther the second entry is than the
    nearest, relative to |x|^2 + |entry|^2. Exact in float64."""
    x, book = x.double(), book.double()
    d = torch.cdist(x, book) ** 2
    two, index = d.topk(2, dim=1, largest=False)
    return ((two[:, 1] - two[:, 0]) / ((x**2).sum(1) + (book[index[:, 0]] ** 2).sum(1))).float()


def residual_margins(latents, codes, books):
    """margin of codes [N, Q], each on what the codes before it left."""
    out, residual = [], latents
    for q in range(codes.shape[1]):
        out.append(margin(residual, books[q]))
        residual = residual - books[q][codes[:, q]]
    return torch.stack(out, 1)


def entropy(codes, size):
    p = np.bincount(codes.reshape(-1), minlength=size) / codes.size
    return -(p[p > 0] * np.log2(p[p > 0])).sum()


def save(path, items, sizes, check=True):
    """items are dicts of pcm, codes [T, Q], margin [T, Q] and wave. Random weights
    at full size, on seconds of sound, need not use every codebook: no check then."""
    codes = np.concatenate([np.asarray(i["codes"]) for i in items])
    for q in range(codes.shape[1]):
        bits = entropy(codes[:, q], sizes[q])
        print(f"codebook {q}: {bits:.2f} bits of entropy")
        if check:
            assert bits >= 5, "a fixture needs at least 5 bits in every codebook"
    print("frames", len(codes), "smallest margin", min(float(np.min(np.asarray(i["margin"]))) for i in items))
    save_arrays(path, items)


def save_arrays(path, items):
    arrays = {}
    for n, item in enumerate(items):
        for key, value in item.items():
            value = np.ascontiguousarray(np.asarray(value))
            arrays[f"{n}.{key}"] = value.astype(np.int32 if key in ("codes", "exact") else np.float16 if key == "pcm" else np.float32)
    save_file(arrays, path)
    print(path, os.path.getsize(path) // 1024, "KiB")
