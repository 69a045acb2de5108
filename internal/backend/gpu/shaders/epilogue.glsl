// The epilogue of package backend; ACT is fixed when the pipeline is made.
layout(constant_id = 0) const int ACT = 0;

struct Epilogue {
	Floats bias, alpha, inverse, scale, residual;
};

float finish(Epilogue e, float s, uint m, uint n, uint residualStride) {
	if (given(e.bias)) s += e.bias.v[n];
	if (ACT == SNAKE) {
		float q = sinf(e.alpha.v[n] * s);
		s = fma(q * q, e.inverse.v[n], s);
	} else {
		s = activate(s, ACT);
	}
	if (given(e.scale)) s *= e.scale.v[n];
	if (given(e.residual)) s += e.residual.v[m * residualStride + n];
	return s;
}
