//go:build !static && (amd64 || arm64)

package cuda

import "github.com/ebitengine/purego"

func openLibrary() (uintptr, error) {
	return purego.Dlopen("libcuda.so.1", purego.RTLD_NOW|purego.RTLD_LOCAL)
}

// openBLAS takes the newest cuBLAS.
func openBLAS() (lib uintptr, err error) {
	for _, name := range []string{"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"} {
		if lib, err = purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL); err == nil {
			break
		}
	}
	return lib, err
}

func findSymbol(lib uintptr, name string) (uintptr, error) { return purego.Dlsym(lib, name) }
