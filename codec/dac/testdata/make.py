"""Makes small.pth, small/ (Hugging Face layout) and small.fixture.safetensors:

    python make.py [full FOLDER [RATE]...]

from the packages descript-audio-codec and transformers, with random weights. With
full, models of the published sizes go to FOLDER instead.
"""

import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402
import dac  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import DacConfig, DacModel  # noqa: E402


full = len(sys.argv) > 2


def codebooks(quantizer, z):
    """Sets each codebook to projected residuals of latents z [1, D, T]."""
    residual = z
    for i, q in enumerate(quantizer.quantizers):
        x = q.in_proj(residual)[0].T
        if full:  # without an offset common to all latents, as trained ones
            q.in_proj.bias -= x.mean(0)
            x = x - x.mean(0)
        q.codebook.weight.copy_(fixture.sample_codebook(x, q.codebook_size, 20 + i, wide=full))
        if full:  # nor one left over, which no trained level does
            q.out_proj.bias += (residual - q(residual)[0])[0].mean(1)
        residual = residual - q(residual)[0]


def margins(quantizer, z):
    out, residual = [], z
    for q in quantizer.quantizers:
        x = F.normalize(q.in_proj(residual)[0].T)
        out.append(fixture.margin(x, F.normalize(q.codebook.weight)))
        residual = residual - q(residual)[0]
    return torch.stack(out, 1)


def transformers_layout(model, folder):
    """The same weights under the names of Transformers, without weight norm (folded
    in float64, for that does not depend on the order of a sum)."""
    folded = {}
    for key, value in model.state_dict().items():
        if key.endswith("weight_v"):
            g = model.state_dict()[key[:-1] + "g"].double()
            v = value.double()
            folded[key[:-2]] = (v * (g / v.flatten(1).norm(dim=1).view(g.shape))).float()
        elif not key.endswith("weight_g"):
            folded[key] = value
    rates, n = KWARGS["encoder_rates"], len(KWARGS["encoder_rates"])
    names = {"encoder.block.0": "encoder.conv1", f"encoder.block.{n + 1}": "encoder.snake1", f"encoder.block.{n + 2}": "encoder.conv2",
             "decoder.model.0": "decoder.conv1", f"decoder.model.{n + 1}": "decoder.snake1", f"decoder.model.{n + 2}": "decoder.conv2"}
    unit = {0: "snake1", 1: "conv1", 2: "snake2", 3: "conv2"}
    for i in range(n):
        for j in range(3):
            for k, part in unit.items():
                names[f"encoder.block.{i + 1}.block.{j}.block.{k}"] = f"encoder.block.{i}.res_unit{j + 1}.{part}"
                names[f"decoder.model.{i + 1}.block.{j + 2}.block.{k}"] = f"decoder.block.{i}.res_unit{j + 1}.{part}"
        names[f"encoder.block.{i + 1}.block.3"] = f"encoder.block.{i}.snake1"
        names[f"encoder.block.{i + 1}.block.4"] = f"encoder.block.{i}.conv1"
        names[f"decoder.model.{i + 1}.block.0"] = f"decoder.block.{i}.snake1"
        names[f"decoder.model.{i + 1}.block.1"] = f"decoder.block.{i}.conv_t1"
    state = {}
    for key, value in folded.items():
        stem, last = key.rsplit(".", 1)
        state[f"{names.get(stem, stem)}.{last}"] = value
    hf = DacModel(DacConfig(
        encoder_hidden_size=KWARGS["encoder_dim"], downsampling_ratios=rates, decoder_hidden_size=KWARGS["decoder_dim"],
        n_codebooks=KWARGS["n_codebooks"], codebook_size=KWARGS["codebook_size"], codebook_dim=KWARGS["codebook_dim"],
        sampling_rate=KWARGS["sample_rate"]))
    hf.load_state_dict(state)
    hf.save_pretrained(folder)
    return hf.eval()


def make(out, prefix, seconds, **draw):
    m = fixture.randomize(dac.DAC(**KWARGS), seed=3, **draw)
    clips = fixture.clips(KWARGS["sample_rate"], seconds)
    with torch.no_grad():
        padded = [m.preprocess(c[None], None) for c in clips]
        z = torch.cat([m.encoder(c) for c in padded], 2)
        if full:  # without an offset common to all latents, as trained ones
            mean = z[0].mean(1)
            m.encoder.block[-1].bias -= mean
            z = z - mean[:, None]
        codebooks(m.quantizer, z)
        hf = transformers_layout(m, out / prefix)
        items = []
        for c, x in zip(clips, padded):
            z = m.encoder(x)
            codes = m.quantizer(z)[1][0].T
            assert (hf.encode(x).audio_codes[0].T == codes)[:, :2].float().mean() > 0.95  # later levels amplify what rounding did to the first
            wave = m.decode(m.quantizer.from_codes(codes.T[None])[0])[0, 0]
            items.append(dict(pcm=c[0], codes=codes, margin=margins(m.quantizer, z), wave=wave))
    if full:
        fixture.exact(m, items, lambda c: m.quantizer(m.encoder(m.preprocess(c[None], None)))[1][0].T,
                      lambda codes: m.decode(m.quantizer.from_codes(codes.T[None])[0])[0, 0])
        m.float()
    fixture.save(out / f"{prefix}.fixture.safetensors", items, [KWARGS["codebook_size"]] * KWARGS["n_codebooks"], check=not full)
    torch.save({"state_dict": m.state_dict(), "metadata": {"kwargs": KWARGS}}, out / f"{prefix}.pth")


if full:
    folder = pathlib.Path(sys.argv[2])
    # A deep network of larger weights amplifies the rounding of both sides. Where weights
    # are small beside biases, latents are small beside what all have in common, and
    # rounding is large beside them: at 44.1 kHz weights and biases are therefore as
    # large as leaves latents that vary as much as they are long.
    calm, lively = dict(gain=0.5), dict(gain=0.7, bias=0.02)
    for rate, rates, books, seconds, draw in [(16000, [2, 4, 5, 8], 12, 7, calm), (24000, [2, 4, 5, 8], 32, 5, calm), (44100, [2, 4, 8, 8], 9, 4, lively)]:
        if str(rate) not in sys.argv[3:] and sys.argv[3:]:
            continue
        KWARGS = dict(encoder_dim=64, encoder_rates=rates, decoder_dim=1536, decoder_rates=rates[::-1], n_codebooks=books, codebook_size=1024,
                      codebook_dim=8, sample_rate=rate)
        make(folder, f"dac-{rate}", seconds, **draw)
else:
    # Strides of 5 are odd, as those of the published models.
    KWARGS = dict(encoder_dim=4, encoder_rates=[2, 5], decoder_dim=24, decoder_rates=[5, 2], n_codebooks=3, codebook_size=64, codebook_dim=4, sample_rate=16000)
    make(HERE, "small", 0.06)
