"""Makes small.pth, single.pth, training.pth and small.fixture.safetensors:

    python make.py PATH/TO/AcademiCodec [full FOLDER [RECIPE]]

from a checkout of https://github.com/yangdongchao/AcademiCodec at commit
b6ac134735f6079543db959a60eb77a7bab4277b, with random weights (seed 1). With full, a
model of a published recipe (encodec-16k-320d if none is named, encodec-24k-240d,
encodec-24k-32d, soundstream-24k-240d) goes to FOLDER under that name instead.
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

# What the recipes in egs give the network. That of SoundStream gives it no rates of
# bits and takes its default.
RECIPES = {
    "encodec-16k-320d": dict(ratios=[8, 5, 4, 2], sample_rate=16000, target_bandwidths=[1, 1.5, 2, 4, 6, 12]),
    "encodec-24k-240d": dict(ratios=[6, 5, 4, 2], sample_rate=24000, target_bandwidths=[1, 2, 4, 8, 12]),
    "encodec-24k-32d": dict(ratios=[2, 2, 2, 4], sample_rate=24000, target_bandwidths=[7.5, 15]),
    "soundstream-24k-240d": dict(ratios=[6, 5, 4, 2]),
}
name = (sys.argv[4] if len(sys.argv) > 4 else "encodec-16k-320d") if full else "small"
size = 1024 if full else 64
if full:
    m = SoundStream(n_filters=32, D=512, **RECIPES[name])
    rate = RECIPES[name].get("sample_rate", 24000)
else:
    rate = 24000
    m = SoundStream(n_filters=2, D=512, ratios=[5, 2], sample_rate=rate, target_bandwidths=[60], bins=size)
fixture.randomize(m, seed=1)
if not full:
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(p.half())
clips = fixture.clips(rate, (4 if m.hop_length > 32 else 0.6) if full else 0.07)
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
fixture.save(out / f"{name}.fixture.safetensors", items, [size] * len(books), check=not full)
state = {k: v if full or not v.is_floating_point() else v.half() for k, v in m.state_dict().items() if not k.endswith("embed_avg")}
published = {"module." + k: v for k, v in state.items()}  # training on several processes names it so
torch.save(published, out / f"{name}.pth")
if not full:
    torch.save(state, out / "single.pth")
    torch.save({"soundstream": published, "stft_disc": {"conv.weight": torch.zeros(1)}, "epoch": 3, "optimizer_g": {"state": {}}}, out / "training.pth")
