package gpu

//go:generate go run ./gen
