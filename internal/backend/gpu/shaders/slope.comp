#version 460
// dx = dy act'(x).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int ACT = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats dx, x, dy;
	uint rows, cols, dxs, xs, dys;
};

void main() {
	uint n = rows * cols;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint m = rows == 1 ? 0 : i / cols, c = i - m * cols; // dense matrices come as a row
		dx.v[m * dxs + c] = dy.v[m * dys + c] * slope(x.v[m * xs + c], ACT);
	}
}
