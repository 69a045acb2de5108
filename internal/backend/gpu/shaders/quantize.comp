#version 460
// Rows of values in reduced precision, 32 bits after the other: pairs of bfloat16, or
// INTEGERS of 8 bits with a scale for each row. The last word is filled up with zeros.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int INTEGERS = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Ints y;
	Floats x, scales;
	uint rows, cols, xs, words; // of a row of y
};

shared uint most[64];

// half_ is the upper half of a value rounded to bfloat16; denormals are zeros.
uint half_(float x) {
	uint bits = floatBitsToUint(x);
	if ((bits & 0x7fffffffu) > 0x7f800000u) return bits >> 16 | 0x40u;
	uint h = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
	return (h & 0x7f80u) == 0u ? h & 0x8000u : h;
}

void main() {
	uint at = gl_LocalInvocationID.x;
	for (uint t = gl_WorkGroupID.x; t < rows; t += gl_NumWorkGroups.x) {
		float factor = 0.0;
		if (INTEGERS != 0) {
			uint m = 0; // bits of magnitudes are in their order, NaN above all
			for (uint c = at; c < cols; c += 64) m = max(m, floatBitsToUint(x.v[t * xs + c]) & 0x7fffffffu);
			most[at] = m;
			for (uint other = 32; other > 0; other /= 2) {
				barrier();
				if (at < other) most[at] = max(most[at], most[at + other]);
			}
			barrier();
			m = most[0];
			barrier();
			float scale = uintBitsToFloat(0x7fc00000u);
			if (m < 0x7f800000u) {
				bool some = m >= 0x0d800000u; // 2^-100
				scale = some ? uintBitsToFloat(m) / 127.0 : 0.0;
				factor = some ? 127.0 / uintBitsToFloat(m) : 0.0;
			}
			if (at == 0) scales.v[t] = scale;
		}
		for (uint w = at; w < words; w += 64) {
			uint word = 0;
			uint each = INTEGERS != 0 ? 4 : 2;
			for (uint i = 0; i < each; i++) {
				uint c = w * each + i;
				if (c >= cols) break;
				float v = x.v[t * xs + c];
				if (INTEGERS == 0) {
					word |= half_(v) << (16 * i);
					continue;
				}
				v *= factor;
				if ((floatBitsToUint(v) & 0x7fffffffu) > 0x7f800000u) v = 0.0;
				word |= (uint(int(roundEven(v))) & 0xffu) << (8 * i);
			}
			y.v[t * words + w] = int(word);
		}
	}
}
