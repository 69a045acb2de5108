package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed prelude.cuh
var prelude string

// compileCUDA gives the PTX of a kernel, which clang compiles without NVIDIA's toolkit.
func compileCUDA(folder, source string) ([]byte, error) {
	code, err := toCUDA(folder, source)
	if err != nil {
		return nil, err
	}
	arch := []string{"--cuda-gpu-arch=sm_70"}
	if filepath.Ext(source) == ".cu" { // tensor cores
		arch = []string{"--cuda-gpu-arch=sm_80", "-Xclang", "-target-feature", "-Xclang", "+ptx70"}
	}
	temp, err := os.MkdirTemp("", "kernel")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	in, out := filepath.Join(temp, "kernel.cu"), filepath.Join(temp, "kernel.ptx")
	if err := os.WriteFile(in, code, 0o666); err != nil {
		return nil, err
	}
	// Nothing is contracted; division and square root are those of IEEE 754.
	cmd := exec.Command("clang-16", append(arch, "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib",
		"-std=c++17", "-O3", "-ffp-contract=off", "-S", "-o", out, in)...)
	if message, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, message)
	}
	ptx, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	// Without what tells where and when it was compiled.
	lines := bytes.Split(ptx, []byte("\n"))
	var kept [][]byte
	for _, l := range lines {
		if t := bytes.TrimSpace(l); len(t) > 0 && !bytes.HasPrefix(t, []byte("//")) {
			kept = append(kept, l)
		}
	}
	return append(bytes.Join(kept, []byte("\n")), '\n'), nil
}

var (
	include   = regexp.MustCompile(`(?m)^#(version|extension).*\n|^#include "(common|exact).glsl"\n`)
	epilogue  = regexp.MustCompile(`(?m)^#include "epilogue.glsl"\n`)
	structure = regexp.MustCompile(`(?s)struct Epilogue \{.*?\};\n`)
	constant  = regexp.MustCompile(`(?m)^layout\(constant_id = (\d)\) const (int|uint) (\w+) = \d+;\n`)
	workgroup = regexp.MustCompile(`(?m)^layout\(local_size_x = (\d+)\) in;\n`)
	push      = regexp.MustCompile(`(?s)layout\(push_constant, std430\) uniform Push \{(.*?)\n\};\n`)
	scope     = regexp.MustCompile(`(?m)^const (?:int|uint|float) .*\n`)
	sharedVar = regexp.MustCompile(`(?m)^shared .*\n`)
	function  = regexp.MustCompile(`(?m)^(float|uint|void|bool) (\w+)\(`)
	decimal   = regexp.MustCompile(`\b\d+\.\d*(?:e[+-]?\d+)?`)
)

// variants are the values of constants 1 and 2 that a kernel is compiled for; constant
// 0 is an argument.
var variants = map[string][][2]int{
	"gemm":    {{0, 0}, {1, 0}},
	"gemv":    {{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1}, {8, 1}},
	"reduced": {{0, 0}, {1, 0}},
	"tensor":  {{0, 0}, {1, 0}},
}

// toCUDA turns a kernel in GLSL into CUDA C: the same operations in the same order.
// Its arguments become the fields, its functions the methods of a structure.
func toCUDA(folder, source string) ([]byte, error) {
	read := func(name string) (string, error) {
		b, err := os.ReadFile(name)
		return string(b), err
	}
	body, err := read(source)
	if err != nil {
		return nil, err
	}
	common, err := read(filepath.Join(folder, "common.glsl"))
	if err != nil {
		return nil, err
	}
	finish, err := read(filepath.Join(folder, "epilogue.glsl"))
	if err != nil {
		return nil, err
	}
	_, common, ok := strings.Cut(common, "// Functions of package f32.\n")
	if !ok {
		return nil, fmt.Errorf("common.glsl has no functions")
	}
	const device = "__device__ __attribute__((always_inline)) $1 $2("
	common = scope.ReplaceAllStringFunc(function.ReplaceAllString(common, "static "+device), func(line string) string {
		return strings.Replace(line, "const ", "static constexpr ", 1)
	})
	common = decimal.ReplaceAllString(strings.ReplaceAll(common, "out float ", "float &"), "${0}f")
	finish = structure.ReplaceAllString(finish, "")
	name := strings.TrimSuffix(filepath.Base(source), filepath.Ext(source))
	if filepath.Ext(source) == ".cu" { // is CUDA C but for the epilogue
		finish = function.ReplaceAllString(constant.ReplaceAllString(finish, ""), device)
		return []byte(prelude + common + epilogue.ReplaceAllLiteralString(body, finish) + entries(name, "128", "ACT")), nil
	}
	body = epilogue.ReplaceAllLiteralString(include.ReplaceAllString(body, ""), finish)

	zero, params := "unused", ""
	for _, m := range constant.FindAllStringSubmatch(body, -1) {
		if m[1] == "0" {
			zero = m[3]
		} else {
			params += fmt.Sprintf("\tstatic constexpr %s %s = C%s;\n", m[2], m[3], m[1])
		}
	}
	body = constant.ReplaceAllString(body, "")
	size := workgroup.FindStringSubmatch(body)
	fields := push.FindStringSubmatch(body)
	if size == nil || fields == nil {
		return nil, fmt.Errorf("no workgroup or no arguments")
	}
	body = push.ReplaceAllString(workgroup.ReplaceAllString(body, ""), "")
	outside := ""
	for _, e := range []*regexp.Regexp{scope, sharedVar} {
		for _, line := range e.FindAllString(body, -1) {
			line = strings.Replace(line, "const ", "static constexpr ", 1)
			outside += strings.Replace(line, "shared ", "static __shared__ ", 1)
		}
		body = e.ReplaceAllString(body, "")
	}

	var b strings.Builder
	fmt.Fprintf(&b, "%sstruct Push {%s\n};\n", outside, fields[1])
	fmt.Fprintf(&b, "template <int C1, int C2> struct Kernel : Push {\n\tint %s;\n%s%s};\n", zero, params, function.ReplaceAllString(body, device))
	text := strings.NewReplacer(
		"gl_LocalInvocationID.x", "__nvvm_read_ptx_sreg_tid_x()",
		"gl_GlobalInvocationID.x", "(__nvvm_read_ptx_sreg_ctaid_x() * "+size[1]+" + __nvvm_read_ptx_sreg_tid_x())",
		"gl_WorkGroupID.x", "uint(__nvvm_read_ptx_sreg_ctaid_x())", "gl_WorkGroupID.y", "uint(__nvvm_read_ptx_sreg_ctaid_y())",
		"gl_NumWorkGroups.x", "uint(__nvvm_read_ptx_sreg_nctaid_x())",
		"memoryBarrierBuffer()", "__nvvm_membar_cta()", "barrier()", "__syncthreads()",
		"out float ", "float &", "void main()", "void run()",
	).Replace(b.String())
	text = decimal.ReplaceAllString(text, "${0}f")
	return []byte(prelude + common + text + entries(name, size[1], zero)), nil
}

// entries gives the functions of a kernel that are launched, one for each of its
// variants; zero is what it calls constant 0.
func entries(name, threads, zero string) (text string) {
	for _, v := range append(variants[name], [2]int{0, 0})[:max(1, len(variants[name]))] {
		entry := name
		if variants[name] != nil {
			entry = fmt.Sprintf("%s_%d_%d", name, v[0], v[1])
		}
		text += fmt.Sprintf(`extern "C" __global__ void __attribute__((launch_bounds(%s))) %s(Push push, int zero) {
	Kernel<%d, %d> k;
	(Push &)k = push;
	k.%s = zero;
	k.run();
}
`, threads, entry, v[0], v[1], zero)
	}
	return text
}
