#version 460
// Repack: copies a matrix [depth, cols], or one that is stored transposed where
// TRANSPOSED, to rows that lie pitch values apart.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int TRANSPOSED = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, w;
	uint depth, cols, pitch;
};

void main() {
	uint n = depth * cols;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint k = i / cols, c = i - k * cols;
		y.v[k * pitch + c] = w.v[TRANSPOSED == 0 ? i : c * depth + k];
	}
}
