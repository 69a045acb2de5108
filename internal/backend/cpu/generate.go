package cpu

//go:generate sh -c "cd gen && go build -o gen.bin . && ./gen.bin -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg cpu && rm gen.bin"
