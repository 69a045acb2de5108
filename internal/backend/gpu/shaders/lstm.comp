#version 460
// LSTMCell.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats h, c, gates;
	uint rows, cols, hs, cs, gs;
};

void main() {
	uint n = rows * cols;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint t = i / cols, k = i - t * cols, g = t * gs + k;
		float v = fma(sigmoidf(gates.v[g + cols]), c.v[t * cs + k], sigmoidf(gates.v[g]) * tanhf(gates.v[g + 2 * cols]));
		c.v[t * cs + k] = v;
		h.v[t * hs + k] = sigmoidf(gates.v[g + 3 * cols]) * tanhf(v);
	}
}
