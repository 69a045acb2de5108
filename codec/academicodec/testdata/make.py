"""Makes small.pth, training.pth and small.fixture.safetensors:

    python make.py PATH/TO/AcademiCodec [full FOLDER]

from a checkout of https://github.com/yangdongchao/AcademiCodec at commit
b6ac134735f6079543db959a60eb77a7bab4277b, with random weights (seed 1). With full,
the published sizes of Encodec_16k_320d go to FOLDER instead.
"""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402

sys.path.insert(0, sys.argv[1])
full = len(sys.argv) > 2 and sys.argv[2] == "full"
out = pathlib.Path(sys.argv[3]) if full else HERE
from academicodec.models.encodec.net3 import SoundStream  # noqa: E402

size = 1024 if full else 64
rate = 16000 if full else 24000
if full:
    m = SoundStream(n_filters=32, D=512, ratios=[8, 5, 4, 2], sample_rate=16000, target_bandwidths=[1, 1.5, 2, 4, 6, 12])
else:
    m = SoundStream(n_filters=2, D=512, ratios=[5, 2], sample_rate=rate, target_bandwidths=[60], bins=size)
fixture.randomize(m, seed=1)
if not full:
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(p.half())
clips = fixture.clips(rate, 4 if full else 0.07)
with torch.no_grad():
    z = torch.cat([m.encoder(c[None])[0].T for c in clips])
    if full:  # without an offset common to all latents, as trained ones
        m.encoder.model[-1].conv.conv.bias -= z.mean(0)
        z = z - z.mean(0)
    books = [b.half().float() for b in fixture.residual_codebooks(z, len(m.quantizer.vq.layers), size, wide=full)]
    for layer, book in zip(m.quantizer.vq.layers, books):
        layer._codebook.embed.copy_(book)
        layer._codebook.inited.fill_(1)
    items = []
    for c in clips:
        codes = m.encode(c[None])
        wave = m.decode(codes)[0, 0]
        codes = codes[:, 0].T
        items.append(dict(pcm=c[0], codes=codes, margin=fixture.residual_margins(m.encoder(c[None])[0].T, codes, books), wave=wave))
fixture.save(out / "small.fixture.safetensors", items, [size] * len(books), check=not full)
state = {k: v if full or not v.is_floating_point() else v.half() for k, v in m.state_dict().items() if not k.endswith("embed_avg")}
torch.save(state, out / "small.pth")
if not full:
    torch.save({"soundstream": state, "stft_disc": {"conv.weight": torch.zeros(1)}, "epoch": 3, "optimizer_g": {"state": {}}}, out / "training.pth")
