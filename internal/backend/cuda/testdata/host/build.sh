#!/usr/bin/env bash
# Builds a libcuda.so.1 into the folder $1 that runs the kernels on the processor, from
# the CUDA C that the PTX is compiled from, and a libcublas.so.12 beside it.
# SOTTO_HOST_CAPABILITY=8, when a program runs, makes it a device with tensor cores.
set -euo pipefail
cd "$(dirname "$0")"
out=$1
gpu=../../../gpu
go build -o "$out/gen" "$gpu/gen"
objects=()
for kernel in "$gpu"/shaders/*.{comp,cu}; do
	name=$(basename "${kernel%.*}")
	{
		echo 'extern unsigned host_tid, host_ctaid_x, host_ctaid_y, host_nctaid_x; void host_barrier();'
		"$out/gen" -C "$gpu/shaders" -show "$(basename "$kernel")" |
			sed -E 's/^#define __(device|global)__ .*/#define __\1__/; s/^#define __shared__ .*/#define __shared__/
				s/__nvvm_read_ptx_sreg_/host_/g; s/host_(tid_x|ctaid_x|ctaid_y|nctaid_x)\(\)/host_\1/g; s/host_tid_x/host_tid/g
				s/__syncthreads\(\)/host_barrier()/g; s/__nvvm_membar_cta\(\)/(void)0/g; s/__attribute__\(\(launch_bounds\([0-9]+\)\)\)//
				s/^extern "C" __global__ void +([a-z0-9_]+)\(.*/static void \1(Push push, int zero); extern "C" void host_\1(void **a) { \1(*(Push *)a[0], *(int *)a[1]); }\nstatic void \1(Push push, int zero) {/'
	} >"$out/$name.cpp"
	clang++-16 -DHOST -std=c++17 -O2 -mfma -ffp-contract=off -fPIC -w -c -o "$out/$name.o" "$out/$name.cpp"
	objects+=("$out/$name.o")
done
clang++-16 -std=c++17 -O2 -fPIC -shared -Wl,-soname,libcuda.so.1 -o "$out/libcuda.so.1" driver.cpp "${objects[@]}" -ldl
clang++-16 -std=c++17 -O2 -mfma -ffp-contract=off -fPIC -shared -Wl,-soname,libcublas.so.12 -o "$out/libcublas.so.12" cublas.cpp "$out/libcuda.so.1"
