//go:build !static && (amd64 || arm64)

package cuda

import "golang.org/x/sys/windows"

func openLibrary() (uintptr, error) {
	lib, err := windows.LoadLibraryEx("nvcuda.dll", 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	return uintptr(lib), err
}

func findSymbol(lib uintptr, name string) (uintptr, error) {
	return windows.GetProcAddress(windows.Handle(lib), name)
}
