#!/usr/bin/env python3
"""Makes the pairs of this folder and pairs.tsv with their reference values.

Needs numpy, scipy, soundfile, pystoi 0.4.1 and the programs espeak-ng, flite,
ffmpeg (with libopus, libcodec2, libgsm, libmp3lame) and flac. The texts are in
the public domain. STOI and ESTOI are pystoi's; SI-SDR and the mel distance are
computed here from their definitions.
"""
import os
import subprocess
import tempfile

import numpy as np
import pystoi
import soundfile
from scipy import signal

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(7)
SECONDS = 1.9


def run(*args, text=None):
    subprocess.run(args, check=True, input=text, text=True, capture_output=True)


def voice(name, rate, command):
    """Speaks into a clip of SECONDS at rate Hz."""
    with tempfile.TemporaryDirectory() as d:
        run(*[a.replace("OUT", f"{d}/a.wav") for a in command])
        run("ffmpeg", "-i", f"{d}/a.wav", "-ac", "1", "-ar", str(rate), f"{d}/b.wav")
        x, _ = soundfile.read(f"{d}/b.wav")
    x = x[int(0.05 * rate):][: int(SECONDS * rate)]
    return x / np.abs(x).max() * 0.5


def through(x, rate, *options, suffix):
    """The clip after a codec of ffmpeg, cut or padded to its length."""
    with tempfile.TemporaryDirectory() as d:
        soundfile.write(f"{d}/a.wav", x, rate, subtype="PCM_16")
        run("ffmpeg", "-i", f"{d}/a.wav", *options, f"{d}/b{suffix}")
        run("ffmpeg", "-i", f"{d}/b{suffix}", "-ac", "1", "-ar", str(rate), f"{d}/c.wav")
        y, _ = soundfile.read(f"{d}/c.wav")
    # Codecs delay; take the lag of the greatest correlation out.
    lag = max(0, int(np.argmax(signal.correlate(y, x)) - len(x) + 1))
    y = y[lag:][: len(x)]
    return np.pad(y, (0, len(x) - len(y)))


def noise(x, db):
    n = rng.standard_normal(len(x))
    return x + n * np.sqrt(np.mean(x**2) / np.mean(n**2) / 10 ** (db / 10))


def lowpass(x, rate, hz):
    return signal.sosfilt(signal.butter(6, hz, fs=rate, output="sos"), x)


def gate(x, rate):
    """Silences every second 100 ms."""
    return x * (np.arange(len(x)) * 10 // rate % 2)


def mel_distance(x, y, rate):
    def filters(n, bands):
        top = 2595 * np.log10(1 + rate / 2 / 700)
        c = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
        f = np.arange(n // 2 + 1) * rate / n
        rows = [np.minimum((f - c[b]) / (c[b + 1] - c[b]), (c[b + 2] - f) / (c[b + 2] - c[b + 1])) for b in range(bands)]
        rows = np.maximum(np.array(rows), 0)
        rows = rows[rows.sum(1) > 0]
        return rows / rows.sum(1, keepdims=True)

    def spectrum(x, n, bands):
        frames = [x[i : i + n] for i in range(0, len(x), n // 4)]
        frames = np.array([np.pad(f, (0, n - len(f))) for f in frames]) * np.hanning(n + 2)[1:-1]
        return np.log(np.maximum(np.abs(np.fft.rfft(frames)) @ filters(n, bands).T, 1e-5))

    scales = [(512, 40), (1024, 80), (2048, 160)]
    return np.mean([np.mean(np.abs(spectrum(x, *s) - spectrum(y, *s))) for s in scales])


def si_sdr(x, y):
    s = x * np.dot(x, y) / np.dot(x, x)
    return 10 * np.log10(np.sum(s**2) / np.sum((y - s) ** 2))


voices = {
    "a": (16000, voice("a", 16000, ["espeak-ng", "-v", "en-gb", "-w", "OUT", "Four score and seven years ago our fathers brought forth a new nation."])),
    "b": (16000, voice("b", 16000, ["flite", "-voice", "slt", "-o", "OUT", "-t", "Alice was beginning to get very tired of sitting by her sister."])),
    "c": (8000, voice("c", 8000, ["flite", "-voice", "rms", "-o", "OUT", "-t", "It was the best of times, it was the worst of times."])),
    "d": (24000, voice("d", 24000, ["flite", "-voice", "awb", "-o", "OUT", "-t", "Call me Ishmael. Some years ago, never mind how long."])),
    "e": (10000, voice("e", 10000, ["espeak-ng", "-v", "en-us+f3", "-w", "OUT", "All happy families are alike."])),
}
a, b, c, d, e = (voices[k][1] for k in "abcde")
pairs = {
    "a-noise0": noise(a, 0),
    "a-noise20": noise(a, 20),
    "a-clip": np.clip(a, -0.05, 0.05),
    "a-lowpass": lowpass(a, 16000, 700),
    "a-opus6": through(a, 16000, "-c:a", "libopus", "-b:a", "6k", suffix=".opus"),
    "a-codec2": through(a, 16000, "-ar", "8000", "-c:a", "libcodec2", "-mode", "1300", suffix=".c2"),
    "b-noise10": noise(b, 10),
    "b-gate": gate(b, 16000),
    "b-opus12": through(b, 16000, "-c:a", "libopus", "-b:a", "12k", suffix=".opus"),
    "b-codec2": through(b, 16000, "-ar", "8000", "-c:a", "libcodec2", "-mode", "3200", suffix=".c2"),
    "b-gsm": through(b, 16000, "-ar", "8000", "-c:a", "libgsm", suffix=".gsm"),
    "b-mp3": through(b, 16000, "-b:a", "8k", suffix=".mp3"),
    "b-echo": b + 0.6 * np.pad(b, (2400, 0))[: len(b)],
    "c-noise5": noise(c, 5),
    "c-codec2": through(c, 8000, "-c:a", "libcodec2", "-mode", "700C", suffix=".c2"),
    "c-late": np.pad(c, (160, 0))[: len(c)],
    "d-noise-5": noise(d, -5),
    "d-clip": np.clip(d, -0.2, 0.2),
    "e-noise3": noise(e, 3),
    "e-other": 0.3 * rng.standard_normal(len(e)),
}


def write(name, x, rate):
    """Writes a FLAC file and gives back the samples as a reader sees them."""
    path = f"{here}/{name}.flac"
    with tempfile.TemporaryDirectory() as t:
        soundfile.write(f"{t}/a.wav", np.clip(x, -1, 1), rate, subtype="PCM_16")
        run("flac", "-8", "-f", "-s", "--no-padding", "-o", path, f"{t}/a.wav")
    return soundfile.read(path)[0]


clean = {k: write(k, x, rate) for k, (rate, x) in voices.items()}
with open(f"{here}/pairs.tsv", "w") as out:
    out.write("reference\tdegraded\testoi\tstoi\tsi_sdr\tmel\n")
    for name, y in pairs.items():
        ref = name[0]
        rate, x = voices[ref][0], clean[ref]
        y = write(name, y, rate)
        values = [pystoi.stoi(x, y, rate, extended=True), pystoi.stoi(x, y, rate), si_sdr(x, y), mel_distance(x, y, rate)]
        out.write("\t".join([ref, name] + ["%.6f" % v for v in values]) + "\n")
