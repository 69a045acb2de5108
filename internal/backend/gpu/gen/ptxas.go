package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// architectures are those that the PTX is assembled for: Volta to Blackwell.
var architectures = []string{"sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"}

var (
	properties = regexp.MustCompile(`(?s)Function properties for (\w+).*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers`)
	shared     = regexp.MustCompile(`(\d+) bytes smem`)
)

// assemble gives all kernels to NVIDIA's assembler, which refuses what a driver would,
// and prints of each function the most registers and spilled bytes that it takes on any
// architecture.
func assemble(folder string) error {
	var sources []string
	for _, kind := range []string{"*.comp", "*.cu"} {
		found, err := filepath.Glob(filepath.Join(folder, kind))
		if err != nil {
			return err
		}
		sources = append(sources, found...)
	}
	temp, err := os.MkdirTemp("", "ptxas")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	fmt.Println("function\tregisters\tspilled bytes\tshared bytes")
	for _, source := range sources {
		ptx, err := compileCUDA(folder, source)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		path := filepath.Join(temp, "kernel.ptx")
		if err := os.WriteFile(path, ptx, 0o666); err != nil {
			return err
		}
		var names []string
		most := map[string][3]int{}
		for _, arch := range architectures {
			if filepath.Ext(source) == ".cu" && arch < "sm_80" && len(arch) == len("sm_80") {
				continue // tensor cores
			}
			out, err := exec.Command("ptxas", "-v", "-arch="+arch, "-o", filepath.Join(temp, "kernel.cubin"), path).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %s: %w\n%s", source, arch, err, out)
			}
			bytes := 0
			if m := shared.FindSubmatch(out); m != nil {
				bytes, _ = strconv.Atoi(string(m[1]))
			}
			for _, m := range properties.FindAllSubmatch(out, -1) {
				name := string(m[1])
				if _, ok := most[name]; !ok {
					names = append(names, name)
				}
				spills, _ := strconv.Atoi(string(m[2]))
				loads, _ := strconv.Atoi(string(m[3]))
				registers, _ := strconv.Atoi(string(m[4]))
				was := most[name]
				most[name] = [3]int{max(was[0], registers), max(was[1], spills+loads), max(was[2], bytes)}
			}
		}
		for _, name := range names {
			fmt.Printf("%s\t%d\t%d\t%d\n", name, most[name][0], most[name][1], most[name][2])
		}
	}
	return nil
}
