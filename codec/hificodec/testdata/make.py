"""Makes small.pth, small.json and small.fixture.safetensors:

    python make.py PATH/TO/AcademiCodec [full FOLDER [16k-320d|24k-320d|24k-240d]]

from a checkout of https://github.com/yangdongchao/AcademiCodec at commit
b6ac134735f6079543db959a60eb77a7bab4277b, with random weights (seed 1). The widths
that its code fixes (32 channels after the first convolution, latents of 512, norm
groups of 16 channels) are made smaller by editing its text on the way: 4, 32 and 2.
With full, a model of a published recipe, 16k-320d if none is named, goes to FOLDER
under that name instead.
"""

import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402

repo = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(repo))
full = len(sys.argv) > 2 and sys.argv[2] == "full"
out = pathlib.Path(sys.argv[3]) if full else HERE
recipe = sys.argv[4] if len(sys.argv) > 4 else "16k-320d"
name = recipe if full else "small"
text = (repo / "academicodec/models/hificodec/models.py").read_text()
config = json.loads((repo / f"egs/HiFi-Codec-{recipe}/config_{recipe.replace('-', '_')}.json").read_text())
if not full:
    for old, new in [("Conv1d(1, 32, 7", "Conv1d(1, 4, 7"), ("32 * (2", "4 * (2"), ("ch // 16", "ch // 2"), ("512", "32")]:
        assert old in text
        text = text.replace(old, new)
    config.update(upsample_rates=[5, 2, 2], upsample_kernel_sizes=[11, 4, 4], upsample_initial_channel=32, resblock_kernel_sizes=[3, 5],
                  resblock_dilation_sizes=[[1, 3, 5], [1, 2, 4]], n_codes=64)
module = {"__name__": "models"}
exec(compile(text, "models.py", "exec"), module)


class Attr(dict):
    __getattr__ = dict.__getitem__


h = Attr(config)
torch.manual_seed(1)
encoder, quantizer, generator = (module[k](h) for k in ("Encoder", "Quantizer", "Generator"))
for i, m in enumerate((encoder, quantizer, generator)):
    fixture.randomize(m, seed=1 + i)
    if not full:
        with torch.no_grad():
            for p in m.parameters():
                p.copy_(p.half())
clips = fixture.clips(h.sampling_rate, 4 if full else 0.13)
with torch.no_grad():
    z = torch.cat([encoder(c[None])[0].T for c in clips])
    if full:  # without an offset common to all latents, as trained ones
        encoder.conv_post.bias -= z.mean(0)
        z = z - z.mean(0)
    half = z.shape[1] // 2
    books = {}
    for g in range(2):
        own = [b.half().float() for b in fixture.residual_codebooks(z[:, g * half:][:, :half], 2, h.n_codes, seed=11 + 100 * g, wide=full)]
        for level, modules in enumerate((quantizer.quantizer_modules, quantizer.quantizer_modules2)):
            modules[g].embedding.weight.copy_(own[level])
        books[g] = own
    items = []
    for c in clips:
        x = encoder(c[None])
        codes = torch.stack([i.reshape(-1) for i in quantizer(x)[2]], -1)
        margins = [fixture.residual_margins(x[0].T[:, g * half:][:, :half], codes[:, [g, 2 + g]], books[g]) for g in range(2)]
        margin = torch.stack([margins[0][:, 0], margins[1][:, 0], margins[0][:, 1], margins[1][:, 1]], 1)
        items.append(dict(pcm=c[0], codes=codes, margin=margin, wave=generator(quantizer.embed(codes[None]))[0, 0]))
fixture.save(out / f"{name}.fixture.safetensors", items, [h.n_codes] * 4, check=not full)
keep = (lambda s: s) if full else (lambda s: {k: v.half() for k, v in s.items()})
torch.save({"generator": keep(generator.state_dict()), "quantizer": keep(quantizer.state_dict()), "encoder": keep(encoder.state_dict())}, out / f"{name}.pth")
(out / f"{name}.json").write_text(json.dumps(config, indent=1))
