package cpu

//go:generate sh -c "cd gen && go build -o gen.bin . && ./gen.bin && rm gen.bin"
