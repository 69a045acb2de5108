"""The causal mode as plainly as it can be said: for every chunk the encoder is
computed anew on all frames under its mask, and for every token the decoder on all
tokens, each of which attends to the positions that were there when it was last
read. Writes expected-causal.json.

    python causal.py
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters
from whisper.tokenizer import get_tokenizer

import make
import synth

LOOK_BACK, MOST, CARRIED = 2, 28, 64


def mel_running(pcm, n_mels):
    """log-mel frames, each relative to the loudest band up to it"""
    pcm = torch.from_numpy(np.concatenate([pcm, np.zeros(16000 * 3, np.float32)]))
    stft = torch.stft(pcm, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), return_complex=True)
    x = torch.clamp(mel_filters("cpu", n_mels) @ (stft.abs() ** 2), min=1e-10).log10().T
    top = torch.cummax(x.max(dim=1).values, dim=0).values
    return (torch.maximum(x, top[:, None] - 8) + 4) / 4


def attend(a, x, keys, mask):
    n = a.n_head
    split = lambda v: v.view(v.shape[0], n, -1).transpose(0, 1)
    q, k, v = split(a.query(x)), split(a.key(keys)), split(a.value(keys))
    s = q @ k.transpose(1, 2) * (q.shape[-1] ** -0.5)
    w = torch.softmax(s.masked_fill(~mask, -torch.inf), dim=-1)
    return a.out((w @ v).transpose(0, 1).reshape(x.shape))


def encode(m, mel, positions, chunk, first):
    """states of the given number of positions; mel holds what they need"""
    e = m.encoder
    x = F.gelu(e.conv1(mel[None, : 2 * positions + 1].transpose(1, 2)))
    x = F.gelu(e.conv2(x))[0].T[:positions] + e.positional_embedding[:positions]
    block = torch.clamp((torch.arange(positions) - first) // chunk + 1, min=0)
    mask = block[:, None] >= block[None, :]
    for b in e.blocks:
        h = b.attn_ln(x)
        x = x + attend(b.attn, h, h, mask)
        x = x + b.mlp(b.mlp_ln(x))
    return e.ln_post(x)


def logits(m, tokens, seen, states, first):
    """of what follows the tokens from first on"""
    d = m.decoder
    n = len(tokens)
    x = d.token_embedding(torch.tensor(tokens)) + d.positional_embedding[:n]
    causal = torch.tril(torch.ones(n, n, dtype=torch.bool))
    cross = torch.arange(states.shape[0])[None] < torch.tensor(seen)[:, None]
    for b in d.blocks:
        h = b.attn_ln(x)
        x = x + attend(b.attn, h, h, causal)
        x = x + attend(b.cross_attn, b.cross_attn_ln(x), states, cross)
        x = x + b.mlp(b.mlp_ln(x))
    return d.ln(x[first:]) @ d.token_embedding.weight.T


def stream(m, pcm, chunk, startup):
    t = get_tokenizer(True, num_languages=99, language="en")
    banned = list(t.non_speech_tokens) + [t.transcribe, t.translate, t.sot, t.sot_prev, t.sot_lm, t.no_speech]
    banned += list(range(t.no_timestamps, m.dims.n_vocab))
    mel = mel_running(pcm, m.dims.n_mels)
    total = -(-len(pcm) // 320)
    base, context, out, trace = 0, [], [], []
    while base < total:
        initial = ([t.sot_prev] + context if context else []) + list(t.sot_sequence_including_notimestamps)
        text, scores, settled, done, seen = [], [], 0, 0, [0] * len(initial)
        while base + done < total:
            n = chunk * (1 + startup) if done == 0 else chunk
            if done + n > m.dims.n_audio_ctx or len(initial) + len(text) + MOST >= m.dims.n_text_ctx:
                break
            done += n
            states = encode(m, mel[2 * base :], done, chunk, chunk * (1 + startup))

            def scored(first):
                """log-probabilities of what may follow the first tokens of the text, and one more each"""
                x = logits(m, initial + text, seen, states, len(initial) - 1 + first)
                x[:, banned] = -torch.inf
                if first == 0:
                    x[0, t.encode(" ")] = -torch.inf
                return torch.log_softmax(x, dim=-1)

            keep = max(len(text) - LOOK_BACK, settled)
            from_ = 0 if seen[0] == 0 else len(initial) - 1 + keep
            for i in range(from_, len(initial) + len(text)):
                seen[i] = done
            p = scored(keep)
            cut = len(text)
            for i in range(keep, len(text)):
                if p[i - keep, text[i]] < scores[i] and int(p[i - keep].argmax()) != text[i]:
                    cut = i
                    break
                scores[i] = float(p[i - keep, text[i]])
            text, scores, seen = text[:cut], scores[:cut], seen[: len(initial) + cut]
            row = p[cut - keep]
            for _ in range(MOST):
                best = int(row.argmax())
                if best == t.eot:
                    break
                text.append(best)
                scores.append(float(row[best]))
                seen.append(done)
                row = scored(len(text))[0]
            settled = max(settled, len(text) - LOOK_BACK)
            trace.append([len(text), settled])
        out += text
        context = (context + text)[-CARRIED:]
        base += done
    return dict(tokens=out, trace=trace)


if __name__ == "__main__":
    size = make.sizes(80, 48, 3, 2, 51865)
    pcm = make.long[: 16000 * 33]
    out = {}
    for ms, startup, push in ((40, 2, 15.5), (100, 0, 14.5), (300, 1, 13.25), (1000, 0, 13.0)):
        m = synth.ending(synth.model(**size), push)
        r = stream(m, pcm, ms // 20, startup)
        print(ms, len(r["tokens"]), len(set(r["tokens"])), len(r["trace"]), flush=True)
        out[str(ms)] = dict(startup=startup, push=push, **r)
    with open(os.path.join(make.here, "expected-causal.json"), "w") as f:
        json.dump(dict(sizes=size, streams=out), f, separators=(",", ":"))
