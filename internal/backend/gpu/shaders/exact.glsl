// Sums of about twice the precision of float32, as pairs: not every device has float64.
// In CUDA C these are of double (prelude.cuh), in the bits of the processor.
struct Wide { float high, low; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Wides { Wide v[]; };

Wide wide(float a) { return Wide(a, 0.0); }

// settled is a + b where |a| >= |b| (Dekker 1971).
Wide settled(float a, float b) {
	float s = a + b;
	return Wide(s, b - (s - a));
}

// plus is a + b (Knuth 1969).
Wide plus(Wide a, Wide b) {
	float s = a.high + b.high;
	float t = s - a.high;
	return settled(s, ((a.high - (s - t)) + (b.high - t)) + (a.low + b.low));
}

// times is the exact product (Dekker 1971): not every device fuses fma.
Wide times(float a, float b) {
	float p = a * b, ca = 4097.0 * a, cb = 4097.0 * b;
	float ah = ca - (ca - a), bh = cb - (cb - b);
	float al = a - ah, bl = b - bh;
	return Wide(p, ((ah * bh - p) + ah * bl + al * bh) + al * bl);
}

Wide plusProduct(Wide s, float a, float b) { return plus(s, times(a, b)); }

Wide over(Wide a, Wide b) {
	float q = a.high / b.high;
	Wide p = plus(times(q, b.high), wide(q * b.low));
	return settled(q, ((a.high - p.high) + (a.low - p.low)) / b.high);
}

// inverseRoot is 1/sqrt(s), and 0 of 0.
float inverseRoot(Wide s) { return s.high == 0.0 ? 0.0 : 1.0 / sqrt(s.high + s.low); }

// affine gives what n values whose sum and sum of squares are s and q are multiplied by,
// and then shifted by, to have mean beta and deviation gamma.
void affine(Wide s, Wide q, Wide n, float eps, float gamma, float beta, out float scale, out float shift) {
	Wide mean = over(s, n), square = over(q, n);
	Wide m = plus(times(mean.high, mean.high), wide(2.0 * mean.high * mean.low));
	float variance = max((square.high - m.high) + (square.low - m.low), 0.0);
	scale = 1.0 / sqrt(variance + eps) * gamma;
	Wide p = times(mean.high, scale);
	shift = ((beta - p.high) - p.low) - mean.low * scale;
}

// fmaFlush is fma with a sum below the least normal number made zero.
float fmaFlush(float a, float b, float c) {
	float s = fma(a, b, c);
	return abs(s) < 1.1754943508222875e-38 ? withSign(0.0, s) : s;
}
