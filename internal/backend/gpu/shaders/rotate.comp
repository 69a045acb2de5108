#version 460
// Rotate, or back where BACK.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int BACK = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, x, cosines, sines;
	uint rows, heads, half_, ys, xs;
};

void main() {
	uint n = rows * heads * half_;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint t = i / (heads * half_), r = i - t * heads * half_, h = r / half_, k = r - h * half_;
		float c = cosines.v[t * half_ + k], s = sines.v[t * half_ + k];
		if (BACK != 0) s = -s;
		uint at = 2 * h * half_ + k;
		float p = x.v[t * xs + at], q = x.v[t * xs + at + half_];
		y.v[t * ys + at] = p * c - q * s;
		y.v[t * ys + at + half_] = q * c + p * s;
	}
}
