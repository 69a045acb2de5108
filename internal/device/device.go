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
	"github.com/sotto-audio/sotto/internal/backend/gpu"
	"github.com/sotto-audio/sotto/internal/backend/vulkan"
)

// Names of devices. A colon and a number choose one of several, as in vulkan:1.
const (
	CPU    = "cpu"
	Vulkan = "vulkan"
	// Auto is the fastest graphics processor, or the processor where there is none.
	Auto = "auto"
)

// Info describes a device.
type Info struct {
	Name        string `json:"name"` // what Open takes
	Description string `json:"description"`
	Memory      uint64 `json:"memory,omitempty"` // bytes
	// Software is a device that the processor stands in for.
	Software bool `json:"software,omitempty"`
}

// List gives the devices of this machine, the processor first. The error says why
// there are no others, where there are none.
func List() ([]Info, error) {
	all := []Info{{Name: CPU, Description: cpu.New(0).Name()}}
	found, err := vulkan.Devices()
	for _, d := range found {
		all = append(all, Info{Name: fmt.Sprintf("%s:%d", Vulkan, d.Index), Description: d.Name, Memory: d.Memory, Software: d.Software})
	}
	return all, err
}

// Resolve turns Auto into the name of a device, and says why where that is the
// processor. Other names stay.
func Resolve(name string) (resolved, why string) {
	if name != Auto {
		return name, ""
	}
	all, err := List()
	for _, d := range all[1:] {
		if !d.Software {
			return d.Name, ""
		}
	}
	if err != nil {
		return CPU, err.Error()
	}
	return CPU, "no graphics processor"
}

// open holds the devices that were opened, which models share.
var open = struct {
	sync.Mutex
	vulkan map[int]*gpu.Backend
}{vulkan: map[int]*gpu.Backend{}}

// Open opens a device. The host works with that many threads, all processors where
// it is 0.
func Open(name string, threads int) (backend.Backend, error) {
	name, _ = Resolve(name)
	kind, number, numbered := strings.Cut(name, ":")
	index := -1
	if numbered {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || kind != Vulkan {
			return nil, unknown(name)
		}
		index = n
	}
	switch kind {
	case CPU:
		return cpu.New(threads), nil
	case Vulkan:
		open.Lock()
		defer open.Unlock()
		if b, ok := open.vulkan[index]; ok && !b.Lost() {
			return b, nil
		}
		b, err := vulkan.Open(index, threads)
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", name, err)
		}
		open.vulkan[index] = b
		return b, nil
	}
	return nil, unknown(name)
}

// ErrName is the error of a name that no device has anywhere.
var ErrName = errors.New("give cpu, vulkan, vulkan:N or auto (sotto info --devices lists them)")

func unknown(name string) error { return fmt.Errorf("device %q: %w", name, ErrName) }
