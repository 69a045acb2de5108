"""Makes mel/, encodec/ (the published layout), training/ (that of a training run) and
a fixture of each:

    python make.py [full FOLDER]

from the packages vocos and encodec, with random weights. With full, models of the
published sizes go to FOLDER instead.
"""

import pathlib
import sys

import torch
import yaml

torch.version.cuda = "13.0"  # torchaudio refuses a torch of another CUDA; neither uses any here
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "internal/published/testdata"))
import fixture  # noqa: E402
from encodec.model import EncodecModel  # noqa: E402
from encodec.modules import SEANetDecoder, SEANetEncoder  # noqa: E402
from encodec.quantization import ResidualVectorQuantizer  # noqa: E402
from vocos.feature_extractors import EncodecFeatures, MelSpectrogramFeatures  # noqa: E402
from vocos.heads import ISTFTHead  # noqa: E402
from vocos.models import VocosBackbone  # noqa: E402
from vocos.pretrained import Vocos  # noqa: E402

full = len(sys.argv) > 2
OUT = pathlib.Path(sys.argv[2]) if full else HERE
RATE = 24000


def build(features, backbone, head):
    m = Vocos(features, VocosBackbone(**backbone), ISTFTHead(**head))
    fixture.randomize(m.backbone, seed=4, gain=1.0)
    fixture.randomize(m.head, seed=5, gain=0.5)
    return m.eval()


def config(features, features_args, backbone, head):
    part = lambda path, args: {"class_path": "vocos." + path, "init_args": args}
    return {"feature_extractor": part("feature_extractors." + features, features_args), "backbone": part("models.VocosBackbone", backbone),
            "head": part("heads.ISTFTHead", head)}


def save(folder, m, cfg):
    folder.mkdir(exist_ok=True)
    state = {k: v.clone() for k, v in m.state_dict().items() if not k.startswith("feature_extractor.encodec.")}
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "config.yaml").write_text(yaml.safe_dump(cfg, sort_keys=False))
    return state


def mel(seconds, args, backbone, head):
    m = build(MelSpectrogramFeatures(**args), backbone, head)
    items = []
    with torch.inference_mode():
        for pcm in fixture.clips(RATE, seconds):
            features = m.feature_extractor(pcm)
            items.append(dict(pcm=pcm[0], features=features[0].T.contiguous(), wave=m.decode(features)[0], copy=m(pcm)[0]))
    fixture.save_arrays(OUT / "mel.fixture.safetensors", items)
    cfg = config("MelSpectrogramFeatures", args, backbone, head)
    state = save(OUT / "mel", m, cfg)
    if not full:  # as PyTorch Lightning leaves it
        (OUT / "training").mkdir(exist_ok=True)
        state["multiperioddisc.discriminators.0.convs.0.bias"] = torch.zeros(4)
        state["melspec_loss.mel_spec.mel_scale.fb"] = torch.zeros(4, 4)
        torch.save({"state_dict": state, "epoch": 3, "global_step": 7}, OUT / "training/last.ckpt")
        (OUT / "training/config.yaml").write_text(yaml.safe_dump({"model": {"class_path": "vocos.experiment.VocosExp", "init_args": cfg}}, sort_keys=False))


def encodec(seconds, bandwidths, backbone, head, **sizes):
    """EncodecFeatures loads published weights when it is made: its parts are set
    here instead."""
    shape = dict(channels=1, dimension=sizes["dimension"], n_filters=sizes["filters"], ratios=sizes["ratios"], norm="weight_norm", causal=True)
    q = ResidualVectorQuantizer(dimension=sizes["dimension"], n_q=sizes["books"], bins=sizes["bins"])
    model = EncodecModel(SEANetEncoder(**shape), SEANetDecoder(**shape), q, bandwidths, RATE, 1)
    features = EncodecFeatures.__new__(EncodecFeatures)
    torch.nn.Module.__init__(features)
    if full:
        fixture.randomize(model, seed=1)
        for i, layer in enumerate(model.quantizer.vq.layers):
            layer._codebook.embed.copy_(torch.randn(layer._codebook.embed.shape, generator=torch.Generator().manual_seed(i)) / (i + 1))
    else:  # the small EnCodec's
        model.load_state_dict(torch.load(HERE.parents[1] / "encodec/testdata/small.th"), strict=False)
    features.encodec, features.bandwidths, features.num_q = model.eval(), bandwidths, sizes["books"]
    books = torch.cat([layer.codebook for layer in model.quantizer.vq.layers])
    features.codebook_weights = torch.nn.Parameter(books + 0.05 * torch.randn(books.shape, generator=torch.Generator().manual_seed(9)))
    m = build(features, backbone, head)
    items = []
    with torch.inference_mode():
        for i, pcm in enumerate(fixture.clips(RATE, seconds)):
            which = torch.tensor([i % len(bandwidths)])
            model.set_target_bandwidth(bandwidths[which])
            codes = features.get_encodec_codes(pcm)  # [Q, 1, T]
            if full:
                codes = torch.randint(sizes["bins"], codes.shape, generator=torch.Generator().manual_seed(i))
            wave = m.decode(m.codes_to_features(codes), bandwidth_id=which)[0]
            codes = codes[:, 0].T
            items.append(dict(pcm=pcm[0], codes=codes, margin=torch.ones(codes.shape), wave=wave))
    fixture.save_arrays(OUT / "encodec.fixture.safetensors", items)
    save(OUT / "encodec", m, config("EncodecFeatures", {"encodec_model": "encodec_24khz", "bandwidths": bandwidths, "train_codebooks": True}, backbone, head))


if full:
    mel(4, dict(sample_rate=RATE, n_fft=1024, hop_length=256, n_mels=100, padding="center"), dict(input_channels=100, dim=512, intermediate_dim=1536, num_layers=8),
        dict(dim=512, n_fft=1024, hop_length=256, padding="center"))
    encodec(4, [1.5, 3.0, 6.0, 12.0], dict(input_channels=128, dim=384, intermediate_dim=1152, num_layers=8, adanorm_num_embeddings=4),
            dict(dim=384, n_fft=1280, hop_length=320, padding="same"), filters=32, dimension=128, ratios=[8, 5, 4, 2], books=16, bins=1024)
else:
    mel(0.06, dict(sample_rate=RATE, n_fft=64, hop_length=16, n_mels=10, padding="center"), dict(input_channels=10, dim=24, intermediate_dim=40, num_layers=2),
        dict(dim=24, n_fft=64, hop_length=16, padding="center"))
    encodec(0.05, [36.0, 72.0], dict(input_channels=12, dim=24, intermediate_dim=40, num_layers=2, adanorm_num_embeddings=2),
            dict(dim=24, n_fft=32, hop_length=8, padding="same"), filters=4, dimension=12, ratios=[4, 2], books=4, bins=64)
