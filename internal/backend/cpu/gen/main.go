// Command gen writes the vector kernels of packages cpu, dsp and train:
//
//	cd internal/backend/cpu && go generate
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is a vector width that kernels are written for.
type isa struct {
	suffix string
	bytes  int
}

var (
	avx512 = isa{"512", 64}
	avx2   = isa{"256", 32}
)

func (v isa) lanes() int { return v.bytes / 4 }

func (v isa) reg() reg.VecVirtual {
	if v.bytes == 64 {
		return ZMM()
	}
	return YMM()
}

func (v isa) zero(r Op) {
	if v.bytes == 64 {
		VPXORD(r, r, r)
		return
	}
	VXORPS(r, r, r)
}

// families are the generated files: kernels_NAME_amd64.s and its stubs, of a
// package.
var families = []struct {
	name  string
	pkg   string
	write func()
}{
	{"gemm", "cpu", func() {
		for mr := 1; mr <= 12; mr++ {
			gemm(avx512, mr, 1)
			gemm(avx512, mr, 0)
		}
		gemm(avx512, 1, 4)
		gemm(avx512, 2, 2)
		for mr := 1; mr <= 6; mr++ {
			gemm(avx2, mr, 1)
			gemm(avx2, mr, 0)
		}
		gemm(avx2, 1, 4)
		gemm(avx2, 2, 2)
		transpose()
		both(peak)
	}},
	{"pointwise", "cpu", func() {
		both(func(v isa) {
			for _, act := range activations {
				pointwise(v, act)
			}
			for _, act := range sloped {
				slopes(v, act)
			}
			adamw(v)
		})
	}},
	{"columns", "cpu", func() {
		both(columnSum)
		both(depthwise)
		both(smallest)
	}},
	{"game", "cpu", func() {
		both(func(v isa) {
			edges(v, false)
			edges(v, true)
			joins(v)
		})
	}},
	{"dot", "cpu", func() {
		for _, d := range []dotKind{int8VNNI, bf16Pairs, bf16FMA512} {
			for mr := 1; mr <= 12; mr++ {
				dot(d, mr, 1)
			}
			dot(d, 1, 4)
			dot(d, 2, 2)
		}
		for _, d := range []dotKind{int8Words, bf16FMA256} {
			for mr := 1; mr <= 6; mr++ {
				dot(d, mr, 1)
			}
			dot(d, 1, 4)
			dot(d, 2, 2)
		}
		quantize(avx512, true)
		quantize(avx2, false)
		roundPairs()
		both(roundValues)
	}},
	{"norm", "cpu", func() {
		both(layerNorm)
		both(rmsNorm)
		both(layerNormGrad)
	}},
	{"softmax", "cpu", func() {
		both(softmax)
		both(softmaxGrad)
	}},
	{"spectra", "cpu", func() {
		both(func(v isa) {
			complexRows(v, true)
			complexRows(v, false)
			polar(v)
		})
	}},
	{"fft", "dsp", func() {
		both(func(v isa) {
			for r := 2; r <= 5; r++ {
				radix(v, r)
			}
		})
		both(split)
		both(join)
		both(weigh)
		transpose()
	}},
	{"losses", "train", func() { both(losses) }},
}

// folders of the packages, from this one.
var folders = map[string]string{"cpu": "..", "dsp": "../../../dsp", "train": "../../../train"}

func both(kernel func(v isa)) {
	kernel(avx512)
	kernel(avx2)
}

// main writes one family, or starts itself for each: avo keeps one file's state.
func main() {
	family := flag.String("family", "", "write this one only")
	flag.Parse() // with avo's own flags
	if *family == "" {
		if err := writeNEON(); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
	for _, f := range families {
		switch *family {
		case "":
			name := folders[f.pkg] + "/kernels_" + f.name + "_amd64"
			gen := exec.Command(os.Args[0], "-family", f.name, "-pkg", f.pkg, "-out", name+".s", "-stubs", name+".go")
			gen.Stdout, gen.Stderr = os.Stdout, os.Stderr
			if err := gen.Run(); err != nil {
				fmt.Fprintf(os.Stderr, "gen: %s: %v\n", f.name, err)
				os.Exit(1)
			}
		case f.name:
			ConstraintExpr("amd64")
			f.write()
			Generate()
		}
	}
}
