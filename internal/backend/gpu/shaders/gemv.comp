#version 460
// As gemm.comp, for packed b, without shared memory: an invocation makes ROWS rows of
// 4·QUADS columns. For few rows, and for processors that stand in for a device. The
// columns of b are filled up with zeros to a multiple of 64.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "epilogue.glsl"

layout(constant_id = 1) const uint ROWS = 8;
layout(constant_id = 2) const uint QUADS = 2;
layout(local_size_x = 16) in;
layout(push_constant, std430) uniform Push {
	Floats y;
	Floats a, b;
	Epilogue e;
	uint rows, cols, depth, ys, am, bs, rs;
};

void main() {
	uint m0 = gl_WorkGroupID.y * ROWS, n0 = gl_GlobalInvocationID.x * (4 * QUADS);
	if (n0 >= cols) return;
	Quads bq = Quads(uvec2(b));
	vec4 s[8][2];
	uint at[8];
	for (uint i = 0; i < ROWS; i++) {
		at[i] = min(m0 + i, rows - 1) * am;
		for (uint j = 0; j < QUADS; j++) s[i][j] = vec4(0.0);
	}
	uint k = 0;
	uint w = n0 / 4, step_ = bs / 4;
	for (; k + 4 <= depth; k += 4) {
		vec4 x[8];
		for (uint i = 0; i < ROWS; i++) x[i] = vec4(a.v[at[i] + k], a.v[at[i] + k + 1], a.v[at[i] + k + 2], a.v[at[i] + k + 3]);
		for (uint kk = 0; kk < 4; kk++) {
			for (uint j = 0; j < QUADS; j++) {
				vec4 q = bq.v[w + j];
				for (uint i = 0; i < ROWS; i++) s[i][j] = fma(vec4(x[i][kk]), q, s[i][j]);
			}
			w += step_;
		}
	}
	for (; k < depth; k++) {
		for (uint j = 0; j < QUADS; j++) {
			vec4 q = bq.v[w + j];
			for (uint i = 0; i < ROWS; i++) s[i][j] = fma(vec4(a.v[at[i] + k]), q, s[i][j]);
		}
		w += step_;
	}
	// A copy, so that this loop, which is long, need not be unrolled to keep s in registers.
	float sum[64];
	for (uint i = 0; i < ROWS; i++)
		for (uint j = 0; j < QUADS; j++)
			for (uint l = 0; l < 4; l++) sum[(i * QUADS + j) * 4 + l] = s[i][j][l];
	for (uint l = 0; l < ROWS * QUADS * 4; l++) {
		uint m = m0 + l / (QUADS * 4), n = n0 + l % (QUADS * 4);
		if (m < rows && n < cols) y.v[m * ys + n] = finish(e, sum[l], m, n, rs);
	}
}
