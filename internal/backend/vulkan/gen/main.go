// Command gen compiles the GLSL kernels to SPIR-V with glslangValidator (Debian's
// glslang-tools). With -check it compares instead of writing.
//
// Every sum, difference, product and quotient is decorated NoContraction, so that
// drivers fuse only what the kernels fuse, and names of variables are left out.
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

func main() {
	log.SetFlags(0)
	check := flag.Bool("check", false, "fail where the files differ from the sources")
	folder := flag.String("C", "shaders", "the folder of the kernels")
	flag.Parse()
	if err := run(*folder, *check); err != nil {
		log.Fatal(err)
	}
}

func run(folder string, check bool) error {
	sources, err := filepath.Glob(filepath.Join(folder, "*.comp"))
	if err != nil || len(sources) == 0 {
		return fmt.Errorf("no kernels in %s", folder)
	}
	temp, err := os.MkdirTemp("", "shaders")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	for _, source := range sources {
		out := filepath.Join(temp, "out.spv")
		cmd := exec.Command("glslangValidator", "-V", "--target-env", "vulkan1.2", "-I"+folder, "-o", out, source)
		if message, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", source, err, message)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		if data, err = exact(data); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		path := source[:len(source)-len("comp")] + "spv"
		if !check {
			if err := os.WriteFile(path, data, 0o666); err != nil {
				return err
			}
			continue
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, data) {
			return fmt.Errorf("%s is not what %s compiles to: run go generate", path, source)
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
