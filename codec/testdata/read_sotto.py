"""Reads an undamaged bit-packed .sotto file (see FORMAT.md) and prints it as JSON."""
import json, struct, sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check(data):
    assert struct.unpack(">I", data[-4:])[0] == crc32c(data[:-4]), "damaged"


f = open(sys.argv[1], "rb").read()
assert f[:12] == b"\x89SOTTO\r\n\x1a\n\x01\x00", "not a bit-packed .sotto file of version 1"
size, fingerprint, model_rate, rate, hop, channels, bits, samples, q = struct.unpack(">H8sIIIBBQB", f[12:45])
check(f[:size])
sizes = struct.unpack(f">{q}I", f[45:45 + 4 * q])
name = f[46 + 4 * q:][:f[45 + 4 * q]].decode()
groups, product = [], 2**57  # runs of codebooks whose product of sizes is at most 2^56
for s in sizes:
    if product * s > 2**56:
        groups, product = groups + [[]], 1
    groups[-1].append(s)
    product *= s
codes, pos = [[] for _ in range(channels)], size
while f[pos:pos + 2] == b"\xf5P":
    check(f[pos:pos + 24])
    frames, length = int.from_bytes(f[pos + 11:pos + 13], "big"), int.from_bytes(f[pos + 13:pos + 16], "big")
    payload, pos = f[pos + 24:pos + 24 + length], pos + 24 + length
    assert int.from_bytes(f[pos - length - 8:pos - length - 4], "big") == crc32c(payload), "damaged"
    number, left = int.from_bytes(payload, "big"), 8 * length
    for channel in codes:
        for _ in range(frames):
            for group in groups:
                product = 1
                for s in group:
                    product *= s
                left -= (product - 1).bit_length()
                value = number >> left & (1 << (product - 1).bit_length()) - 1
                for s in group:
                    product //= s
                    channel.append(value // product)
                    value %= product
check(f[pos:pos + 27])
samples = struct.unpack(">Q", f[pos + 11:pos + 19])[0]
print(json.dumps(dict(model=name, fingerprint=fingerprint.hex(), model_rate=model_rate, hop_length=hop, sample_rate=rate,
                      channels=channels, bits=bits, samples=samples, codebook_sizes=sizes, codes=codes)))
