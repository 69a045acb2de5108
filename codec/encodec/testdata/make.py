"""Makes small.th, small/ (Hugging Face layout), small.fixture.safetensors and
small.ecdc, and the same of stereo:

    python make.py [full FOLDER]

from the packages encodec and transformers, with random weights. With full, the
published sizes go to FOLDER instead.
"""

import pathlib
import shutil
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402
from encodec.compress import compress  # noqa: E402
from encodec.model import EncodecModel as Original, LMModel  # noqa: E402
from encodec.modules import SEANetDecoder, SEANetEncoder  # noqa: E402
from encodec.quantization import ResidualVectorQuantizer  # noqa: E402
from transformers import EncodecConfig, EncodecModel  # noqa: E402

full = len(sys.argv) > 2 and sys.argv[1] == "full"
OUT = pathlib.Path(sys.argv[2]) if full else HERE


def original(rate, channels, causal, norm, normalize, segment, name, size):
    q = ResidualVectorQuantizer(dimension=size["dimension"], n_q=size["books"], bins=size["bins"])
    shape = dict(channels=channels, dimension=size["dimension"], n_filters=size["filters"], ratios=size["ratios"], norm=norm, causal=causal)
    return Original(SEANetEncoder(**shape), SEANetDecoder(**shape), q, bandwidths(rate, size), rate, channels, normalize, segment, name=name)


def bandwidths(rate, size):
    """That of all codebooks."""
    return [size["books"] * (size["bins"].bit_length() - 1) * rate / torch.prod(torch.tensor(size["ratios"])).item() / 1000]


def renamed(state):
    """The names of Transformers for an original state."""
    out = {}
    for k, v in state.items():
        k = k.replace(".model.", ".layers.").replace(".conv.conv.", ".conv.").replace(".convtr.convtr.", ".conv.")
        k = k.replace(".conv.norm.", ".norm.").replace(".convtr.norm.", ".norm.").replace("quantizer.vq.layers", "quantizer.layers").replace("_codebook", "codebook")
        k = k.replace("weight_g", "parametrizations.weight.original0").replace("weight_v", "parametrizations.weight.original1")
        out[k] = v
    return out


def make(prefix, rate, channels, causal, norm, normalize, segment, seconds, size):
    m = fixture.randomize(original(rate, channels, causal, norm, normalize, segment, f"encodec_{rate // 1000}khz", size), seed=1)
    clips = fixture.clips(rate, seconds, channels)
    if normalize and not full:
        clips = [clips[2], clips[0][:, :2001]]
    with torch.no_grad():
        z = torch.cat([m.encoder(c[None, :, :rate] / (c[:, :rate].mean(0).pow(2).mean().sqrt() + 1e-8 if normalize else 1))[0].T for c in clips])
        if full and not normalize:  # without an offset common to all latents, as trained ones
            m.encoder.model[-1].conv.conv.bias -= z.mean(0)
            z = z - z.mean(0)
        books = fixture.residual_codebooks(z, size["books"], size["bins"], wide=full)
        for layer, book in zip(m.quantizer.vq.layers, books):
            layer._codebook.embed.copy_(book)
            layer._codebook.inited.fill_(1)
        m.set_target_bandwidth(m.target_bandwidths[0])
        items = []
        hf = EncodecModel(EncodecConfig(
            target_bandwidths=m.target_bandwidths, sampling_rate=rate, audio_channels=channels, normalize=normalize,
            chunk_length_s=segment, overlap=0.01 if segment else None, hidden_size=size["dimension"], num_filters=size["filters"],
            upsampling_ratios=size["ratios"], norm_type=norm, use_causal_conv=causal, codebook_size=size["bins"], codebook_dim=size["dimension"])).eval()
        hf.load_state_dict(renamed(m.state_dict()))
        for c in clips:
            frames = m.encode(c[None])
            wave = m.decode(frames)[0]
            item = dict(pcm=c, codes=torch.cat([f[0][0].T for f in frames]), wave=wave)
            margins = []
            for i, (codes, scale) in enumerate(frames):
                x = c[:, i * (m.segment_stride or c.shape[1]):][:, : m.segment_length or c.shape[1]]
                margins.append(fixture.residual_margins(m.encoder(x[None] / (1 if scale is None else scale))[0].T, codes[0].T, books))
            item["margin"] = torch.cat(margins)
            if normalize:
                item["scale"] = torch.cat([s.reshape(1) for _, s in frames])
            else:
                theirs = hf.encode(c[None], bandwidth=m.target_bandwidths[0])
                assert full or (theirs.audio_codes[0, 0].T == item["codes"]).all()
                item["pcm"], item["wave"] = c[0], wave[0]
            items.append(item)
    fixture.save(OUT / f"{prefix}.fixture.safetensors", items, [size["bins"]] * size["books"], check=not full)
    state = {k: v for k, v in m.state_dict().items() if not k.endswith("embed_avg")}
    torch.save(state, OUT / f"{prefix}.th")
    shutil.rmtree(OUT / prefix, ignore_errors=True)
    hf.save_pretrained(OUT / prefix)
    return m, clips


small = dict(filters=4, dimension=12, ratios=[4, 2], books=4, bins=64)
stereo = dict(filters=2, dimension=12, ratios=[8, 5, 4], books=4, bins=64)
if full:
    small = dict(filters=32, dimension=128, ratios=[8, 5, 4, 2], books=32, bins=1024)
    stereo = dict(small, books=16)
made = [
    ("small", *make("small", 24000, 1, True, "weight_norm", False, None, 4 if full else 0.05, small)),
    ("stereo", *make("stereo", 48000, 2, False, "time_group_norm", True, 1.0, 3 if full else 1.03, stereo)),
]
for prefix, m, clips in made if not full else []:
    # The original's own file of the first clip.
    (OUT / f"{prefix}.ecdc").write_bytes(compress(m, clips[0], use_lm=False))
    # And with a language model.
    lm = fixture.randomize(LMModel(small["books"], small["bins"], num_layers=2, dim=16, past_context=int(3.5 * m.frame_rate)), seed=5)
    with torch.no_grad():
        for linear in lm.linears:
            linear.weight *= 0.5
        m.get_lm_model = lambda: lm
        (OUT / f"{prefix}.lm.ecdc").write_bytes(compress(m, clips[0], use_lm=True))
        torch.save(lm.state_dict(), OUT / "lm.th")
        # One so sure of itself that rounding changes no frequency.
        sharp = LMModel(small["books"], small["bins"], num_layers=2, dim=16, past_context=int(3.5 * m.frame_rate)).eval()
        sharp.load_state_dict(lm.state_dict())
        for linear in sharp.linears:
            linear.weight *= 100000
            linear.bias *= 100000
        m.get_lm_model = lambda: sharp
        (OUT / f"{prefix}.sharp.ecdc").write_bytes(compress(m, clips[0], use_lm=True))
        # Its probabilities, with a past that is soon too short.
        lm.transformer.past_context = 5
        codes = torch.randint(small["bins"], (1, small["books"], 14), generator=torch.Generator().manual_seed(3))
        state, offset, probabilities, given = None, 0, [], torch.zeros(1, small["books"], 1, dtype=torch.long)
        for t in range(14):
            p, state, offset = lm(given, state, offset)
            probabilities.append(p[0, :, :, 0].T)
            given = 1 + codes[:, :, t : t + 1]
    fixture.save_file({"codes": codes[0].T.contiguous().numpy(), "probabilities": torch.stack(probabilities).numpy()}, OUT / "lm.fixture.safetensors")
