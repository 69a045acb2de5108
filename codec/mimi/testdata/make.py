"""Makes original/ (the layout of the package moshi), transformers/ (that of Hugging
Face) and small.fixture.safetensors:

    python make.py [full FOLDER]

from the packages moshi and transformers, with random weights. With full, a model of
the published size goes to FOLDER instead.
"""

import importlib.machinery
import json
import pathlib
import shutil
import sys
import types

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402

for name in ("sphn", "sentencepiece", "sounddevice"):  # what Mimi does not need
    if name not in sys.modules:
        stub = types.ModuleType(name)
        stub.__spec__ = importlib.machinery.ModuleSpec(name, None)
        stub.SentencePieceProcessor = object
        sys.modules[name] = stub
from moshi.models import loaders  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import MimiConfig, MimiModel  # noqa: E402


full = len(sys.argv) > 2


def config(seanet={}, quantizer={}, transformer={}):
    c = dict(loaders._mimi_config, seanet=dict(loaders._seanet_kwargs, **seanet), quantizer=dict(loaders._quantizer_kwargs, **quantizer),
             transformer=dict(loaders._transformer_kwargs, **transformer))
    hop = 2
    for r in c["seanet"]["ratios"]:
        hop *= r
    return dict(c, frame_rate=c["sample_rate"] / hop)


def renamed(state, heads):
    """The names and the order of Transformers for an original state."""
    names = [("conv.conv.conv", "conv"), ("convtr.convtr.convtr", "conv"), ("conv.conv", "conv"), ("convtr.convtr", "conv"),
             ("rvq_first.vq", "semantic_residual_vector_quantizer"), ("rvq_first", "semantic_residual_vector_quantizer"),
             ("rvq_rest.vq", "acoustic_residual_vector_quantizer"), ("rvq_rest", "acoustic_residual_vector_quantizer"), ("_codebook", "codebook"),
             ("_initialized", "initialized"), ("embedding_sum", "embed_sum"), ("coder.model", "coder.layers"), ("transformer.transformer", "transformer"),
             ("linear1", "mlp.fc1"), ("linear2", "mlp.fc2"), ("norm1", "input_layernorm"), ("norm2", "post_attention_layernorm"),
             ("layer_scale_1", "self_attn_layer_scale"), ("layer_scale_2", "mlp_layer_scale"), ("out_projs.0", "o_proj")]
    out = {}
    for k, v in state.items():
        for a, b in names:
            k = k.replace(a, b)
        if "in_projs.0" in k:
            for part, w in zip("qkv", v.chunk(3)):
                if part != "v":  # pairs half a head apart
                    w = w.view(heads, -1, 2, w.shape[1]).transpose(1, 2).reshape(w.shape)
                out[k.replace("in_projs.0", f"{part}_proj")] = w.contiguous()
        else:
            out[k] = v
    return out


def make(out, prefix, c, seconds):
    s, q, t = c["seanet"], c["quantizer"], c["transformer"]
    m = loaders.get_mimi(None, c, num_codebooks=q["n_q"])
    fixture.randomize(m, seed=8)
    clips = fixture.clips(c["sample_rate"], seconds)
    halves = [m.quantizer.rvq_first, m.quantizer.rvq_rest]
    with torch.no_grad():
        latent = lambda x: m._encode_to_unquantized_latent(x[None])
        z = torch.cat([latent(x)[0].T for x in clips])
        books = []
        for i, half in enumerate(halves):
            entries = fixture.residual_codebooks(half.input_proj(z.T[None])[0].T, len(half.vq.layers), q["bins"], seed=11 + 7 * i, wide=full)
            for layer, book in zip(half.vq.layers, entries):
                usage = 0.5 + torch.rand(len(book))
                layer._codebook.embedding_sum.copy_(book * usage[:, None])
                layer._codebook.cluster_usage.copy_(usage)
                layer._codebook._initialized.fill_(1)
            books.append([l._codebook.embedding_sum / l._codebook.cluster_usage.clamp(min=1e-5)[:, None] for l in half.vq.layers])
            for l in half.vq.layers:
                l._codebook._embedding = None
        items = []
        for x in clips:
            codes = m.encode(x[None])
            wave = m.decode(codes)[0, 0]
            codes = codes[0].T
            margins = [fixture.residual_margins(half.input_proj(latent(x))[0].T, part, b)
                       for half, part, b in zip(halves, (codes[:, :1], codes[:, 1:]), books)]
            items.append(dict(pcm=x[0], codes=codes, margin=torch.cat(margins, 1), wave=wave))
        state = {k: v.contiguous() for k, v in m.state_dict().items()}
        hf = MimiModel(MimiConfig(
            sampling_rate=c["sample_rate"], hidden_size=s["dimension"], num_filters=s["n_filters"], upsampling_ratios=s["ratios"],
            codebook_size=q["bins"], codebook_dim=q["dimension"], vector_quantization_hidden_dimension=q["dimension"], num_quantizers=q["n_q"],
            upsample_groups=s["dimension"], num_hidden_layers=t["num_layers"], intermediate_size=t["dim_feedforward"], num_attention_heads=t["num_heads"],
            num_key_value_heads=t["num_heads"], head_dim=s["dimension"] // t["num_heads"], sliding_window=t["context"], frame_rate=c["frame_rate"]))
        folder = out / ("transformers" if prefix == "small" else prefix + "-transformers")
        shutil.rmtree(folder, ignore_errors=True)
        hf.save_pretrained(folder)
        save_file(renamed(state, t["num_heads"]), folder / "model.safetensors", {"format": "pt"})
        hf = MimiModel.from_pretrained(folder).eval()
        whole = clips[0][:, : clips[0].shape[1] // m.frame_size * m.frame_size]
        same = (hf.encode(whole[None]).audio_codes == m.encode(whole[None]))[0]
        print("codes of Transformers that are the same:", same.float().mean(1))
        assert same[:2].float().mean() > 0.95  # later levels amplify what rounding did to the first
    if full:
        def forget():  # entries that the codebooks have worked out
            for half in halves:
                for l in half.vq.layers:
                    l._codebook._embedding = None

        m.double()
        forget()
        fixture.exact(m, items, lambda c: m.encode(c[None])[0].T, lambda codes: m.decode(codes.T[None])[0, 0])
    fixture.save(out / f"{prefix}.fixture.safetensors", items, [q["bins"]] * q["n_q"], check=not full)
    folder = out / ("original" if prefix == "small" else prefix)
    folder.mkdir(exist_ok=True)
    save_file(state, folder / f"{prefix}.safetensors")
    if prefix == "small":  # the published model has none
        (folder / "config.json").write_text(json.dumps({"transformer": {"num_heads": t["num_heads"], "context": t["context"]}}))


if full:
    make(pathlib.Path(sys.argv[2]), "mimi", config(), 27)
else:
    make(HERE, "small", config(
        seanet=dict(n_filters=4, ratios=[4, 2], dimension=16), quantizer=dict(dimension=8, n_q=4, bins=64, input_dimension=16, output_dimension=16),
        transformer=dict(d_model=16, num_heads=2, num_layers=2, dim_feedforward=24, context=6, input_dimension=16, output_dimensions=[16])), 0.05)
