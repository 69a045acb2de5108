// What the kernels take from GLSL, in CUDA C. No header of NVIDIA's is needed: clang
// knows the builtins.
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))

typedef unsigned int uint;

struct Floats { float *v; };
struct Ints { int *v; };
struct Wides { double *v; };
struct Epilogue { Floats bias, alpha, inverse, scale, residual; };
typedef Floats uvec2;

struct alignas(16) vec4 {
	float v[4];
	vec4() = default;
	__device__ explicit vec4(float a) : v{a, a, a, a} {}
	__device__ vec4(float a, float b, float c, float d) : v{a, b, c, d} {}
	__device__ float &operator[](uint i) { return v[i]; }
};
struct Quads {
	const vec4 *v;
	__device__ explicit Quads(Floats f) : v((const vec4 *)f.v) {}
};

#define fma fma_
#define sqrt sqrt_
#define abs abs_
#define isnan isnan_
#define roundEven __builtin_rintf
static __device__ float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static __device__ vec4 fma(vec4 a, vec4 b, vec4 c) { return vec4(fma(a[0], b[0], c[0]), fma(a[1], b[1], c[1]), fma(a[2], b[2], c[2]), fma(a[3], b[3], c[3])); }
static __device__ float sqrt(float a) { return __builtin_sqrtf(a); }
static __device__ float abs(float a) { return __builtin_fabsf(a); }
static __device__ bool isnan(float a) { return a != a; }
template <typename T> static __device__ T min(T a, T b) { return b < a ? b : a; }
template <typename T> static __device__ T max(T a, T b) { return a < b ? b : a; }
static __device__ uint floatBitsToUint(float a) { return __builtin_bit_cast(uint, a); }
static __device__ float uintBitsToFloat(uint a) { return __builtin_bit_cast(float, a); }
static __device__ bool given(Floats f) { return f.v != nullptr; }

// exact.glsl in double.
typedef double Wide;
static __device__ Wide wide(float a) { return a; }
static __device__ Wide plus(Wide a, Wide b) { return a + b; }
static __device__ Wide plusProduct(Wide s, float a, float b) { return s + (double)a * (double)b; }
static __device__ float inverseRoot(Wide s) { return s == 0 ? 0 : (float)(1 / __builtin_sqrt(s)); }
static __device__ void affine(Wide s, Wide q, Wide n, float eps, float gamma, float beta, float &scale, float &shift) {
	double mean = s / n, variance = q / n - mean * mean;
	double f = 1 / __builtin_sqrt((variance < 0 ? 0 : variance) + (double)eps) * (double)gamma;
	scale = (float)f;
	shift = (float)((double)beta - mean * f);
}
// The product is exact, and so is what the sum loses, which decides at half a unit below
// the least normal number.
static __device__ float fmaFlush(float a, float b, float c) {
	const float least = 0x1p-126f;
	float r = fma(a, b, c);
	if (!(abs(r) <= least)) return r;
	double p = (double)a * (double)b, d = c, s = p + d, t = s - p;
	double lost = (p - (s - t)) + (d - t), edge = 0x1p-126 - 0x1p-151;
	if (s > edge || s == edge && lost >= 0) return least;
	if (s < -edge || s == -edge && lost <= 0) return -least;
	return __builtin_copysignf(0.0f, (float)s);
}
