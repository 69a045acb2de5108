"""Makes small/ (SpeechTokenizer.pt and config.json, as published) and
small.fixture.safetensors:

    python make.py [full FOLDER]

from the package speechtokenizer, with random weights. With full, a model of the
published size goes to FOLDER instead.
"""

import json
import pathlib
import sys
import types

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402
sys.modules["speechtokenizer.trainer"] = types.SimpleNamespace(SpeechTokenizerTrainer=None)  # wants packages that inference does not
from speechtokenizer.model import SpeechTokenizer  # noqa: E402


full = len(sys.argv) > 2


def make(out, prefix, config, seconds):
    m = fixture.randomize(SpeechTokenizer(config), seed=6)
    clips = fixture.clips(config["sample_rate"], seconds)
    with torch.no_grad():
        z = torch.cat([m.encoder(c[None])[0].T for c in clips])
        if full:  # without an offset common to all latents, as trained ones
            m.encoder.model[-1].conv.conv.bias -= z.mean(0)
            z = z - z.mean(0)
        books = fixture.residual_codebooks(z, config["n_q"], config["codebook_size"], wide=full)
        for layer, book in zip(m.quantizer.vq.layers, books):
            layer._codebook.embed.copy_(book)
            layer._codebook.inited.fill_(1)
        items = []
        for c in clips:
            codes = m.encode(c[None])
            wave = m.decode(codes)[0, 0]
            margin = fixture.residual_margins(m.encoder(c[None])[0].T, codes[:, 0].T, books)
            items.append(dict(pcm=c[0], codes=codes[:, 0].T, margin=margin, wave=wave))
    if full:
        fixture.exact(m, items, lambda c: m.encode(c[None])[:, 0].T, lambda codes: m.decode(codes.T[:, None])[0, 0])
        m.float()
    fixture.save(out / f"{prefix}.fixture.safetensors", items, [config["codebook_size"]] * config["n_q"], check=not full)
    (out / prefix).mkdir(exist_ok=True)
    (out / prefix / "config.json").write_text(json.dumps(config, indent=1))
    torch.save(m.state_dict(), out / prefix / "SpeechTokenizer.pt")


shape = dict(dilation_base=2, residual_kernel_size=3, n_residual_layers=1, lstm_layers=2, bidirectional=True, activation="ELU", sample_rate=16000)
if full:
    make(pathlib.Path(sys.argv[2]), "speechtokenizer",
         dict(n_filters=64, strides=[8, 5, 4, 2], dimension=1024, semantic_dimension=768, codebook_size=1024, n_q=8, **shape), 7)
else:
    make(HERE, "small", dict(n_filters=4, strides=[4, 2], dimension=12, semantic_dimension=9, codebook_size=64, n_q=3, **shape), 0.06)
