"""Makes small.pt and small.fixture.safetensors:

    python make.py ORIGINAL [full FOLDER]

with random weights. ORIGINAL is a checkout of github.com/Aria-K-Alethia/BigCodec
(the committed files are of commit 09845ab1f5bc7a3d1589c16de820ef15bc2afefe). With
full, a model of the published size goes to FOLDER instead.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402

sys.path.insert(0, sys.argv[1])
from vq.codec_decoder import CodecDecoder  # noqa: E402
from vq.codec_encoder import CodecEncoder  # noqa: E402


full = len(sys.argv) > 3


def make(out, prefix, encoder, decoder, size, seconds, gain=1.0):
    enc, dec = fixture.randomize(CodecEncoder(**encoder), seed=9, gain=gain), fixture.randomize(CodecDecoder(**decoder), seed=10, gain=gain)
    for m in (enc, dec):
        for name, p in m.named_parameters():
            if name.endswith((".alpha", ".beta")):
                p.data.log_()
    hop = int(enc.hop_length)
    clips = [c[:, : c.shape[1] // hop * hop - 3] for c in fixture.clips(16000, seconds)]
    layer = dec.quantizer.layers[0]
    with torch.no_grad():
        latent = lambda c: enc(F.pad(c, (0, hop - c.shape[1] % hop))[None])
        project = lambda c: layer.in_proj(latent(c)[0].T)
        x = torch.cat([project(c) for c in clips])
        if full:  # without an offset common to all latents, as trained ones
            layer.in_proj.bias -= x.mean(0)
            x = x - x.mean(0)
        layer._codebook.weight.copy_(fixture.sample_codebook(x, size, 50, wide=full))
        items = []
        for c in clips:
            codes = dec(latent(c), vq=True)[1]  # [1, 1, T]
            wave = dec(dec.vq2emb(codes.permute(1, 2, 0)).transpose(1, 2), vq=False)[0, 0]
            margin = fixture.margin(F.normalize(project(c)), F.normalize(layer._codebook.weight))
            items.append(dict(pcm=c[0], codes=codes[0].T, margin=margin[:, None], wave=wave))
    if full:
        both = torch.nn.ModuleList([enc, dec])
        fixture.exact(both, items, lambda c: dec(latent(c), vq=True)[1][0].T, lambda codes: dec(dec.vq2emb(codes[None]).transpose(1, 2), vq=False)[0, 0])
        both.float()
    fixture.save(out / f"{prefix}.fixture.safetensors", items, [size], check=not full)
    torch.save({"CodecEnc": enc.state_dict(), "generator": dec.state_dict()}, out / f"{prefix}.pt")


if full:
    make(pathlib.Path(sys.argv[3]), "bigcodec", {}, {}, 8192, 2, 0.5)  # a deep network of larger weights amplifies the rounding of both sides
else:
    make(HERE, "small", dict(ngf=4, up_ratios=[2, 5], out_channels=16),
         dict(in_channels=16, upsample_initial_channel=24, up_ratios=[5, 2], vq_dim=16, codebook_size=64, codebook_dim=4), 64, 0.06)
