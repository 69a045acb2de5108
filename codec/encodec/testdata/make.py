"""Makes small.th, small/ (Hugging Face layout) and small.fixture.safetensors:

    python make.py

from the packages encodec and transformers, with random weights.
"""

import pathlib
import shutil
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402
from encodec.model import EncodecModel as Original  # noqa: E402
from encodec.modules import SEANetDecoder, SEANetEncoder  # noqa: E402
from encodec.quantization import ResidualVectorQuantizer  # noqa: E402
from transformers import EncodecConfig, EncodecModel  # noqa: E402

RATIOS, FILTERS, DIM, BOOKS, SIZE = [4, 2], 4, 12, 4, 64


def original(rate, channels, causal, norm, normalize, segment, name):
    shape = dict(channels=channels, dimension=DIM, n_filters=FILTERS, ratios=RATIOS, norm=norm, causal=causal)
    q = ResidualVectorQuantizer(dimension=DIM, n_q=BOOKS, bins=SIZE)
    return Original(SEANetEncoder(**shape), SEANetDecoder(**shape), q, [BOOKS * 6 * rate / 8 / 1000], rate, channels, normalize, segment, name=name)


def renamed(state, folded):
    """The names of Transformers for an original state."""
    out = {}
    for k, v in state.items():
        k = k.replace(".model.", ".layers.").replace(".conv.conv.", ".conv.").replace(".convtr.convtr.", ".conv.")
        k = k.replace(".conv.norm.", ".norm.").replace(".convtr.norm.", ".norm.").replace("quantizer.vq.layers", "quantizer.layers").replace("_codebook", "codebook")
        k = k.replace("weight_g", "parametrizations.weight.original0").replace("weight_v", "parametrizations.weight.original1")
        out[k] = v
    return out


def make(prefix, rate, channels, causal, norm, normalize, segment, seconds):
    m = fixture.randomize(original(rate, channels, causal, norm, normalize, segment, prefix), seed=1)
    clips = fixture.clips(rate, seconds, channels)
    with torch.no_grad():
        z = torch.cat([m.encoder(c[None] / (c.mean(0).pow(2).mean().sqrt() + 1e-8 if normalize else 1))[0].T for c in clips])
        books = fixture.residual_codebooks(z, BOOKS, SIZE)
        for layer, book in zip(m.quantizer.vq.layers, books):
            layer._codebook.embed.copy_(book)
            layer._codebook.inited.fill_(1)
        m.set_target_bandwidth(m.target_bandwidths[0])
        items = []
        hf = EncodecModel(EncodecConfig(
            target_bandwidths=[BOOKS * 6 * rate / 8 / 1000], sampling_rate=rate, audio_channels=channels, normalize=normalize,
            chunk_length_s=segment, overlap=0.01 if segment else None, hidden_size=DIM, num_filters=FILTERS, upsampling_ratios=RATIOS,
            norm_type=norm, use_causal_conv=causal, codebook_size=SIZE, codebook_dim=DIM)).eval()
        hf.load_state_dict(renamed(m.state_dict(), False))
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
                assert (theirs.audio_codes[0, 0].T == item["codes"]).all()
                item["pcm"], item["wave"] = c[0], wave[0]
            items.append(item)
    fixture.save(HERE / f"{prefix}.fixture.safetensors", items, [SIZE] * BOOKS)
    torch.save(m.state_dict(), HERE / f"{prefix}.th")
    shutil.rmtree(HERE / prefix, ignore_errors=True)
    hf.save_pretrained(HERE / prefix)


make("small", 24000, 1, True, "weight_norm", False, None, 0.05)
