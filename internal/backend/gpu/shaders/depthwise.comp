#version 460
// DepthwiseConv, or the gradient of its weights where GRADIENT: then y is dw.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int GRADIENT = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, x, w, bias;
	uint rows, cols, ys, xs, ws, taps, dilation;
};

void main() {
	uint n = (GRADIENT == 0 ? rows : taps) * cols;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint t = i / cols, c = i - t * cols;
		if (GRADIENT == 0) {
			float s = given(bias) ? bias.v[c] : 0.0;
			for (uint j = 0; j < taps; j++) s = fma(w.v[j * cols + c], x.v[(t + j * dilation) * xs + c], s);
			y.v[t * ys + c] = s;
		} else {
			float s = y.v[i];
			for (uint m = 0; m < rows; m++) s = fma(x.v[(m + t * dilation) * xs + c], w.v[m * ws + c], s);
			y.v[i] = s;
		}
	}
}
