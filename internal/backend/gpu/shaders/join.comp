#version 460
// Join: a workgroup plays for one node, of whose products with the clusters' sums it
// makes the weights of its edges.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "exact.glsl"

layout(constant_id = 0) const int SOFT = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Ints codes;
	Floats edges, x, bias, inside, inverse, bits;
	uint rows, clusters, dim, xs;
	float total;
};

shared float part[64];
shared int index[64];
shared Wide square[4];

// log2f is Log2 of package f32.
float log2f(float x) {
	uint b = floatBitsToUint(x);
	uint e = (b + 0x4afb0du) >> 23;
	float t = uintBitsToFloat(b - (e << 23) + 0x3f800000u) - 1.0;
	float p = 0.12583549320697784;
	p = fma(p, t, -0.20726914703845978);
	p = fma(p, t, 0.21571588516235352);
	p = fma(p, t, -0.23894493281841278);
	p = fma(p, t, 0.28791624307632446);
	p = fma(p, t, -0.3607036769390106);
	p = fma(p, t, 0.48091062903404236);
	p = fma(p, t, -0.7213473320007324);
	p = fma(p, t, 1.4426950216293335);
	return fma(p, t, float(e) - 127.0);
}

// exp2f is Exp2 of package f32.
float exp2f(float x) {
	if (x < -125.0) x = -125.0;
	float t = x + MAGIC;
	float r = x - (t - MAGIC);
	float p = 0.009570099413394928;
	p = fma(p, r, 0.05591786280274391);
	p = fma(p, r, 0.240247443318367);
	p = fma(p, r, 0.6931217908859253);
	p = fma(p, r, 0.9999992847442627);
	return uintBitsToFloat(floatBitsToUint(p) + (floatBitsToUint(t) << 23));
}

void main() {
	uint at = gl_LocalInvocationID.x;
	for (uint t = gl_WorkGroupID.x; t < rows; t += gl_NumWorkGroups.x) {
		// The length of x: four sums of squares, what is left over in the first.
		if (at < 4) {
			Wide s = wide(0.0);
			uint whole = dim / 4 * 4;
			for (uint k = at; k < whole; k += 4) s = plusProduct(s, x.v[t * xs + k], x.v[t * xs + k]);
			for (uint k = whole; k < dim && at == 0; k++) s = plusProduct(s, x.v[t * xs + k], x.v[t * xs + k]);
			square[at] = s;
		}
		barrier();
		float scale = inverseRoot(plus(plus(square[0], square[1]), plus(square[2], square[3])));
		uint row = t * clusters;
		for (uint e = at; e < clusters; e += 64) {
			float w = fma(edges.v[row + e], scale, bias.v[e]);
			if (SOFT != 0) w = exp2f(w);
			else if (w < 0.0) w = 0.0;
			edges.v[row + e] = w;
		}
		memoryBarrierBuffer();
		barrier();
		float s = 0.0;
		if (at < 16)
			for (uint e = at; e < clusters; e += 16) s += edges.v[row + e];
		part[at] = s;
		for (uint other = 8; other > 0; other /= 2) {
			barrier();
			if (at < other) part[at] += part[at + other];
		}
		barrier();
		float d = part[0];
		barrier();
		float c = log2f(total + 2.0 * d);
		float best = uintBitsToFloat(0x7f800000u);
		int code = 0x7fffffff;
		for (uint e = at; e < clusters; e += 64) {
			float w = edges.v[row + e];
			float all_ = log2f(fma(w + d, inverse.v[e], 1.0));
			float loss = all_ - log2f(fma(w, inverse.v[e], 1.0));
			if (loss < 0.0) loss = 0.0;
			float h = fma(inside.v[e], loss, (w + w) * ((bits.v[e] - c) + all_));
			if (h < best) {
				best = h;
				code = int(e);
			}
		}
		part[at] = best;
		index[at] = code;
		for (uint other = 32; other > 0; other /= 2) {
			barrier();
			if (at < other && (part[at + other] < part[at] || part[at + other] == part[at] && index[at + other] < index[at])) {
				part[at] = part[at + other];
				index[at] = index[at + other];
			}
		}
		barrier();
		if (at == 0) codes.v[t] = d == 0.0 ? -1 : index[0] == 0x7fffffff ? 0 : index[0];
		barrier();
	}
}
