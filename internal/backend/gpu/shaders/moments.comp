#version 460
// Adds the values of each column and their squares to sums, rows in order; or makes
// FACTORS of GroupNorm from those: what each column is multiplied by and shifted by.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "exact.glsl"

layout(constant_id = 0) const int FACTORS = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats x;
	Wides sums;
	Floats gamma, beta, factors;
	uint rows, cols, xs, first; // rows of the signal: sums start at 0
	uint width;                 // columns of a group
	float nHigh, nLow, eps;     // values of a group
};

void main() {
	for (uint c = gl_GlobalInvocationID.x; c < cols; c += gl_NumWorkGroups.x * 64) {
		Wide s = wide(0.0), q = wide(0.0);
		if (FACTORS == 0) {
			if (first == 0) {
				s = sums.v[c];
				q = sums.v[cols + c];
			}
			for (uint t = 0; t < rows; t++) {
				float v = x.v[t * xs + c];
				s = plus(s, wide(v));
				q = plusProduct(q, v, v);
			}
			sums.v[c] = s;
			sums.v[cols + c] = q;
		} else {
			uint from = c / width * width;
			for (uint k = from; k < from + width; k++) {
				s = plus(s, sums.v[k]);
				q = plus(q, sums.v[cols + k]);
			}
			float scale, shift;
			affine(s, q, plus(wide(nHigh), wide(nLow)), eps, given(gamma) ? gamma.v[c] : 1.0, given(beta) ? beta.v[c] : 0.0, scale, shift);
			factors.v[c] = scale;
			factors.v[cols + c] = shift;
		}
	}
}
