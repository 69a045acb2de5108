#version 460
// y[m,n] = epilogue(start + sum over k of a[m,k] b[k,n]), by FMA in the order of k. A
// workgroup makes a tile of 64 x 64, an invocation 8 x 8 of it. With ADD the sum starts
// at y and there is no epilogue.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "epilogue.glsl"

layout(constant_id = 1) const int ADD = 0;
layout(local_size_x = 64) in;
layout(push_constant, std430) uniform Push {
	Floats y, a, b;
	Epilogue e;
	uint rows, cols, depth, ys, am, ak, bs, rs;
};

const uint TILE = 64, DEEP = 16;
shared float left[DEEP][TILE], right[DEEP][TILE];

void main() {
	uint at = gl_LocalInvocationID.x, row = at / 8, col = at % 8;
	uint m0 = gl_WorkGroupID.y * TILE, n0 = gl_WorkGroupID.x * TILE;
	// Copies, so that the long loops over them need not be unrolled to keep s in registers.
	float s[8][8], sum[64];
	for (uint l = 0; l < 64; l++) {
		uint m = m0 + l / 8 * 8 + row, n = n0 + l % 8 * 8 + col;
		sum[l] = ADD != 0 && m < rows && n < cols ? y.v[m * ys + n] : 0.0;
	}
	for (uint i = 0; i < 8; i++)
		for (uint j = 0; j < 8; j++) s[i][j] = sum[i * 8 + j];
	for (uint k0 = 0; k0 < depth; k0 += DEEP) {
		for (uint k = 0; k < DEEP; k++) {
			// Neighbours read neighbours: along k where the rows of a are dense, along m
			// where its columns are.
			if (ak == 1) {
				uint i = k * 4 + at / 16, kk = at % 16;
				left[kk][i] = m0 + i < rows && k0 + kk < depth ? a.v[(m0 + i) * am + (k0 + kk)] : 0.0;
			} else {
				left[k][at] = m0 + at < rows && k0 + k < depth ? a.v[(m0 + at) * am + (k0 + k) * ak] : 0.0;
			}
			right[k][at] = n0 + at < cols && k0 + k < depth ? b.v[(k0 + k) * bs + (n0 + at)] : 0.0;
		}
		barrier();
		uint deep = min(DEEP, depth - k0);
		for (uint k = 0; k < deep; k++) {
			float l[8], r[8];
			for (uint i = 0; i < 8; i++) {
				l[i] = left[k][i * 8 + row];
				r[i] = right[k][i * 8 + col];
			}
			for (uint i = 0; i < 8; i++)
				for (uint j = 0; j < 8; j++) s[i][j] = fma(l[i], r[j], s[i][j]);
		}
		barrier();
	}
	for (uint i = 0; i < 8; i++)
		for (uint j = 0; j < 8; j++) sum[i * 8 + j] = s[i][j];
	for (uint l = 0; l < 64; l++) {
		uint m = m0 + l / 8 * 8 + row, n = n0 + l % 8 * 8 + col;
		if (m < rows && n < cols) y.v[m * ys + n] = ADD != 0 ? sum[l] : finish(e, sum[l], m, n, rs);
	}
}
