#version 460
// Rotate.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, x, cosines, sines;
	uint rows, heads, half_, ys, xs, adjacent, back;
};

void main() {
	uint n = rows * heads * half_;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint t = i / (heads * half_), r = i - t * heads * half_, h = r / half_, k = r - h * half_;
		float c = cosines.v[t * half_ + k], s = sines.v[t * half_ + k];
		if (back != 0) s = -s;
		uint at = 2 * h * half_ + (adjacent != 0 ? 2 * k : k), other = at + (adjacent != 0 ? 1 : half_);
		float p = x.v[t * xs + at], q = x.v[t * xs + other];
		y.v[t * ys + at] = p * c - q * s;
		y.v[t * ys + other] = q * c + p * s;
	}
}
