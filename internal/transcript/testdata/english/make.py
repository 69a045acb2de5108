"""Rewrites the second column of normalized.tsv: what the English normaliser of
the Python package openai-whisper makes of the sentence in the first.

    pip install openai-whisper==20250625
    python make.py
"""

from whisper.normalizers import EnglishTextNormalizer

normalize = EnglishTextNormalizer()
lines = open("normalized.tsv", encoding="utf-8").read().splitlines()
with open("normalized.tsv", "w", encoding="utf-8") as out:
    for line in lines:
        sentence = line.split("\t")[0]
        print(sentence, normalize(sentence), sep="\t", file=out)
