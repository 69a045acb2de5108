// What the kernels take from GLSL, in CUDA C. No header of NVIDIA's is needed: clang
// knows the builtins.
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))

typedef unsigned int uint;

struct Floats { float *v; };
struct Ints { int *v; };
struct Epilogue { Floats bias, alpha, inverse, scale, residual; };
typedef Floats uvec2;

struct vec4 {
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
