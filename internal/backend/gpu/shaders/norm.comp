#version 460
// LayerNorm (MODE 0), RMSNorm (1) and the gradient of LayerNorm (2, where y is dx and
// xhat is set): 16 invocations a row hold its 16 partial sums.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int MODE = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, x, gamma, beta, dy, xhat;
	uint rows, cols, ys, xs, dys;
	float eps;
};

shared float part[64];

// total adds up the sums of the 16 invocations of a row.
float total(float s) {
	uint at = gl_LocalInvocationID.x;
	part[at] = s;
	for (uint half_ = 8; half_ > 0; half_ /= 2) {
		barrier();
		if (at % 16 < half_) part[at] += part[at + half_];
	}
	barrier();
	float sum = part[at / 16 * 16];
	barrier();
	return sum;
}

void main() {
	uint lane = gl_LocalInvocationID.x % 16, inGroup = gl_LocalInvocationID.x / 16;
	float n = float(cols);
	for (uint first = gl_WorkGroupID.x * 4; first < rows; first += gl_NumWorkGroups.x * 4) {
		uint t = min(first + inGroup, rows - 1); // all reach the barriers
		bool mine = first + inGroup < rows;
		uint in_ = t * xs, out_ = t * ys;
		float mean = 0.0, s = 0.0;
		if (MODE != 1) {
			for (uint c = lane; c < cols; c += 16) s += x.v[in_ + c];
			mean = total(s) / n;
			s = 0.0;
			for (uint c = lane; c < cols; c += 16) {
				float d = x.v[in_ + c] - mean;
				s = fma(d, d, s);
			}
		} else {
			for (uint c = lane; c < cols; c += 16) {
				float v = x.v[in_ + c];
				s += v * v;
			}
		}
		float r = 1.0 / sqrt(total(s) / n + eps);
		if (MODE != 2) {
			for (uint c = lane; c < cols && mine; c += 16) {
				float v = (x.v[in_ + c] - mean) * r;
				if (given(gamma)) v = MODE == 0 && given(beta) ? fma(v, gamma.v[c], beta.v[c]) : v * gamma.v[c];
				y.v[out_ + c] = v;
			}
			continue;
		}
		float p = 0.0, q = 0.0;
		for (uint c = lane; c < cols; c += 16) {
			float h = (x.v[in_ + c] - mean) * r;
			float g = dy.v[t * dys + c];
			if (given(gamma)) g *= gamma.v[c];
			p += g;
			q = fma(g, h, q);
		}
		float level = total(p) / n, tilt = -(total(q) / n);
		for (uint c = lane; c < cols && mine; c += 16) {
			float h = (x.v[in_ + c] - mean) * r;
			float g = dy.v[t * dys + c];
			if (given(gamma)) g *= gamma.v[c];
			xhat.v[t * cols + c] = h;
			y.v[out_ + c] = r * fma(h, tilt, g - level);
		}
	}
}
