#version 460
// Gather.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, table;
	Ints codes;
	uint rows, cols, ys, ts;
};

void main() {
	uint n = rows * cols;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint t = i / cols, c = i - t * cols;
		y.v[t * ys + c] = table.v[uint(codes.v[t]) * ts + c];
	}
}
