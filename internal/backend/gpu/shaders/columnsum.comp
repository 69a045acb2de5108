#version 460
// ColumnSum: one column an invocation, rows in order.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats sum, x, z;
	uint rows, cols, xs, zs;
};

void main() {
	for (uint c = gl_GlobalInvocationID.x; c < cols; c += gl_NumWorkGroups.x * 64) {
		float s = sum.v[c];
		for (uint t = 0; t < rows; t++) {
			if (given(z)) s = fma(x.v[t * xs + c], z.v[t * zs + c], s);
			else s += x.v[t * xs + c];
		}
		sum.v[c] = s;
	}
}
