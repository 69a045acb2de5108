#!/usr/bin/env python3
"""Makes the clips of this folder.

Needs numpy and the tools ffmpeg, lame, flac, oggenc, oggdec, opusenc and opusdec. The clip
is our own synthetic voice: harmonics of a gliding pitch under moving formants,
then a burst of noise. Files named *.ref.wav are what ffmpeg
(oggdec for Vorbis, opusdec for Opus) decodes from the lossy file of the same name, as 16-bit
integers.
"""
import os
import struct
import subprocess
import wave

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)


def clip(rate, seconds, channels):
    n = int(rate * seconds)
    t = np.arange(n) / rate
    rng = np.random.default_rng(7)
    out = []
    for c in range(channels):
        pitch = 120 + 40 * t / seconds + 15 * c
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        x = np.zeros(n)
        for h in range(1, 40):
            f = pitch * h
            gain = sum(1 / (1 + ((f - f0 - 300 * t / seconds) / 90) ** 2) for f0 in (500, 1500, 2500))
            x += np.where(f < 0.45 * rate, gain * np.sin(h * phase + c), 0)
        x *= np.minimum(1, 30 * t) * (t < 0.7 * seconds)
        x += (t >= 0.7 * seconds) * rng.standard_normal(n) * 0.3
        out.append(x / np.abs(x).max() * 0.7)
    return np.stack(out, axis=1)


def write_wav(name, x, rate):
    with wave.open(name, "wb") as w:
        w.setnchannels(x.shape[1])
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(np.round(x * 32767).astype("<i2").tobytes())


def run(*args):
    subprocess.run([str(a) for a in args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ff(src, dst, *args):
    run("ffmpeg", "-y", "-bitexact", "-i", src, "-bitexact", *args, dst)


def chunks(path):
    b = open(path, "rb").read()
    out, p = {}, 12
    while p + 8 <= len(b):
        n = struct.unpack("<I", b[p + 4:p + 8])[0]
        out[b[p:p + 4]] = b[p + 8:p + 8 + n]
        p += 8 + n + n % 2
    return out


def chunk(tag, body, size=None):
    return tag + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


write_wav("mono16k.wav", clip(16000, 0.3, 1), 16000)
write_wav("stereo44k.wav", clip(44100, 0.2, 2), 44100)

# Lossless kinds of the mono clip.
m = "mono16k.wav"
ff(m, "s24.wav", "-c:a", "pcm_s24le")
ff(m, "s32.wav", "-c:a", "pcm_s32le")
ff(m, "f32.wav", "-c:a", "pcm_f32le")
ff(m, "f64.wav", "-c:a", "pcm_f64le")
ff(m, "rf64.wav", "-rf64", "always")
ff(m, "ext24.wav", "-c:a", "pcm_s24le", "-ac", "1", "-channel_layout", "mono")
c = chunks(m)
fmt, data = c[b"fmt "], c[b"data"]
guid = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
# WAVE_FORMAT_EXTENSIBLE, an odd chunk with its pad byte before fmt, one between,
# and chunks behind the data.
ext = struct.pack("<H", 0xFFFE) + fmt[2:16] + struct.pack("<HHIH", 22, 16, 4, 1) + guid
body = b"WAVE" + chunk(b"junk", b"odd") + chunk(b"fmt ", ext) + chunk(b"note", b"x" * 77) \
    + chunk(b"data", data) + chunk(b"LIST", b"INFOIART" * 9) + chunk(b"id3 ", b"y" * 31)
open("chunks.wav", "wb").write(b"RIFF" + struct.pack("<I", len(body)) + body)
# What ffmpeg writes into a pipe.
with open("pipe.wav", "wb") as f:
    subprocess.run(["ffmpeg", "-v", "error", "-i", m, "-f", "wav", "-"], check=True, stdout=f)
run("flac", "-f", "-8", "--no-padding", "-o", "mono16k.flac", m)
run("flac", "-f", "-8", "--no-padding", "-o", "stereo44k.flac", "stereo44k.wav")
ff(m, "s24at24k.wav", "-c:a", "pcm_s24le", "-ar", "24000", "-t", "0.15")
run("flac", "-f", "-8", "--no-padding", "-o", "s24at24k.flac", "s24at24k.wav")
open("mono16k.s16", "wb").write(data)

# Kinds that lose by a table: the reference is ffmpeg's.
for name, codec in (("u8", "pcm_u8"), ("alaw", "pcm_alaw"), ("mulaw", "pcm_mulaw")):
    ff(m, name + ".wav", "-c:a", codec)
    ff(name + ".wav", name + ".ref.wav", "-c:a", "pcm_s16le")

# Lossy kinds.
run("lame", "--quiet", "-b", "128", "stereo44k.wav", "stereo44k.mp3")
run("lame", "--quiet", "-V", "4", m, "mono16k.mp3")
run("lame", "--quiet", "-t", "-b", "48", m, "bare.mp3")
run("oggenc", "-Q", "-q", "5", "-s", "1", "-o", "stereo44k.ogg", "stereo44k.wav")
run("oggenc", "-Q", "-q", "3", "-s", "1", "-o", "mono16k.ogg", m)
for name in ("stereo44k.mp3", "mono16k.mp3", "bare.mp3"):
    ff(name, name.replace(".", "-") + ".ref.wav", "-c:a", "pcm_s16le")
# ffmpeg 5 does not cut the end of an Ogg file of one page.
# Opus of each of its modes: SILK, hybrid and CELT.
run("opusenc", "--quiet", "--serial", "1", "--bitrate", "12", "--hard-cbr", "--speech", m, "silk.opus")
run("opusenc", "--quiet", "--serial", "1", "--bitrate", "28", "--hard-cbr", "--speech", "stereo44k.wav", "hybrid.opus")
run("opusenc", "--quiet", "--serial", "1", "--bitrate", "96", "--hard-cbr", "--music", "stereo44k.wav", "celt.opus")
for name in ("silk", "hybrid", "celt"):
    run("opusdec", "--quiet", "--rate", "48000", "--no-dither", name + ".opus", name + "-opus.ref.wav")

for name in ("stereo44k.ogg", "mono16k.ogg"):
    run("oggdec", "-Q", "-b", "16", "-o", name.replace(".", "-") + ".ref.wav", name)

# Starts of what is not read.
ff(m, "not.m4a", "-c:a", "aac")
ff(m, "not.aac", "-c:a", "aac")
ff(m, "not.webm", "-c:a", "libopus", "-b:a", "6k")
ff(m, "not.aiff")
ff(m, "not.mp2", "-c:a", "mp2")
ff(m, "not8k.mp3", "-ar", "8000", "-c:a", "libmp3lame", "-b:a", "8k")
for name in os.listdir("."):
    if name.startswith("not"):
        b = open(name, "rb").read()[:1024]
        open(name, "wb").write(b)
