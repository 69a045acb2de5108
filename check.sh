#!/usr/bin/env bash
# Everything that must hold before a change lands. Needs Go and git only.
#
#   ./check.sh               all of it, under 20 minutes on two cores
#   FUZZTIME=1m ./check.sh   fuzz each parser for longer than 5 seconds
#   BEAM=1 ./check.sh        the nested module for Apache Beam, too: its first build
#                            takes minutes
#
# Where SOTTO_DATA names the data folder, the tests hold the quality of the
# embedded model to its floors as well.
set -euo pipefail
cd "$(dirname "$0")"
export CGO_ENABLED=0
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
step() { printf '\n== %s\n' "$*"; }

step format and vet
test -z "$(gofmt -l . | tee /dev/stderr)"
go vet ./...
GOARCH=arm64 go vet ./internal/backend/cpu ./internal/dsp # their assembly
(cd internal/backend/cpu/gen && go vet ./...)

step staticcheck
go run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...

step cross-build
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
	GOOS=${target%/*} GOARCH=${target#*/} go build -trimpath -ldflags '-s -w' -o "$out/sotto-${target/\//-}" ./cmd/sotto
	GOOS=${target%/*} GOARCH=${target#*/} go build -o "$out/any" ./cmd/sotto-train
	printf '%-15s %s bytes\n' "$target" "$(stat -c %s "$out/sotto-${target/\//-}" 2>/dev/null || stat -f %z "$out/sotto-${target/\//-}")"
done
GOOS=linux go build -tags static -trimpath -ldflags '-s -w' -o "$out/sotto-static" ./cmd/sotto
if grep -q ld-linux "$out/sotto-static"; then
	echo "the static build names a dynamic loader" >&2
	exit 1
fi
if [ "$(uname -s)" = Linux ]; then "$out/sotto-static" models; fi
large=$(find "$out" -name 'sotto-*' -size +60000000c)
test -z "$large" || { printf 'larger than 60 MB: %s\n' "$large" >&2; exit 1; }

step no fused multiply-add from the Go compiler on the way to tokens
GOARCH=arm64 go build -o "$out/arm64" ./cmd/sotto
go tool objdump -s 'sotto/(codec|rvq|tokenizer|internal/(native|published|dsp|nn|audio|backend|transcode))' "$out/arm64" >"$out/arm64.txt"
# Lines of Go alone: the kernels in assembly fuse what the contract says.
grep -q '^TEXT .*internal/nn\.' "$out/arm64.txt"
fused=$(awk '/^TEXT/{f=$2} $1 !~ /\.s:[0-9]+$/ && /[ \t](F(N?MADD|N?MSUB)[SD]|VFML[AS]) /{print f}' "$out/arm64.txt" | grep -v 'internal/backend/f32\.' | sort | uniq -c || true)
test -z "$fused" || { printf '%s\n' "$fused"; exit 1; }

step tests
if [ -z "${SOTTO_DATA:-}" ]; then
	echo "SKIPPED: SOTTO_DATA is not set: the quality of the embedded model is not measured"
fi
go test ./...

if [ -n "${BEAM:-}" ]; then
	step Apache Beam
	(cd tokenizer/beam && go vet ./... && go test ./...)
else
	echo "SKIPPED: BEAM is not set: tokenizer/beam is not tested"
fi

step the same bits on every instruction set
for off in cpu.avx512f=off cpu.avx512f=off,cpu.avx2=off cpu.all=off; do
	echo "GODEBUG=$off"
	GODEBUG=$off go test -count=1 -short ./internal/backend/... ./internal/nn ./internal/entropy ./rvq/... ./codec/...
done

step the same entropy code on 32 bits
case "$(go env GOOS)/$(go env GOARCH)" in
linux/amd64) GOARCH=386 go test ./internal/entropy && GOARCH=386 go test -run 'Entropy' ./codec ./codec/sotto ;;
*) echo "SKIPPED: 386 code does not run here" ;;
esac

step arm64 under qemu-user
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
# emulated PACKAGE TESTS runs short tests as arm64 code, which needs no loader of arm64
# without native libraries.
emulated() {
	GOOS=linux GOARCH=arm64 go test -tags static -c -o "$out/emulated.test" "./$1"
	(cd "$1" && TEST_EMULATOR=$emulator "$emulator" "$out/emulated.test" -test.short -test.run "$2" >"$out/emulated.log" 2>&1) &&
		! grep 'no tests to run' "$out/emulated.log" || { cat "$out/emulated.log"; exit 1; }
	printf '%s: %s\n' "$1" "$(tail -n 1 "$out/emulated.log")"
}
if [ "$(go env GOARCH)" = arm64 ]; then
	echo "SKIPPED: the tests above were of arm64"
elif [ -z "$emulator" ]; then
	echo "SKIPPED: qemu-aarch64-static is not on PATH: the NEON kernels are built, but not run"
else
	emulated internal/backend/cpu .
	emulated internal/backend/f32 .
	emulated internal/dsp Lanes
	emulated internal/nn .
	emulated rvq 'Naive|Ties|Levels'
	emulated rvq/se 'Sums|Members|Stream|Log2'
	emulated internal/entropy .
	emulated codec/sotto 'CommittedBits|ReleasedEntropyCoder'
fi

step fuzz
# fuzzed PACKAGE TARGET fuzzes for a time. Go's fuzzer at times takes the end of that time
# for a failure of what it fuzzes ("context deadline exceeded");
# a failing input is always named, and panics are printed.
fuzzed() {
	# Minimising an input that is new, but fine, would take most of the time.
	go test "$1" -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-5s}" -fuzzminimizetime 10x >"$out/fuzz.log" 2>&1 ||
		{ grep -qx '    context deadline exceeded' "$out/fuzz.log" && ! grep -qE 'Failing input|panic:|_test\.go:' "$out/fuzz.log"; } ||
		{ cat "$out/fuzz.log"; exit 1; }
	printf '%s: %s\n' "$2" "$(tail -n 1 "$out/fuzz.log")"
}
for pkg in $(go list ./...); do
	dir=${pkg#github.com/sotto-audio/sotto/}
	for target in $(grep -rhoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' --exclude-dir='*' "$dir"/*_test.go 2>/dev/null | sed 's/func //'); do
		fuzzed "$pkg" "$target"
	done
done

step a real sample through the built binary
sotto="$out/sotto"
go build -o "$sotto" ./cmd/sotto
"$sotto" encode samples/speech.wav "$out/speech.sotto"
"$sotto" decode "$out/speech.sotto" "$out/speech.wav"
"$sotto" info "$out/speech.sotto"
cat samples/speech.wav | "$sotto" encode - - | "$sotto" decode - - > "$out/pipe.wav"
"$sotto" info --json "$out/pipe.wav"

step graphics processors
if glslangValidator --version 2>/dev/null | grep -q ':12\.0\.0$'; then
	go run ./internal/backend/gpu/gen -check -only spirv -C internal/backend/gpu/shaders
else
	echo "SKIPPED: glslangValidator 12.0.0 (Debian's glslang-tools) is not on PATH: the SPIR-V is not compared with its sources"
fi
if clang-16 --version >/dev/null 2>&1; then
	go run ./internal/backend/gpu/gen -check -only ptx -C internal/backend/gpu/shaders
	# The kernels of CUDA on the processor: the driver's API, the arguments, the bits.
	mkdir "$out/cuda"
	internal/backend/cuda/testdata/host/build.sh "$out/cuda"
	emulated_cuda() { # names of tests that must pass, then what go test takes
		passes=$1
		shift
		LD_LIBRARY_PATH="$out/cuda" go test -count=1 -v "$@" >"$out/cuda.log" || { cat "$out/cuda.log"; exit 1; }
		for name in $passes; do grep -- "--- PASS: $name" "$out/cuda.log" || { cat "$out/cuda.log"; exit 1; }; done
	}
	emulated_cuda 'TestOperations TestBLAS TestReplay' -short ./internal/backend/cuda
	SOTTO_HOST_CAPABILITY=8 emulated_cuda TestTensorCores -run TestTensorCores ./internal/backend/cuda
	# Nothing runs there before somebody waits: models and training steps, to the bit.
	emulated_cuda TestDeviceCodec/cuda -run '^TestDeviceCodec$/^cuda$' ./internal/train
	emulated_cuda TestDevices/cuda -run '^TestDevices$/^cuda$' ./asr/whisper
	emulated_cuda TestOriginal/cuda -run '^TestOriginal$/^cuda$' ./codec/...
	"$sotto" encode samples/speech.wav "$out/cpu.sotto"
	LD_LIBRARY_PATH="$out/cuda" "$sotto" encode --device cuda samples/speech.wav "$out/cuda.sotto"
	cmp "$out/cpu.sotto" "$out/cuda.sotto"
else
	echo "SKIPPED: clang-16 is not on PATH: the PTX is not compared with its sources, its kernels are not run"
fi
if command -v ptxas >/dev/null && clang-16 --version >/dev/null 2>&1; then
	go run ./internal/backend/gpu/gen -ptxas -C internal/backend/gpu/shaders
else
	echo "SKIPPED: ptxas (NVIDIA's toolkit) is not on PATH: the PTX is not assembled"
fi
# Libraries that are none, and what a machine without them says.
mkdir "$out/broken"
echo "no library" | tee "$out/broken/libcuda.so.1" >"$out/broken/libvulkan.so.1"
for d in cuda vulkan; do
	if LD_LIBRARY_PATH="$out/broken" "$sotto" encode --device $d samples/speech.wav "$out/broken.sotto" 2>"$out/broken.log"; then exit 1; fi
	[ "$(wc -l <"$out/broken.log")" = 1 ] && cat "$out/broken.log"
done
LD_LIBRARY_PATH="$out/broken" "$sotto" encode --device auto samples/speech.wav "$out/broken.sotto"
if "$sotto" info --devices | grep '^vulkan:'; then
	# The tests have run above; this is what they say of the device.
	go test -v -run '^(TestVulkan|TestVulkanStep|TestDeviceCodec|TestNoLeak|TestReplay)$' ./internal/backend/vulkan ./codec/sotto ./asr/sotto ./internal/train | grep -E '^(    |--- |ok|FAIL)' | tee "$out/vulkan.log"
	if grep 'SKIP: TestVulkan' "$out/vulkan.log"; then exit 1; fi
	"$sotto" encode --device vulkan samples/speech.wav "$out/vulkan.sotto"
	"$sotto" decode --device vulkan "$out/vulkan.sotto" "$out/vulkan.wav"
	"$sotto" transcribe samples/speech.wav >"$out/cpu.txt"
	"$sotto" transcribe --device vulkan samples/speech.wav | diff "$out/cpu.txt" -
else
	"$sotto" info --devices | grep '^vulkan'
	echo "SKIPPED: no Vulkan device (on Debian: mesa-vulkan-drivers, libvulkan1): the kernels are built, but not run"
fi
echo
echo "all checks passed"
