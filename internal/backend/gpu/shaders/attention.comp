#version 460
// Attention: a workgroup makes one row of one head. The weights e go through memory,
// width of them for each row and head. With GRADIENT it makes dq, and leaves e and
// g = (d·v − delta) e for the gradients of k and v.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int GRADIENT = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, q, k, v; // y is dq with GRADIENT
	Ints from, to;
	Floats weights;    // e, and after those of all rows g
	Floats out_, dout; // of the forward pass, and its gradient
	uint rows, first, heads, dim, ys, qs, ks, vs, os, ds, width;
	float scale;
};

shared float part[64];

// total adds up the first 16 partial sums.
float total() {
	uint at = gl_LocalInvocationID.x;
	for (uint half_ = 8; half_ > 0; half_ /= 2) {
		barrier();
		if (at < half_) part[at] += part[at + half_];
	}
	barrier();
	float sum = part[0];
	barrier();
	return sum;
}

void main() {
	uint at = gl_LocalInvocationID.x;
	for (uint job = gl_WorkGroupID.x; job < rows * heads; job += gl_NumWorkGroups.x) {
		uint local = job / heads, m = first + local, c0 = job % heads * dim;
		int lo = from.v[m];
		uint n = uint(max(to.v[m] - lo, 0));
		uint e = job * width, g = (rows * heads + job) * width;
		uint kAt = uint(max(lo, 0)) * ks + c0, vAt = uint(max(lo, 0)) * vs + c0, qAt = m * qs + c0;

		float top = uintBitsToFloat(0xff800000u);
		for (uint j = at; j < n; j += 64) {
			float s = 0.0;
			for (uint c = 0; c < dim; c++) s = fma(q.v[qAt + c], k.v[kAt + j * ks + c], s);
			s *= scale;
			weights.v[e + j] = s;
			top = max(top, s);
		}
		part[at] = top;
		for (uint half_ = 32; half_ > 0; half_ /= 2) {
			barrier();
			if (at < half_) part[at] = max(part[at], part[at + half_]);
		}
		barrier();
		top = part[0];
		barrier();
		for (uint j = at; j < n; j += 64) weights.v[e + j] = expf(weights.v[e + j] - top);
		memoryBarrierBuffer();
		barrier();
		float s = 0.0;
		if (at < 16)
			for (uint j = at; j < n; j += 16) s += weights.v[e + j];
		part[at] = s;
		float r = 1.0 / total();
		if (n == 0) r = 0.0;

		if (GRADIENT == 0) {
			for (uint c = at; c < dim; c += 64) {
				float sum = 0.0;
				for (uint j = 0; j < n; j++) sum = fma(weights.v[e + j], v.v[vAt + j * vs + c], sum);
				y.v[m * ys + c0 + c] = sum * r;
			}
		} else {
			s = 0.0;
			if (at < 16)
				for (uint c = at; c < dim; c += 16) s = fma(dout.v[m * ds + c0 + c] * r, out_.v[m * os + c0 + c], s);
			part[at] = s;
			float delta = total();
			for (uint j = at; j < n; j += 64) {
				float d = 0.0;
				for (uint c = 0; c < dim; c++) d = fma(dout.v[m * ds + c0 + c] * r, v.v[vAt + j * vs + c], d);
				weights.v[g + j] = (d - delta) * weights.v[e + j];
			}
			if (at == 0) weights.v[2 * rows * heads * width + job] = r;
			memoryBarrierBuffer();
			barrier();
			for (uint c = at; c < dim; c += 64) {
				float sum = 0.0;
				for (uint j = 0; j < n; j++) sum = fma(weights.v[g + j], k.v[kAt + j * ks + c], sum);
				y.v[m * ys + c0 + c] = scale * sum;
			}
		}
		memoryBarrierBuffer();
		barrier();
	}
}
