"""Writes the discriminators of the tests. Run it in this folder: python make.py

It needs PyTorch (2.15 made the committed file). The discriminators are those of
HiFi-GAN (periods, scales) and EnCodec (complex spectra) with few channels and
random weights; the file holds what they say of random signals, the losses, and
their gradients by automatic differentiation.
"""
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(1)


class Chain(nn.Module):
    """Convolutions with leaky ReLUs, then one for the verdicts."""

    def __init__(self, convs, verdict):
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.verdict = verdict

    def forward(self, x):
        h, features = self.front(x), []
        for c in self.convs:
            h = F.leaky_relu(c(h), 0.1)
            features.append(h)
        return self.verdict(h), features


class Period(Chain):
    def __init__(self, period, shapes):
        convs, last = [], 1
        for width, taps, stride in shapes:
            convs.append(nn.Conv2d(last, width, (taps, 1), (stride, 1), (taps // 2, 0)))
            last = width
        super().__init__(convs, nn.Conv2d(last, 1, (3, 1), 1, (1, 0)))
        self.period = period

    def front(self, x):
        p = self.period
        x = F.pad(x[:, None], (0, -x.shape[1] % p), "reflect")
        return x.view(x.shape[0], 1, -1, p)


class Resolution(Chain):
    def __init__(self, size, hop, shapes):
        convs, last = [], 2
        for width, rows, taps, stride, dilation in shapes:
            pad = (rows // 2 * dilation, taps // 2)
            convs.append(nn.Conv2d(last, width, (rows, taps), (1, stride), pad, (dilation, 1)))
            last = width
        super().__init__(convs, nn.Conv2d(last, 1, (3, 3), 1, (1, 1)))
        self.size, self.hop = size, hop

    def front(self, x):
        w = torch.hann_window(self.size)
        s = torch.stft(x, self.size, self.hop, window=w / w.square().sum().sqrt(), center=False, return_complex=True)
        return torch.stack([s.real, s.imag], 1).transpose(2, 3)  # [items, 2, frames, bins]


class Scale(Chain):
    def __init__(self, scale, shapes):
        convs, last = [], 1
        for width, taps, stride, groups in shapes:
            convs.append(nn.Conv1d(last, width, taps, stride, taps // 2, groups=groups))
            last = width
        super().__init__(convs, nn.Conv1d(last, 1, 3, 1, 1))
        self.scale = scale

    def front(self, x):
        x = x[:, None]
        for _ in range(self.scale):
            x = F.avg_pool1d(x, 4, 2, 2)
        return x


chains = {
    "period2": Period(2, [(4, 5, 3), (6, 5, 1)]),
    "period3": Period(3, [(4, 5, 3), (6, 5, 1)]),
    "resolution32": Resolution(32, 8, [(4, 3, 5, 1, 1), (6, 3, 5, 2, 2)]),
    "scale0": Scale(0, [(4, 15, 1, 1), (8, 11, 2, 4), (6, 5, 1, 2)]),
    "scale1": Scale(1, [(4, 15, 1, 1), (8, 11, 2, 4), (6, 5, 1, 2)]),
}
items, n = 2, 200
x = torch.randn(items, n)
y = (0.5 * x + torch.randn(items, n)).requires_grad_()


def layout(v):
    """Channels last; phases of a period before time."""
    if v.dim() == 3:
        return v.transpose(1, 2).contiguous()
    return v.permute(0, 2, 3, 1).contiguous()


out = {"x": x, "y": y.detach()}
for name, c in chains.items():
    verdict, features = c(x)
    for i, v in enumerate(features + [verdict]):
        v = v.detach()
        out[f"{name}.output{i}"] = layout(v.transpose(2, 3) if name.startswith("period") else v)
    for i, conv in enumerate(list(c.convs) + [c.verdict]):
        out[f"{name}.layer{i}.weight"], out[f"{name}.layer{i}.bias"] = conv.weight.detach(), conv.bias.detach()


def per_item(v):
    return v.flatten(1).mean(1)


for loss in ["hinge", "least-squares"]:
    adversarial, feature, discriminator = 0, 0, 0
    for c in chains.values():
        (vx, fx), (vy, fy) = c(x), c(y)
        if loss == "hinge":
            adversarial = adversarial + per_item(F.relu(1 - vy)) / len(chains)
            d = per_item(F.relu(1 - vx)) + per_item(F.relu(1 + vy))
        else:
            adversarial = adversarial + per_item((vy - 1) ** 2) / len(chains)
            d = per_item((vx - 1) ** 2) + per_item(vy**2)
        discriminator = discriminator + d.mean() / len(chains)
        for a, b in zip(fx, fy):
            feature = feature + per_item((b - a).abs()) / (per_item(a.abs()).detach() + 1e-3) / len(fx) / len(chains)
    out[f"{loss}.adversarial"], out[f"{loss}.feature"] = adversarial.detach(), feature.detach()
    out[f"{loss}.discriminator"] = discriminator.detach()
    out[f"{loss}.adversarial_grad"] = torch.autograd.grad(adversarial.sum(), y, retain_graph=True)[0]
    out[f"{loss}.feature_grad"] = torch.autograd.grad(feature.sum(), y, retain_graph=True)[0]
    for name, c in chains.items():
        params = [p for conv in list(c.convs) + [c.verdict] for p in (conv.weight, conv.bias)]
        grads = torch.autograd.grad(discriminator, params, retain_graph=True)
        for i, g in enumerate(grads):
            out[f"{loss}.{name}.layer{i // 2}.{'bias' if i % 2 else 'weight'}"] = g
torch.save({k: v.clone() for k, v in out.items()}, "discriminators.pt")
