package main

// Constants of the functions of package f32, which is another module's, for the
// generators of all instruction sets. The tests hold the kernels to f32 bit for bit.
const (
	expTop, expLow = 88.37, -87.3
	expHigh        = 0.693147182464599609375 // ln 2 as a float32
	expRest        = 0.693147180559945309417 - expHigh
	trigTop        = 1 << 20
	rootHalf       = 0.7071067811865476
	normalTop      = 0.3989422804014327 // 1/√(2π)
	geluC1         = 1.5957691216057308
	geluC3         = 0.07135481282553506
)

// Polynomials, from the highest power down.
var (
	expTerms  = []float64{0.0013814467238262296, 0.008368780836462975, 0.04166839271783829, 0.1666651964187622, 0.4999999403953552, 1}
	sinTerms  = []float64{-0.000195108717889525, 0.008332131430506706, -0.16666653752326965}
	cosTerms  = []float64{2.4431241399724968e-05, -0.0013887305976822972, 0.04166664555668831, -0.5, 1}
	tanhTerms = []float64{-0.005717045161873102, 0.02065058797597885, -0.05374349653720856, 0.13331490755081177, -0.3333328366279602}
	erfTerms  = []float64{7.889122935011983e-05, -0.0008020842215046287, 0.005189535673707724, -0.026854444295167923, 0.11283600330352783, -0.3761262595653534, 1.1283791065216064}
	erfcTerms = []float64{0.000185573982889764, -0.0029396070167422295, 0.02180531807243824, -0.10303736478090286, -0.6382256746292114, -1.1270400285720825, -0.00035371974809095263}
	// quarterTurn is −π/2 in three parts.
	quarterTurn = []float64{-1.5707963705062866, 4.371138828673793e-08, 1.7151245100058819e-15}
)

// leaks are the slopes of leaky ReLUs below 0.
var leaks = map[string]float64{"leaky": 0.1, "leaky100": 0.01}

// activations have an epilogue kernel, sloped ones a gradient.
var (
	activations = []string{"identity", "gelu", "silu", "geluerf", "relu", "leaky", "leaky100", "elu", "tanh", "sigmoid", "snake"}
	sloped      = activations[1:10]
)
