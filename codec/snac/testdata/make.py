"""Makes small/, plain/ (config.json and pytorch_model.bin, as published) and their
fixtures:

    python make.py [full FOLDER [24] [32] [44]]

from the package snac, with random weights. With full, models of the published sizes
(24, 32 and 44.1 kHz) go to FOLDER instead. The noise of the decoder is that of
internal/published/descript.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402
import snac  # noqa: E402
import snac.layers  # noqa: E402


def noise(block, rows):
    total = np.zeros(rows, np.int64)
    state = np.uint64(block << 48) + np.arange(rows, dtype=np.uint64) * np.uint64(3)
    with np.errstate(over="ignore"):
        for _ in range(3):
            state = state + np.uint64(1)
            z = state * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
            for shift in (0, 16, 32, 48):
                total += ((z >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    return torch.tensor((2 * total - 12 * 0xFFFF).astype(np.float32) / 2**17)


class Randn:
    """torch.randn of the noise blocks, called once a block in their order."""

    def __init__(self):
        self.block = 0

    def __call__(self, shape, dtype=torch.float32, **_):
        self.block += 1
        return noise(self.block - 1, shape[2])[None, None].to(dtype)


full = len(sys.argv) > 2


def pool(z, stride):
    return F.avg_pool1d(z, stride, stride) if stride > 1 else z


def codebooks(quantizer, z):
    residual = z
    for i, q in enumerate(quantizer.quantizers):
        x = q.in_proj(pool(residual, q.stride))[0].T
        if full:  # without an offset common to all latents, as trained ones
            q.in_proj.bias -= x.mean(0)
            x = x - x.mean(0)
        q.codebook.weight.copy_(fixture.sample_codebook(x, q.codebook_size, 40 + i, wide=full))
        if full:  # nor one left over, which no trained level does
            q.out_proj.bias += (residual - q(residual)[0])[0].mean(1)
        residual = residual - q(residual)[0]


def interleave(levels):
    """[frames, codes of a frame] of levels [rows of the level, 1]."""
    frames = len(levels[0])
    return torch.cat([x.reshape(frames, -1) for x in levels], 1)


def levels_of(codes, strides):
    """The opposite of interleave."""
    parts = codes.split([strides[0] // s for s in strides], 1)
    return [p.reshape(-1) for p in parts]


def margins(quantizer, z):
    out, residual = [], z
    for q in quantizer.quantizers:
        x = F.normalize(q.in_proj(pool(residual, q.stride))[0].T)
        out.append(fixture.margin(x, F.normalize(q.codebook.weight)))
        residual = residual - q(residual)[0]
    return interleave(out)


def make(out, prefix, config, seconds, gain=1.0):
    m = fixture.randomize(snac.SNAC(**config), seed=5, gain=gain)
    # Lengths that the original pads by a part of a frame: it decodes whole windows only.
    frame = m.hop_length * m.vq_strides[0]
    whole = frame * max(1, (m.attn_window_size or 1) // m.vq_strides[0])
    clips = [c[:, : c.shape[1] // whole * whole - 3] for c in fixture.clips(config["sampling_rate"], seconds)]
    with torch.no_grad():
        padded = [m.preprocess(c[None]) for c in clips]
        z = torch.cat([m.encoder(c) for c in padded], 2)
        if full:  # without an offset common to all latents, as trained ones
            mean = z[0].mean(1)
            m.encoder.block[-1].bias -= mean
            z = z - mean[:, None]
        codebooks(m.quantizer, z)
        items = []

        def decode(levels):
            real, torch.randn = torch.randn, Randn()
            wave = m.decode([y[None] for y in levels])[0, 0]
            torch.randn = real
            return wave

        if full:  # the last tanh, which would saturate, gets the values that sound has
            last, seen = m.decoder.model[-2], []
            hook = last.register_forward_hook(lambda *a: seen.append(float(a[2].std())))
            decode([y[0] for y in m.quantizer(m.encoder(padded[2]))[1]])
            hook.remove()
            last.parametrizations.weight.original0 *= 0.3 / seen[0]
            last.bias *= 0.3 / seen[0]
        for c, x in zip(clips, padded):
            z = m.encoder(x)
            levels = [y[0] for y in m.quantizer(z)[1]]
            wave = decode(levels)
            codes, margin = interleave(levels), margins(m.quantizer, z)
            items.append(dict(pcm=c[0], codes=codes, margin=margin, wave=wave))
    if full:
        fixture.exact(m, items, lambda c: interleave([y[0] for y in m.quantizer(m.encoder(m.preprocess(c[None])))[1]]),
                      lambda codes: decode(levels_of(codes, m.vq_strides)))
        m.float()
    sizes = [config["codebook_size"]] * items[0]["codes"].shape[1]
    fixture.save(out / f"{prefix}.fixture.safetensors", items, sizes, check=not full)
    (out / prefix).mkdir(exist_ok=True)
    (out / prefix / "config.json").write_text(json.dumps(config, indent=1))
    torch.save(m.state_dict(), out / prefix / "pytorch_model.bin")


if full:
    folder = pathlib.Path(sys.argv[2])
    shape = dict(latent_dim=None, codebook_size=4096, codebook_dim=8, noise=True, depthwise=True)
    rates = sys.argv[3:] or ["24", "32", "44"]
    if "24" in rates:
        make(folder, "snac-24", dict(sampling_rate=24000, encoder_dim=48, encoder_rates=[2, 4, 8, 8], decoder_dim=1024, decoder_rates=[8, 8, 4, 2],
                                     attn_window_size=None, vq_strides=[4, 2, 1], **shape), 8, 0.5)
    # The two for music are one network at two sample rates.
    for name, rate in [("32", 32000), ("44", 44100)]:
        if name in rates:
            make(folder, f"snac-{name}", dict(sampling_rate=rate, encoder_dim=64, encoder_rates=[2, 3, 8, 8], decoder_dim=1536, decoder_rates=[8, 8, 3, 2],
                                              attn_window_size=32, vq_strides=[8, 4, 2, 1], **shape), 4, 0.5)
else:
    shape = dict(sampling_rate=24000, latent_dim=None, codebook_size=64, codebook_dim=4, noise=True, depthwise=True)
    make(HERE, "small", dict(encoder_dim=16, encoder_rates=[3, 2], decoder_dim=64, decoder_rates=[2, 3], attn_window_size=8, vq_strides=[4, 2, 1], **shape), 0.05)
    make(HERE, "plain", dict(encoder_dim=4, encoder_rates=[2, 4], decoder_dim=24, decoder_rates=[4, 2], attn_window_size=None, vq_strides=[2, 1], **shape), 0.05)
