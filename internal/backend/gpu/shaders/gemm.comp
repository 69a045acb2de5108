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
// Four of a row of left are read at once; its rows lie apart, as its columns are written.
shared vec4 left[DEEP][TILE / 4 + 1];
shared vec4 right[DEEP][TILE / 4];

// place is the row, or the column, of a tile that is number i of 8 of an invocation's.
uint place(uint i, uint mine) { return i / 4 * 32 + mine * 4 + i % 4; }

void main() {
	uint at = gl_LocalInvocationID.x, row = at / 8, col = at % 8;
	uint m0 = gl_WorkGroupID.y * TILE, n0 = gl_WorkGroupID.x * TILE;
	// Copies, so that the long loops over them need not be unrolled to keep s in registers.
	float s[8][8], sum[64];
	for (uint l = 0; l < 64; l++) {
		uint m = m0 + place(l / 8, row), n = n0 + place(l % 8, col);
		sum[l] = ADD != 0 && m < rows && n < cols ? y.v[m * ys + n] : 0.0;
	}
	for (uint i = 0; i < 8; i++)
		for (uint j = 0; j < 8; j++) s[i][j] = sum[i * 8 + j];
	for (uint k0 = 0; k0 < depth; k0 += DEEP) {
		for (uint part = 0; part < DEEP; part += 4) {
			// Eight loads are on their way at once. Neighbours read neighbours: along k
			// where the rows of a are dense, along m where its columns are.
			float x[4], w[4];
			for (uint j = 0; j < 4; j++) {
				uint k = part + j, i = ak == 1 ? k * 4 + at / 16 : at, kk = ak == 1 ? at % 16 : k;
				float v = a.v[min(m0 + i, rows - 1) * am + min(k0 + kk, depth - 1) * ak];
				x[j] = m0 + i < rows && k0 + kk < depth ? v : 0.0;
				v = b.v[min(k0 + k, depth - 1) * bs + min(n0 + at, cols - 1)];
				w[j] = n0 + at < cols && k0 + k < depth ? v : 0.0;
			}
			for (uint j = 0; j < 4; j++) {
				uint k = part + j, i = ak == 1 ? k * 4 + at / 16 : at, kk = ak == 1 ? at % 16 : k;
				left[kk][i / 4][i % 4] = x[j];
				right[k][at / 4][at % 4] = w[j];
			}
		}
		barrier();
		uint deep = min(DEEP, depth - k0);
		for (uint k = 0; k < deep; k++) {
			vec4 l[2], r[2];
			for (uint i = 0; i < 2; i++) {
				l[i] = left[k][i * 8 + row];
				r[i] = right[k][i * 8 + col];
			}
			for (uint i = 0; i < 8; i++)
				for (uint j = 0; j < 8; j++) s[i][j] = fma(l[i / 4][i % 4], r[j / 4][j % 4], s[i][j]);
		}
		barrier();
	}
	for (uint i = 0; i < 8; i++)
		for (uint j = 0; j < 8; j++) sum[i * 8 + j] = s[i][j];
	for (uint l = 0; l < 64; l++) {
		uint m = m0 + place(l / 8, row), n = n0 + place(l % 8, col);
		if (m < rows && n < cols) y.v[m * ys + n] = ADD != 0 ? sum[l] : finish(e, sum[l], m, n, rs);
	}
}
