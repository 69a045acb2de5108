"""Packs the vocabularies of openai-whisper (MIT, see README.md beside this
script): gzip of the byte strings in the order of their ids, each after its
length in one byte.

    pip install openai-whisper==20250625
    python make.py
"""
import base64
import gzip
import os

import whisper

here = os.path.dirname(os.path.abspath(__file__))
assets = os.path.join(os.path.dirname(whisper.__file__), "assets")
for name in ("gpt2", "multilingual"):
    with open(os.path.join(assets, name + ".tiktoken")) as f:
        rows = [line.split() for line in f if line.strip()]
    assert [int(rank) for _, rank in rows] == list(range(len(rows)))
    tokens = [base64.b64decode(token) for token, _ in rows]
    raw = b"".join(bytes([len(t)]) + t for t in tokens)
    with open(os.path.join(here, name + ".gz"), "wb") as f:
        with gzip.GzipFile(fileobj=f, mode="wb", compresslevel=9, mtime=0, filename="") as z:
            z.write(raw)
