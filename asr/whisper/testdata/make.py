"""Results of the original code for the tests, and small files in its formats.

    pip install openai-whisper==20250625 transformers soundfile
    python make.py [FOLDER with whisper.cpp's convert-pt-to-ggml.py]
    python make.py published   # expected-published.json: slow
"""
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata
import zlib

import numpy as np
import soundfile
import torch
import whisper
from whisper.tokenizer import get_tokenizer

import synth

here = os.path.dirname(os.path.abspath(__file__))
samples = os.path.join(here, "..", "..", "..", "samples")
torch.set_grad_enabled(False)
torch.set_num_threads(1)


def audio(*names):
    return np.concatenate([soundfile.read(os.path.join(samples, n), dtype="float32")[0] for n in names])


speech = audio("speech.wav")
# Words, silence, words: longer than two windows.
long = np.concatenate([audio("speech.wav", "espeak.flac", "festival.flac", "flite.flac")] * 4)


def sizes(mels, width, heads, layers, vocabulary, context=1500, text=448):
    return dict(n_mels=mels, n_audio_ctx=context, n_audio_state=width, n_audio_head=heads, n_audio_layer=layers,
                n_vocab=vocabulary, n_text_ctx=text, n_text_state=width, n_text_head=heads, n_text_layer=layers)


def floats(x):
    return [float(f"{float(v):.9g}") for v in np.asarray(x, dtype=np.float64).ravel()]


def result(r):
    return dict(tokens=r.tokens, avg_logprob=r.avg_logprob, no_speech_prob=r.no_speech_prob, text=r.text,
                compression_ratio=r.compression_ratio)


def core(size, short):
    """What every model is tested with."""
    m = synth.model(**size)
    out = dict(sizes=size)
    mel = whisper.log_mel_spectrogram(speech, size["n_mels"], padding=480000)[:, :3000]
    states = m.embed_audio(mel[None])[0]
    out["states"] = floats(states[::500, ::7] if short else states[::100])
    tokens = [50258, 50259, 50359, 50363, 11, 2425, 40612, 314, 50000, 7, 1029, 770]
    logits = m.logits(torch.tensor([tokens]), states[None])[0]
    out["logits"] = floats(logits[:, :: 3988 if short else 997])
    common = dict(fp16=False, language="en")
    out["greedy"] = result(m.decode(mel, whisper.DecodingOptions(without_timestamps=True, sample_len=80, **common)))
    assert len(set(out["greedy"]["tokens"])) >= 20, "too few distinct tokens"
    if not short:
        out["mel"] = floats(mel.T[::97])
        for name, options in dict(
            rules=dict(),
            beam=dict(beam_size=5, without_timestamps=True),
            beam_rules=dict(beam_size=3, patience=2.0, length_penalty=0.6),
            prompt=dict(prompt="What came before.", prefix="And then"),
        ).items():
            out[name] = result(m.decode(mel, whisper.DecodingOptions(sample_len=60, **options, **common)))
        if size["n_vocab"] > 51864:
            _, probs = m.detect_language(mel)
            out["languages"] = probs
            out["translate"] = result(m.decode(mel, whisper.DecodingOptions(task="translate", language="de", sample_len=40, fp16=False)))
    return m, out


def transcript(m, **options):
    r = m.transcribe(long, temperature=0.0, fp16=False, sample_len=50, **options)
    return dict(language=r["language"], segments=[
        dict(seek=s["seek"], start=s["start"], end=s["end"], tokens=s["tokens"],
             words=[[w["word"], w["start"], w["end"], w["probability"]] for w in s.get("words", [])])
        for s in r["segments"]])


def models():
    out = {}
    for name, size in dict(
        english=sizes(80, 48, 3, 2, 51864),
        multilingual=sizes(80, 48, 3, 2, 51865),
        v3=sizes(128, 32, 2, 3, 51866),
    ).items():
        m, out[name] = core(size, False)
        out[name]["transcripts"] = [
            dict(options=o, result=transcript(m, **{k: v for k, v in o.items()}))
            for o in (
                dict(no_speech_threshold=None, logprob_threshold=None),
                dict(no_speech_threshold=None, logprob_threshold=None, word_timestamps=True),
                dict(no_speech_threshold=None, condition_on_previous_text=False, initial_prompt="Names: Sotto, Voce."),
            )]
    with open(os.path.join(here, "expected.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))


def published():
    out = {}
    for name, size in dict(
        tiny=sizes(80, 384, 6, 4, 51865), base=sizes(80, 512, 8, 6, 51865), small=sizes(80, 768, 12, 12, 51865),
    ).items():
        _, out[name] = core(size, True)
    with open(os.path.join(here, "expected-published.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))


def strings():
    """10,000 texts of all scripts, with the CRC-32 of their tokens (int32)."""
    r = random.Random(1)
    words = "the quick brown fox doesn't they're I'm we'll you've he'd it's WON'T 1234 3.14 naïve façade Straße señor Привет мир こんにちは 世界 안녕하세요 مرحبا שלום नमस्ते สวัสดี 🙂 👩‍👩‍👧 e\u0301 ﬁ Ⅷ ½ ² ٣ _x_ http://a.b/c?d=1 \u200b \ufeff".split(" ")
    blocks = [(0x20, 0x7F), (0xA0, 0x250), (0x370, 0x590), (0x5D0, 0x5EB), (0x620, 0x660), (0x900, 0x980), (0xE00, 0xE80),
              (0x1100, 0x1200), (0x2000, 0x2070), (0x2190, 0x2400), (0x3040, 0x3100), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0x1F300, 0x1F650)]
    texts = []
    while len(texts) < 10000:
        kind = len(texts) % 4
        if kind == 0:
            t = "".join(r.choice(words) + r.choice([" ", " ", " ", "  ", "", "\n", ", ", "...", "\t", "!"]) for _ in range(r.randint(1, 8)))
        elif kind == 1:
            lo, hi = r.choice(blocks)
            t = "".join(chr(r.randrange(lo, hi)) for _ in range(r.randint(1, 12)))
        elif kind == 2:
            t = "".join(chr(r.randrange(*r.choice(blocks))) for _ in range(r.randint(1, 10)))
        else:
            t = "".join(r.choice(" \t\n'\u00a0\u3000aAsStTé1!-") for _ in range(r.randint(1, 16)))
        if not any(unicodedata.category(c) == "Cn" for c in t):
            texts.append(t)
    crcs = []
    for multilingual in (False, True):
        t = get_tokenizer(multilingual)
        crcs.append([zlib.crc32(np.array(t.encode(x), dtype="<i4").tobytes()) for x in texts])
    data = json.dumps(dict(texts=texts, gpt2=crcs[0], multilingual=crcs[1]), ensure_ascii=False, separators=(",", ":")).encode()
    import gzip
    with open(os.path.join(here, "strings.json.gz"), "wb") as f:
        with gzip.GzipFile(fileobj=f, mode="wb", mtime=0, filename="") as z:
            z.write(data)
    # Sets, broken characters and words.
    out = {}
    for name, multilingual, n in (("gpt2", False, 99), ("multilingual", True, 99), ("v3", True, 100)):
        t = get_tokenizer(multilingual, num_languages=n, language="en" if multilingual else None)
        special = [t.eot, t.sot, t.sot_lm, t.sot_prev, t.no_speech, t.no_timestamps, t.timestamp_begin, t.translate, t.transcribe]
        broken = [r.randrange(0, t.eot) for _ in range(3000)]
        spoken = t.encode(" He said: \"naïve 🙂🙃 façade\" (well, don't) — 1,234.5 ... 你好")
        out[name] = dict(not_speech=list(t.non_speech_tokens), special=special, sequence=list(t.sot_sequence), broken=broken,
                         broken_text=t.decode(broken), words=dict(tokens=spoken, split=t.split_to_word_tokens(spoken + [t.eot])))
        if multilingual:
            t = get_tokenizer(True, num_languages=n, language="ja")
            spoken = t.encode("今日は良い天気ですね🙂。")
            out[name]["unspaced"] = dict(tokens=spoken, split=t.split_to_word_tokens(spoken + [t.eot]))
    with open(os.path.join(here, "tokenizer.json"), "w") as f:
        json.dump(out, f, ensure_ascii=False, separators=(",", ":"))


def files(scripts):
    """One model of few tokens in every format."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    size = sizes(4, 32, 2, 1, 64, context=24, text=16)
    m = synth.model(**size)
    folder = os.path.join(here, "files")
    os.makedirs(folder, exist_ok=True)
    torch.save(dict(dims=size, model_state_dict=m.half().state_dict()), os.path.join(folder, "original.pt"))
    state = {k: v.clone() for k, v in m.float().state_dict().items()}

    config = WhisperConfig(
        vocab_size=64, num_mel_bins=4, encoder_layers=1, encoder_attention_heads=2, decoder_layers=1, decoder_attention_heads=2,
        decoder_ffn_dim=128, encoder_ffn_dim=128, d_model=32, max_source_positions=24, max_target_positions=16,
        pad_token_id=1, bos_token_id=1, eos_token_id=1, decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None)
    t = WhisperForConditionalGeneration(config)
    names = {"attn.query": "self_attn.q_proj", "attn.key": "self_attn.k_proj", "attn.value": "self_attn.v_proj",
             "attn.out": "self_attn.out_proj", "attn_ln": "self_attn_layer_norm", "mlp.0": "fc1", "mlp.2": "fc2", "mlp_ln": "final_layer_norm"}
    mapped = {}
    for k, v in state.items():
        p = k.split(".")
        if p[1] == "blocks":
            part = ".".join(p[3:-1])
            if part.startswith("cross_"):
                q = names[part[len("cross_"):]].replace("self_attn", "encoder_attn")
            else:
                q = names[part]
            k = ".".join([p[0], "layers", p[2], q, p[-1]])
        k = k.replace("token_embedding.weight", "embed_tokens.weight").replace("positional_embedding", "embed_positions.weight")
        k = k.replace("encoder.ln_post", "encoder.layer_norm").replace("decoder.ln.", "decoder.layer_norm.")
        mapped["model." + k] = v
    missing, unexpected = t.load_state_dict(mapped, strict=False)
    assert not unexpected and missing == ["proj_out.weight"], (missing, unexpected)
    t.half().save_pretrained(os.path.join(folder, "transformers"))
    for name in ("generation_config.json",):
        path = os.path.join(folder, "transformers", name)
        if os.path.exists(path):
            os.remove(path)

    if scripts:
        # The script wants the original's folder layout, and writes all tokens of
        # the vocabulary, which would be most of the file.
        with tempfile.TemporaryDirectory() as tmp:
            assets = os.path.join(tmp, "whisper", "assets")
            os.makedirs(assets)
            np.savez(os.path.join(assets, "mel_filters.npz"), mel_4=np.ones((4, 201), dtype=np.float32))
            with open(os.path.join(assets, "gpt2.tiktoken"), "w") as f:
                f.write("IQ== 0\nIg== 1\n")
            for args, name in (([], "ggml-model.bin"), (["use-f32"], "ggml-model-f32.bin")):
                subprocess.run([sys.executable, os.path.join(scripts, "convert-pt-to-ggml.py"), os.path.join(folder, "original.pt"), tmp, folder] + args,
                               check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if sys.argv[1:] == ["published"]:
        published()
    else:
        strings()
        files(sys.argv[1] if len(sys.argv) > 1 else None)
        models()
