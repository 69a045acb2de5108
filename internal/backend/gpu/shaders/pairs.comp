#version 460
// CompressPairs, or ExpandPairs where EXPAND.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int EXPAND = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, x, m;
	uint rows, pairs, ys, xs, ms;
	float eps;
};

void main() {
	uint n = rows * pairs;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint t = i / pairs, k = 2 * (i - t * pairs);
		float re = x.v[t * xs + k], im = x.v[t * xs + k + 1];
		float g = re * re + im * im + eps;
		if (EXPAND == 0) {
			float mag = sqrt(g);
			m.v[t * ms + k] = mag;
			m.v[t * ms + k + 1] = mag;
			g = sqrt(sqrt(mag)) / mag;
		}
		y.v[t * ys + k] = re * g;
		y.v[t * ys + k + 1] = im * g;
	}
}
