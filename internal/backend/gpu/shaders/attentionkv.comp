#version 460
// Adds to dk and dv what the queries of attention.comp with GRADIENT give: one value
// of a row of keys an invocation, queries in order.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats dk, dv, q, dout, weights;
	Ints from, to;
	uint keys, rows, first, heads, dim, dks, dvs, qs, ds, width;
	float scale;
};

void main() {
	uint cols = heads * dim, n = keys * cols;
	for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * 64) {
		uint j = i / cols, c = i - j * cols, h = c / dim;
		float k = dk.v[j * dks + c], v = dv.v[j * dvs + c];
		for (uint l = 0; l < rows; l++) {
			uint m = first + l;
			if (int(j) < from.v[m] || int(j) >= to.v[m]) continue;
			uint job = l * heads + h, at = j - uint(from.v[m]);
			float r = weights.v[2 * rows * heads * width + job];
			k = fma(weights.v[(rows * heads + job) * width + at], scale * q.v[m * qs + c], k);
			v = fma(weights.v[job * width + at], dout.v[m * ds + c] * r, v);
		}
		dk.v[j * dks + c] = k;
		dv.v[j * dvs + c] = v;
	}
}
