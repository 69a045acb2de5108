// Package device opens the devices that models run on, by the names that command
// lines use.
package device

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/cuda"
	"github.com/sotto-audio/sotto/internal/backend/gpu"
	"github.com/sotto-audio/sotto/internal/backend/vulkan"
)

// Names of devices. A colon and a number choose one of several, as in vulkan:1; behind
// that of CUDA +cublas makes matrix products those of NVIDIA's library.
const (
	CPU    = "cpu"
	CUDA   = "cuda"
	Vulkan = "vulkan"
	// Auto is a graphics processor, or the processor where there is none.
	Auto = "auto"

	BLAS = "+cublas"
)

// Info describes a device.
type Info struct {
	Name        string `json:"name"` // what Open takes
	Description string `json:"description"`
	Memory      uint64 `json:"memory,omitempty"` // bytes
	// Software is a device that the processor stands in for.
	Software bool `json:"software,omitempty"`
}

// Missing is a kind of device of which there is none, and why.
type Missing struct {
	Kind string
	Err  error
}

// List gives the devices of this machine, the processor first.
func List() (all []Info, missing []Missing) {
	all = []Info{{Name: CPU, Description: cpu.New(0).Name()}}
	nvidia, err := cuda.Devices()
	for _, d := range nvidia {
		all = append(all, Info{Name: fmt.Sprintf("%s:%d", CUDA, d.Index), Description: d.Name, Memory: d.Memory})
	}
	if err != nil {
		missing = append(missing, Missing{CUDA, err})
	}
	found, err := vulkan.Devices()
	for _, d := range found {
		all = append(all, Info{Name: fmt.Sprintf("%s:%d", Vulkan, d.Index), Description: d.Name, Memory: d.Memory, Software: d.Software})
	}
	if err != nil {
		missing = append(missing, Missing{Vulkan, err})
	}
	return all, missing
}

// Resolve turns Auto into the name of a device, and says why where that is the
// processor. Other names stay.
func Resolve(name string) (resolved, why string) {
	if name != Auto {
		return name, ""
	}
	all, missing := List()
	for _, d := range all[1:] {
		if !d.Software {
			return d.Name, ""
		}
	}
	for _, m := range missing {
		if why != "" {
			why += ", "
		}
		why += m.Err.Error()
	}
	if len(all) > 1 {
		why = "no graphics processor"
	}
	return CPU, why
}

// open holds the graphics processors that were opened, which models share.
var open = struct {
	sync.Mutex
	all map[string]device
}{all: map[string]device{}}

// device is a backend that may be lost.
type device interface {
	backend.Backend
	// Lost says that it does not answer any more.
	Lost() bool
}

// Add makes Open find a backend under a name of its own: tests bring those that fail.
func Add(name string, b interface {
	backend.Backend
	Lost() bool
}) {
	open.Lock()
	defer open.Unlock()
	open.all[name] = b
}

// Open opens a device. The host works with that many threads, all processors where
// it is 0.
func Open(name string, threads int) (backend.Backend, error) {
	name, _ = Resolve(name)
	if b := opened(name); b != nil {
		return b, nil
	}
	plain, blas := strings.CutSuffix(name, BLAS)
	kind, number, numbered := strings.Cut(plain, ":")
	start := map[string]func(index, threads int) (*gpu.Backend, error){CUDA: cuda.Open, Vulkan: vulkan.Open}[kind]
	if blas {
		if start = cuda.OpenBLAS; kind != CUDA {
			return nil, fmt.Errorf("device %q: cuBLAS is for cuda", name)
		}
	}
	index := -1
	if numbered {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || start == nil {
			return nil, unknown(name)
		}
		index = n
	}
	switch {
	case kind == CPU:
		return cpu.New(threads), nil
	case start == nil:
		return nil, unknown(name)
	}
	open.Lock()
	defer open.Unlock()
	if b, ok := open.all[name]; ok && !b.Lost() {
		return b, nil
	}
	b, err := start(index, threads)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	open.all[name] = b
	return b, nil
}

// opened gives a device that is open.
func opened(name string) backend.Backend {
	open.Lock()
	defer open.Unlock()
	if b, ok := open.all[name]; ok && !b.Lost() {
		return b
	}
	return nil
}

// ErrName is the error of a name that no device has anywhere.
var ErrName = errors.New("give cpu, cuda, cuda:N, vulkan, vulkan:N or auto (sotto info --devices lists them)")

func unknown(name string) error { return fmt.Errorf("device %q: %w", name, ErrName) }
