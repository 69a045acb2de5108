//go:build !static && (amd64 || arm64)

package cuda

import "golang.org/x/sys/windows"

func openLibrary() (uintptr, error) {
	lib, err := windows.LoadLibraryEx("nvcuda.dll", 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	return uintptr(lib), err
}

// openBLAS takes the newest cuBLAS.
func openBLAS() (uintptr, error) {
	var lib windows.Handle
	var err error
	for _, name := range []string{"cublas64_13.dll", "cublas64_12.dll", "cublas64_11.dll"} {
		if lib, err = windows.LoadLibrary(name); err == nil {
			break
		}
	}
	return uintptr(lib), err
}

func findSymbol(lib uintptr, name string) (uintptr, error) {
	return windows.GetProcAddress(windows.Handle(lib), name)
}
