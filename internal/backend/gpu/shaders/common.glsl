// What all kernels share: memory by address, and the functions of package f32 in its
// order of operations. An absent operand is the address 0.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Quads { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int v[]; };

bool given(Floats f) { return uvec2(f) != uvec2(0); }

// Functions of package f32.
const float EXP_MAX = 88.37, EXP_MIN = -87.3, LOG2E = 1.4426950408889634, MAGIC = 12582912.0;

// expParts gives p, r and scale with exp x = (1 + p r) scale.
void expParts(float x, out float p, out float r, out float scale) {
	if (x > EXP_MAX) x = EXP_MAX;
	if (x < EXP_MIN) x = EXP_MIN;
	float t = fma(x, LOG2E, MAGIC);
	float n = t - MAGIC;
	r = fma(n, -0.693147182464599609375, x);
	r = fma(n, 1.904654299957767878e-9, r);
	p = fma(0.0013814467238262296, r, 0.008368780836462975);
	p = fma(p, r, 0.04166839271783829);
	p = fma(p, r, 0.1666651964187622);
	p = fma(p, r, 0.4999999403953552);
	p = fma(p, r, 1.0);
	scale = uintBitsToFloat((floatBitsToUint(t) << 23) + 0x3f800000u);
}

float expf(float x) {
	float p, r, scale;
	expParts(x, p, r, scale);
	return isnan(x) ? x : fma(p, r, 1.0) * scale;
}

float expm1f(float x) {
	float p, r, scale;
	expParts(x, p, r, scale);
	return isnan(x) ? x : fma(p * r, scale, scale - 1.0);
}

float sigmoidf(float x) { return 1.0 / (1.0 + expf(-x)); }

float withSign(float y, float x) {
	return uintBitsToFloat(floatBitsToUint(y) | (floatBitsToUint(x) & 0x80000000u));
}

float tanhf(float x) {
	float a = abs(x);
	if (a < 0.625) {
		float z = x * x;
		float p = fma(-0.005717045161873102, z, 0.02065058797597885);
		p = fma(p, z, -0.05374349653720856);
		p = fma(p, z, 0.13331490755081177);
		p = fma(p, z, -0.3333328366279602);
		return fma(p * z, x, x);
	}
	return withSign(1.0 - 2.0 / (expf(a + a) + 1.0), x);
}

float erff(float x) {
	float a = abs(x);
	if (a < 1.0) {
		float z = x * x;
		float p = fma(7.889122935011983e-05, z, -0.0008020842215046287);
		p = fma(p, z, 0.005189535673707724);
		p = fma(p, z, -0.026854444295167923);
		p = fma(p, z, 0.11283600330352783);
		p = fma(p, z, -0.3761262595653534);
		p = fma(p, z, 1.1283791065216064);
		return p * x;
	}
	if (a > 4.0) a = 4.0;
	float p = fma(0.000185573982889764, a, -0.0029396070167422295);
	p = fma(p, a, 0.02180531807243824);
	p = fma(p, a, -0.10303736478090286);
	p = fma(p, a, -0.6382256746292114);
	p = fma(p, a, -1.1270400285720825);
	p = fma(p, a, -0.00035371974809095263);
	return withSign(1.0 - expf(p), x);
}

float sinf(float x) {
	if (x > 1048576.0) x = 1048576.0;
	if (x < -1048576.0) x = -1048576.0;
	float t = fma(x, 0.6366197723675814, MAGIC);
	float n = t - MAGIC;
	float r = fma(n, -1.5707963705062866, x);
	r = fma(n, 4.371138828673793e-08, r);
	r = fma(n, 1.7151245100058819e-15, r);
	float z = r * r;
	uint q = floatBitsToUint(t);
	float y;
	if ((q & 1u) == 0u) {
		float p = fma(-0.000195108717889525, z, 0.008332131430506706);
		p = fma(p, z, -0.16666653752326965);
		y = fma(p * z, r, r);
	} else {
		float p = fma(2.4431241399724968e-05, z, -0.0013887305976822972);
		p = fma(p, z, 0.04166664555668831);
		p = fma(p, z, -0.5);
		y = fma(p, z, 1.0);
	}
	return uintBitsToFloat(floatBitsToUint(y) ^ ((q & 2u) << 30));
}

// Activations, in the order of package backend.
const int IDENTITY = 0, GELU = 1, SILU = 2, GELU_ERF = 3, RELU = 4, LEAKY_RELU = 5, LEAKY_RELU_100 = 6, ELU = 7, TANH = 8, SIGMOID = 9, SNAKE = 10;
const float GELU_C1 = 1.5957691216057308, GELU_C3 = 0.07135481282553506, ROOT_HALF = 0.7071067811865476, NORMAL_TOP = 0.3989422804014327;

float geluArg(float x, float xx) { return x * fma(xx, -GELU_C3, -GELU_C1); }

float activate(float x, int act) {
	switch (act) {
	case GELU: return x / (1.0 + expf(geluArg(x, x * x)));
	case SILU: return x / (1.0 + expf(-x));
	case GELU_ERF: {
		float h = x * 0.5;
		return fma(h, erff(x * ROOT_HALF), h);
	}
	case RELU: return x < 0.0 ? 0.0 : x;
	case LEAKY_RELU: return x < 0.0 ? x * 0.1 : x;
	case LEAKY_RELU_100: return x < 0.0 ? x * 0.01 : x;
	case ELU: return x < 0.0 ? expm1f(x) : x;
	case TANH: return tanhf(x);
	case SIGMOID: return sigmoidf(x);
	}
	return x;
}

float slope(float x, int act) {
	switch (act) {
	case GELU: {
		float xx = x * x;
		float s = 1.0 / (1.0 + expf(geluArg(x, xx)));
		return fma((x * s) * (1.0 - s), fma(xx, 0.21406443847660518, GELU_C1), s);
	}
	case SILU: {
		float s = 1.0 / (1.0 + expf(-x));
		return fma(x * s, 1.0 - s, s);
	}
	case GELU_ERF: return fma(x, expf((x * x) * -0.5) * NORMAL_TOP, fma(erff(x * ROOT_HALF), 0.5, 0.5));
	case RELU: return x < 0.0 ? 0.0 : 1.0;
	case LEAKY_RELU: return x < 0.0 ? 0.1 : 1.0;
	case LEAKY_RELU_100: return x < 0.0 ? 0.01 : 1.0;
	case ELU: return x < 0.0 ? expf(x) : 1.0;
	case TANH: {
		float t = tanhf(x);
		return fma(-t, t, 1.0);
	}
	case SIGMOID: {
		float s = sigmoidf(x);
		return s * (1.0 - s);
	}
	}
	return 1.0;
}
