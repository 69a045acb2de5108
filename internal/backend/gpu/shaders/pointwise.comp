#version 460
// y = epilogue(x): Finish, Activate, Copy, Add and ScaleAdd.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "epilogue.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, x;
	Epilogue e;
	uint rows, cols, ys, xs, rs;
};

void main() {
	uint n = rows * cols;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint m = rows == 1 ? 0 : i / cols, c = i - m * cols; // dense matrices come as a row
		y.v[m * ys + c] = finish(e, x.v[m * xs + c], m, c, rs);
	}
}
