"""Runs a published codec as its makers wrote it, in PyTorch and ONNX Runtime, on
command: see turns.py and published.go. Weight norm is folded first.
"""
import importlib.machinery
import json
import os
import pathlib
import sys
import types

import torch
import torch._dynamo
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize, remove_weight_norm

for name in ("torchaudio", "sphn", "sentencepiece", "sounddevice"):  # what packages import and do not use here
    stub = types.ModuleType(name)
    stub.__spec__ = importlib.machinery.ModuleSpec(name, None)
    stub.SentencePieceProcessor = object
    sys.modules[name] = stub

from turns import serve, session, setup  # noqa: E402

os.environ["TORCHINDUCTOR_FX_GRAPH_CACHE"] = "1"
torch._dynamo.config.recompile_limit = 256  # one of each convolution where a model does not compile whole
options, samples, codes, wave = setup()
path, threads, originals = pathlib.Path(options["checkpoint"]), options["threads"], options["originals"]


def load(file):
    return torch.load(file, map_location="cpu", weights_only=False)


class Way(nn.Module):
    """A function of a model as a module."""

    def __init__(self, model, f):
        super().__init__()
        self.model, self.f = model, f

    def forward(self, x):
        return self.f(self.model, x)


def encodec():
    from encodec.model import EncodecModel

    m = EncodecModel._get_model([24.0], 24000, 1, causal=True, model_norm="weight_norm", audio_normalize=False, name="encodec_24khz")
    m.load_state_dict(load(path), strict=False)
    return (m, lambda m, x: m.quantizer.encode(m.encoder(x[None]), m.frame_rate, 24.0)[:, 0].T,
            lambda m, c: m.decoder(m.quantizer.decode(c.T[:, None]))[0])


def hificodec():
    repo = pathlib.Path(originals["academicodec"])
    sys.path.insert(0, str(repo))
    module = {"__name__": "models"}
    exec(compile((repo / "academicodec/models/hificodec/models.py").read_text(), "models.py", "exec"), module)
    attr = type("Attr", (dict,), {"__getattr__": dict.__getitem__})
    h, state = attr(json.loads(path.with_suffix(".json").read_text())), load(path)
    m = nn.ModuleDict({"encoder": module["Encoder"](h), "quantizer": module["Quantizer"](h), "generator": module["Generator"](h)})
    for name, part in m.items():
        part.load_state_dict(state[name])
    return (m, lambda m, x: torch.stack([i.reshape(-1) for i in m["quantizer"](m["encoder"](x[None]))[2]], -1),
            lambda m, c: m["generator"](m["quantizer"].embed(c[None]))[0])


def wavtokenizer():
    from transformers import WavTokenizerModel

    m = WavTokenizerModel.from_pretrained(path)
    return m, lambda m, x: m.encode(x[None]).audio_codes.reshape(-1, 1), lambda m, c: m.decode(c.reshape(1, 1, -1)).audio_values.reshape(1, -1)


def dac():
    import dac as package

    m = package.DAC.load(str(path))
    return (m, lambda m, x: m.quantizer(m.encoder(x[None]))[1][0].T, lambda m, c: m.decode(m.quantizer.from_codes(c.T[None])[0])[0])


def snac():
    import snac as package

    m = package.SNAC(**json.loads((path / "config.json").read_text()))
    m.load_state_dict(load(path / "pytorch_model.bin"))
    widths = [m.vq_strides[0] // s for s in m.vq_strides]

    def encode(m, x):
        levels = m.quantizer(m.encoder(x[None]))[1]
        return torch.cat([y.reshape(-1, w) for y, w in zip(levels, widths)], 1)

    return m, encode, lambda m, c: m.decode([p.reshape(1, -1) for p in c.split(widths, 1)])[0]


def mimi():
    from moshi.models import loaders

    m = loaders.get_mimi(str(path / "mimi.safetensors"), num_codebooks=32)
    return m, lambda m, x: m.encode(x[None])[0].T, lambda m, c: m.decode(c.T[None])[0]


def speechtokenizer():
    sys.modules["speechtokenizer.trainer"] = types.SimpleNamespace(SpeechTokenizerTrainer=None)
    from speechtokenizer.model import SpeechTokenizer

    m = SpeechTokenizer.load_from_checkpoint(str(path / "config.json"), str(path / "SpeechTokenizer.pt"))
    return m, lambda m, x: m.encode(x[None])[:, 0].T, lambda m, c: m.decode(c.T[:, None])[0]


def bigcodec():
    sys.path.insert(0, originals["bigcodec"])
    from vq.codec_decoder import CodecDecoder
    from vq.codec_encoder import CodecEncoder

    state = load(path)
    m = nn.ModuleDict({"enc": CodecEncoder(), "dec": CodecDecoder()})
    m["enc"].load_state_dict(state["CodecEnc"])
    m["dec"].load_state_dict(state["generator"])
    return (m, lambda m, x: m["dec"](m["enc"](x[None]), vq=True)[1][0].T,
            lambda m, c: m["dec"](m["dec"].vq2emb(c[None]).transpose(1, 2), vq=False)[0])


m, encode, decode = globals()[options["family"]]()
m.eval()
for part in m.modules():
    try:
        remove_weight_norm(part)
    except ValueError:
        pass
    if parametrize.is_parametrized(part, "weight"):
        parametrize.remove_parametrizations(part, "weight")
plain = {"encode": Way(m, encode), "decode": Way(m, decode)}
ways, failed = {"eager": plain} if "eager" in options["runtimes"] else {}, {}
runtimes = {"compiled": lambda w, x: torch.compile(w), "onnxruntime": lambda w, x: session(w, x, threads)}
for name, make in runtimes.items():
    if name not in options["runtimes"]:
        continue
    for way, x in [("encode", samples), ("decode", codes)]:
        try:
            f = make(plain[way], x)
            f(x)
            ways.setdefault(name, {})[way] = f
        except Exception as e:  # no compiler, or an operator that it cannot take
            failed[f"{name} {way}"] = (str(e).strip() or repr(e)).split("\n")[0][:160]
serve(ways, failed, samples, codes, wave)
