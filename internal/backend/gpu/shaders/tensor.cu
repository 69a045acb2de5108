// y = epilogue(a b) by the tensor cores of NVIDIA's processors since Ampere: factors of 11
// bits of significand (TF32), or PAIRS of bfloat16 in a word; sums are float32. A
// workgroup of 4 warps makes a tile of 64 x 64, a warp 32 x 32 of it.
struct Push {
	Floats y;
	Ints a, b; // words: rows of a, and rows of b [words, cols]
	Epilogue e;
	uint rows, cols, words, ys, as, bs, rs;
};

const uint TILE = 64, DEEP = 16; // words
// Rows lie so far apart that the lanes of a warp look at 32 banks.
static __shared__ uint left[TILE][DEEP + 4], right[DEEP][TILE + 8];

#ifdef HOST
void host_mma(float *c, const uint *a, const uint *b, bool pairs);
#define mma host_mma
#else
// mma is c += a b for a of 16 x 8 words and b of 8 x 8, spread over a warp.
static __device__ __attribute__((always_inline)) void mma(float *c, const uint *a, const uint *b, bool pairs) {
	if (pairs)
		asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
			: "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
	else
		asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
			: "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// tf32 rounds to 11 bits, halves away from zero; what is not finite stays.
static __device__ uint tf32(uint bits) { return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u; }

template <int C1, int C2> struct Kernel : Push {
	static constexpr bool PAIRS = C1 != 0;
	int ACT;
#include "epilogue.glsl"

	__device__ __attribute__((always_inline)) void run() {
		uint at = __nvvm_read_ptx_sreg_tid_x(), lane = at % 32, g = lane / 4, t = lane % 4;
		uint m0 = uint(__nvvm_read_ptx_sreg_ctaid_y()) * TILE, n0 = uint(__nvvm_read_ptx_sreg_ctaid_x()) * TILE;
		uint wm = at / 64 * 32, wn = at / 32 % 2 * 32; // of the warp in the tile
		float s[2][4][4] = {};
		for (uint k0 = 0; k0 < words; k0 += DEEP) {
			uint x[8], w[8]; // all on their way at once
			for (uint j = 0; j < 8; j++) {
				uint i = at + j * 128, m = m0 + i / DEEP, k = k0 + i % DEEP;
				x[j] = uint(a.v[min(m, rows - 1) * as + min(k, words - 1)]);
				if (m >= rows || k >= words) x[j] = 0;
				k = k0 + i / TILE;
				uint n = n0 + i % TILE;
				w[j] = uint(b.v[min(k, words - 1) * bs + min(n, cols - 1)]);
				if (n >= cols || k >= words) w[j] = 0;
			}
			for (uint j = 0; j < 8; j++) {
				uint i = at + j * 128;
				left[i / DEEP][i % DEEP] = PAIRS ? x[j] : tf32(x[j]);
				right[i / TILE][i % TILE] = PAIRS ? w[j] : tf32(w[j]);
			}
			__syncthreads();
			for (uint k = 0; k < DEEP; k += 8) {
				uint l[2][4], r[4][2];
				for (uint i = 0; i < 2; i++)
					for (uint q = 0; q < 4; q++) l[i][q] = left[wm + i * 16 + q % 2 * 8 + g][k + q / 2 * 4 + t];
				for (uint j = 0; j < 4; j++)
					for (uint q = 0; q < 2; q++) r[j][q] = right[k + q * 4 + t][wn + j * 8 + g];
				for (uint i = 0; i < 2; i++)
					for (uint j = 0; j < 4; j++) mma(s[i][j], l[i], r[j], PAIRS);
			}
			__syncthreads();
		}
		// A copy, so that this loop, which is long, need not be unrolled to keep s in registers.
		float sum[32];
		for (uint i = 0; i < 2; i++)
			for (uint j = 0; j < 4; j++)
				for (uint r = 0; r < 4; r++) sum[i * 16 + j * 4 + r] = s[i][j][r];
		for (uint l = 0; l < 32; l++) {
			uint m = m0 + wm + l / 16 * 16 + l % 4 / 2 * 8 + g, n = n0 + wn + l / 4 % 4 * 8 + t * 2 + l % 2;
			if (m < rows && n < cols) y.v[m * ys + n] = finish(e, sum[l], m, n, rs);
		}
	}
};
