#version 460
// y[m,n] = epilogue(sum over k of a[m,k] b[k,n]) of pairs of bfloat16, the second of a
// pair first, or of INTEGERS of 8 bits with scales for rows and columns. An invocation
// makes 4 rows of a column.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "exact.glsl"
#include "epilogue.glsl"

layout(constant_id = 1) const int INTEGERS = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y;
	Ints a, b; // words of quantize.comp: rows of a, and rows of b [words, cols]
	Floats rowScales, columnScales;
	Epilogue e;
	uint rows, cols, words, ys, bs, rs;
};

void main() {
	uint n = gl_GlobalInvocationID.x, m0 = gl_WorkGroupID.y * 4;
	if (n >= cols) return;
	float s[4];
	int sum[4];
	uint at[4];
	for (uint i = 0; i < 4; i++) {
		s[i] = 0.0;
		sum[i] = 0;
		at[i] = min(m0 + i, rows - 1) * words;
	}
	for (uint k = 0; k < words; k++) {
		uint w = uint(b.v[k * bs + n]);
		if (INTEGERS == 0) {
			float high = uintBitsToFloat(w & 0xffff0000u), low = uintBitsToFloat(w << 16);
			for (uint i = 0; i < 4; i++) {
				uint x = uint(a.v[at[i] + k]);
				s[i] = fmaFlush(uintBitsToFloat(x & 0xffff0000u), high, s[i]);
				s[i] = fmaFlush(uintBitsToFloat(x << 16), low, s[i]);
			}
		} else {
			int w0 = int(w << 24) >> 24, w1 = int(w << 16) >> 24, w2 = int(w << 8) >> 24, w3 = int(w) >> 24;
			for (uint i = 0; i < 4; i++) {
				uint x = uint(a.v[at[i] + k]);
				sum[i] += (int(x << 24) >> 24) * w0 + (int(x << 16) >> 24) * w1 + (int(x << 8) >> 24) * w2 + (int(x) >> 24) * w3;
			}
		}
	}
	for (uint i = 0; i < 4; i++) {
		uint m = m0 + i;
		if (m >= rows) break;
		if (INTEGERS != 0) s[i] = float(sum[i]) * (rowScales.v[m] * columnScales.v[n]);
		y.v[m * ys + n] = finish(e, s[i], m, n, rs);
	}
}
