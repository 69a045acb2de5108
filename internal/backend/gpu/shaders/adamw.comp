#version 460
// AdamWStep, with the constants of f32.AdamW.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats weight, gradient, mean, square;
	uint n;
	float beta1, rest1, beta2, rest2, fix1, fix2, eps, decay, negRate;
};

void main() {
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		float w = weight.v[i], g = gradient.v[i];
		float m = fma(beta1, mean.v[i], rest1 * g);
		float v = fma(beta2, square.v[i], rest2 * g * g);
		float by = m * fix1 / (sqrt(v * fix2) + eps);
		weight.v[i] = fma(negRate, fma(decay, w, by), w);
		mean.v[i] = m;
		square.v[i] = v;
	}
}
