"""Reads lines of two WAV files, reference and decoded, parted by a tab; prints
the wide-band PESQ (ITU-T P.862.2) of each pair, or "none" where there is none."""
import sys
import wave

import numpy
import pesq


def read(path):
    with wave.open(path) as f:
        return numpy.frombuffer(f.readframes(f.getnframes()), "<i2").astype("float32") / 32768


for line in sys.stdin:
    reference, decoded = (read(p) for p in line.rstrip("\n").split("\t"))
    try:
        print(pesq.pesq(16000, reference, decoded, "wb"), flush=True)
    except pesq.NoUtterancesError:
        print("none", flush=True)
