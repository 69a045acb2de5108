"""Reads an undamaged entropy-coded .sotto file by its network (see FORMAT.md) and prints the codes [channel][frame·codebook] as JSON."""
import array, hashlib, json, struct, sys

f, net = (open(path, "rb").read() for path in sys.argv[1:])
n = struct.unpack("<Q", net[:8])[0]
head, tensor = json.loads(net[8 : 8 + n]), {}
for name, t in head.items():
    if name != "__metadata__":
        first, last = t["data_offsets"]
        tensor[name] = array.array({"I8": "b", "I16": "h", "U16": "H", "I32": "i"}[t["dtype"]], net[8 + n + first : 8 + n + last])
c = json.loads(head["__metadata__"]["config"])
size, D, G, H, O = (c[k] for k in ("size", "dim", "trunk", "hidden", "out"))
depth = (size - 1).bit_length()
assert f[:12] == b"\x89SOTTO\r\n\x1a\n\x01\x01", "not an entropy-coded .sotto file of version 1"
channels, Q = f[34], f[44]
name_at = 45 + 4 * Q
assert f[name_at + 1 + f[name_at] :][:8] == hashlib.sha256(net).digest()[:8], "coded with another network"


def part(name, q, n):  # n values a codebook
    return tensor[name][q * n : (q + 1) * n]


def product(start, x, w):  # w is [len(x)][len(start)]
    return [s + sum(v * w[i * len(start) + j] for i, v in enumerate(x)) for j, s in enumerate(start)]


def squash(sums, shift, low=-2047):
    return [min(max(s + (1 << shift - 1) >> shift, low), 2047) for s in sums]


class Decoder:
    def __init__(self, data):
        self.data, self.at, self.width = data, 4, 2**32 - 1
        self.value = int.from_bytes((data + bytes(4))[:4], "big")

    def bit(self, p):
        one = (self.width >> 16) * p
        bit = self.value < one
        if bit:
            self.width = one
        else:
            self.value, self.width = self.value - one, self.width - one
        while self.width < 2**24:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.value, self.width, self.at = self.value << 8 | byte, self.width << 8, self.at + 1
        return int(bit)


def channel(d, frames):
    lags, means, codes = [[0] * D] * c["lags"], [[0] * D for _ in c["means"]], []
    for _ in range(frames):
        x = sum(lags, []) + [m >> 7 for mean in means for m in mean]
        g = squash(product(part("trunk_bias", Q - 1, G), x, tensor["trunk"]), c["trunk_shift"], 0)
        context = product(product([0] * H, x, tensor["skip"]), g, tensor["mix"])
        frame = [0] * D
        for q in range(Q):
            s = product([a + b for a, b in zip(context, part("bias", q, H))], frame, part("part", q, D * H))
            h = squash(s[: H // 2], c["hidden_shift"]) + squash(s[H // 2 :], c["hidden_shift"], 0)
            o = squash(product(part("out_bias", q, O), h, part("out", q, H * O)), c["out_shift"])
            node = 1
            for _ in range(depth):
                i = (q << depth) + node
                s = tensor["node_bias"][i] + sum(a * b for a, b in zip(o, tensor["nodes"][i * O : (i + 1) * O]))
                logit = min(max(s + (1 << c["node_shift"] - 1) >> c["node_shift"], -2048), 2047)
                node = 2 * node + d.bit(tensor["sigmoid"][logit + 2048])
            code = part("ranks", q, size).index(node - (1 << depth))
            codes.append(code)
            frame = [a + b for a, b in zip(frame, part("embedding", q * size + code, D))]
        for mean, shift in zip(means, c["means"]):
            mean[:] = [m + ((v << 8) - m >> shift) for m, v in zip(mean, frame)]
        lags = [frame] + lags[:-1]
    return codes


codes, pos = [[] for _ in range(channels)], struct.unpack(">H", f[12:14])[0]
bits = (size**Q - 1).bit_length()  # of a packed frame: Q·log2(size) is at most 56 here
while f[pos : pos + 2] == b"\xf5P":
    frames, length = int.from_bytes(f[pos + 11 : pos + 13], "big"), int.from_bytes(f[pos + 13 : pos + 16], "big")
    payload, pos = f[pos + 24 : pos + 24 + length], pos + 24 + length
    if length == (channels * frames * bits + 7) // 8:  # bit-packed, as in mode 0
        number, left = int.from_bytes(payload, "big"), 8 * length
        for out in codes:
            for _ in range(frames):
                left -= bits
                value = number >> left & (1 << bits) - 1
                out += [value // size ** (Q - 1 - q) % size for q in range(Q)]
    else:
        decoder = Decoder(payload)
        for out in codes:
            out += channel(decoder, frames)
print(json.dumps(codes))
