"""Makes small/ (Hugging Face layout), small.ckpt (the same weights under the names of
the original's Lightning checkpoints) and small.fixture.safetensors:

    python make.py [full FOLDER]

from the package transformers, with random weights. With full, models of the
published sizes go to FOLDER instead.
"""

import pathlib
import shutil
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402
from transformers import WavTokenizerConfig, WavTokenizerModel  # noqa: E402


full = len(sys.argv) > 2


def original(state):
    out = {}
    for k, v in state.items():
        if k.startswith("encoder_model.encoder."):
            k = k.replace("encoder_model.encoder.layers.", "feature_extractor.encodec.encoder.model.").replace(".conv.", ".conv.conv.")
            k = k.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v")
        k = k.replace("encoder_model.quantizer.codebook.", "feature_extractor.encodec.quantizer.vq.layers.0._codebook.").replace("head.linear", "head.out")
        out[k] = v.clone()
    # What training leaves in such a file beside.
    out["head.istft.window"] = torch.hann_window(out["head.out.weight"].shape[0] - 2)
    out["multiperioddisc.discriminators.0.convs.0.bias"] = torch.zeros(4)
    return out


def make(out, prefix, seconds, **sizes):
    m = WavTokenizerModel(WavTokenizerConfig(**sizes))
    fixture.randomize(m, seed=2, gain=1.0)
    with torch.no_grad():
        m.head.linear.weight.mul_(0.5)
        clips = fixture.clips(24000, seconds)
        encode = lambda c: m.encoder_model.encoder(c[None])[0].T
        z = torch.cat([encode(c) for c in clips])
        if full:  # without an offset common to all latents, as trained ones
            m.encoder_model.encoder.layers[-1].conv.bias -= z.mean(0)
            z = z - z.mean(0)
        book = m.encoder_model.quantizer.codebook
        entries = fixture.sample_codebook(z, m.config.codebook_size, 30, wide=full)
        book.embed.copy_(entries)
        items = []
        for c in clips:
            codes = m.encode(c[None]).audio_codes
            wave = m.decode(codes).audio_values.reshape(-1)
            codes = codes.reshape(-1, 1)
            items.append(dict(pcm=c[0], codes=codes, margin=fixture.residual_margins(encode(c), codes, [entries]), wave=wave))
    if full:
        fixture.exact(m, items, lambda c: m.encode(c[None]).audio_codes.reshape(-1, 1), lambda codes: m.decode(codes.reshape(1, 1, -1)).audio_values.reshape(-1))
        m.float()
    fixture.save(out / f"{prefix}.fixture.safetensors", items, [m.config.codebook_size], check=not full)
    shutil.rmtree(out / prefix, ignore_errors=True)
    m.save_pretrained(out / prefix)
    torch.save({"state_dict": original(m.state_dict()), "epoch": 3, "global_step": 7}, out / f"{prefix}.ckpt")


if full:
    folder = pathlib.Path(sys.argv[2])
    make(folder, "wavtokenizer-40", 9, upsampling_ratios=[6, 5, 5, 4])
    make(folder, "wavtokenizer-75", 5, upsampling_ratios=[8, 5, 4, 2])
else:
    make(HERE, "small", 0.03, num_filters=4, upsampling_ratios=[3, 2], hidden_size=16, codebook_dim=16, codebook_size=64, decoder_hidden_size=32,
         decoder_intermediate_size=48, decoder_num_layers=2)
