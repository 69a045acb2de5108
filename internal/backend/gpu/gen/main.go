// Command gen compiles the kernels: to SPIR-V with glslangValidator (Debian's
// glslang-tools) for backend/vulkan, and to PTX with clang-16 for backend/cuda. With
// -check it compares instead of writing.
//
// In SPIR-V every sum, difference, product and quotient is decorated NoContraction, so
// that drivers fuse only what the kernels fuse, and names of variables are left out.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	check := flag.Bool("check", false, "fail where the files differ from the sources")
	folder := flag.String("C", "shaders", "the folder of the kernels")
	only := flag.String("only", "", "spirv or ptx alone")
	report := flag.Bool("ptxas", false, "assemble the PTX with NVIDIA's ptxas, and print what it says of the kernels")
	show := flag.String("show", "", "print a kernel, the name of a file, in CUDA C")
	flag.Parse()
	if *show != "" {
		code, err := toCUDA(*folder, filepath.Join(*folder, *show))
		if err != nil {
			log.Fatal(err)
		}
		os.Stdout.Write(code)
		return
	}
	if *report {
		if err := assemble(*folder); err != nil {
			log.Fatal(err)
		}
		return
	}
	for _, t := range []target{
		{"spirv", "spv", []string{"*.comp"}, filepath.Join(*folder, "../../vulkan/kernels.zip"), compile},
		{"ptx", "ptx", []string{"*.comp", "*.cu"}, filepath.Join(*folder, "../../cuda/kernels.zip"), compileCUDA},
	} {
		if *only != "" && *only != t.name {
			continue
		}
		if err := t.run(*folder, *check); err != nil {
			log.Fatal(err)
		}
	}
}

// target is a kind of machine code.
type target struct {
	name, suffix string
	sources      []string // of its kernels
	path         string
	compile      func(folder, source string) ([]byte, error)
}

func (t target) run(folder string, check bool) error {
	var sources []string
	for _, kind := range t.sources {
		found, err := filepath.Glob(filepath.Join(folder, kind))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no kernels %s in %s", kind, folder)
		}
		sources = append(sources, found...)
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	w.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, source := range sources {
		code, err := t.compile(folder, source)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		f, err := w.Create(strings.TrimSuffix(filepath.Base(source), filepath.Ext(source)) + "." + t.suffix)
		if err == nil {
			_, err = f.Write(code)
		}
		if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	path := t.path
	if !check {
		return os.WriteFile(path, archive.Bytes(), 0o666)
	}
	have, err := os.ReadFile(path)
	if err == nil {
		err = same(have, archive.Bytes())
	}
	if err != nil {
		return fmt.Errorf("%s is not what the kernels compile to: %w: run go generate", path, err)
	}
	return nil
}

// compile gives the SPIR-V of a kernel.
func compile(folder, source string) ([]byte, error) {
	temp, err := os.MkdirTemp("", "kernel")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	out := filepath.Join(temp, "out.spv")
	cmd := exec.Command("glslangValidator", "-V", "--target-env", "vulkan1.2", "-I"+folder, "-o", out, source)
	if message, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, message)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return exact(data)
}

// same compares what archives hold.
func same(a, b []byte) error {
	ra, err := zip.NewReader(bytes.NewReader(a), int64(len(a)))
	if err != nil {
		return err
	}
	rb, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	if len(ra.File) != len(rb.File) {
		return fmt.Errorf("%d and %d kernels", len(ra.File), len(rb.File))
	}
	for _, f := range rb.File {
		x, err := fs.ReadFile(ra, f.Name)
		if err != nil {
			return err
		}
		if y, err := fs.ReadFile(rb, f.Name); err != nil || !bytes.Equal(x, y) {
			return fmt.Errorf("%s differs", f.Name)
		}
	}
	return nil
}

// Operations of SPIR-V.
const (
	opSource        = 3
	opSourceExt     = 4
	opName          = 5
	opMemberName    = 6
	opDecorate      = 71
	opTypeFirst     = 19 // OpTypeVoid: declarations of types follow the decorations
	opFAdd          = 129
	opFSub          = 131
	opFMul          = 133
	opFDiv          = 136
	opVectorTimes   = 142 // by a scalar
	noContraction   = 42
	moduleHeader    = 5 // words
	magicOfSPIRV    = 0x07230203
	opModuleProcess = 330
)

// exact decorates the arithmetic of a module.
func exact(data []byte) ([]byte, error) {
	words := make([]uint32, len(data)/4)
	if _, err := binary.Decode(data, binary.LittleEndian, words); err != nil {
		return nil, err
	}
	if len(words) < moduleHeader || words[0] != magicOfSPIRV {
		return nil, fmt.Errorf("no SPIR-V")
	}
	var decorations []uint32
	out := slices.Clone(words[:moduleHeader])
	types := 0
	for at := moduleHeader; at < len(words); {
		n := int(words[at] >> 16)
		if n == 0 || at+n > len(words) {
			return nil, fmt.Errorf("an instruction of %d words", n)
		}
		instruction := words[at : at+n]
		at += n
		switch op := instruction[0] & 0xffff; op {
		case opSource, opSourceExt, opName, opMemberName, opModuleProcess:
			continue
		case opFAdd, opFSub, opFMul, opFDiv, opVectorTimes:
			decorations = append(decorations, 3<<16|opDecorate, instruction[2], noContraction)
		case opTypeFirst:
			if types == 0 {
				types = len(out)
			}
		}
		out = append(out, instruction...)
	}
	return binary.Append(nil, binary.LittleEndian, slices.Insert(out, types, decorations...))
}
