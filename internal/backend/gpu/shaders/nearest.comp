#version 460
// The index of the smallest half[n] - product[t,n] of each row, the lowest on a tie.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Ints codes;
	Floats product, half_;
	uint rows, cols;
};

shared float distance_[64];
shared int index[64];

void main() {
	uint at = gl_LocalInvocationID.x;
	for (uint t = gl_WorkGroupID.x; t < rows; t += gl_NumWorkGroups.x) {
		float best = uintBitsToFloat(0x7f800000u);
		int code = 0x7fffffff;
		for (uint n = at; n < cols; n += 64) {
			float d = half_.v[n] - product.v[t * cols + n];
			if (d < best) {
				best = d;
				code = int(n);
			}
		}
		distance_[at] = best;
		index[at] = code;
		for (uint other = 32; other > 0; other /= 2) {
			barrier();
			if (at < other && (distance_[at + other] < distance_[at] || distance_[at + other] == distance_[at] && index[at + other] < index[at])) {
				distance_[at] = distance_[at + other];
				index[at] = index[at + other];
			}
		}
		barrier();
		if (at == 0) codes.v[t] = index[0] == 0x7fffffff ? 0 : index[0];
		barrier();
	}
}
