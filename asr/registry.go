package asr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sotto-audio/sotto/internal/weights"
)

// Loader opens the weights at path, a file or a folder.
type Loader func(path string) (Recognizer, error)

var registry = struct {
	sync.RWMutex
	families map[string]Loader
	formats  map[string]format
}{families: map[string]Loader{}, formats: map[string]format{}}

type format struct {
	match func(path string) bool
	load  Loader
}

// Register makes a family of recognisers known to Load: weights files whose
// safetensors metadata has that name under the key "family". Family packages
// call it when they are imported; a later registration of the same name replaces
// the earlier.
func Register(family string, loader Loader) {
	registry.Lock()
	defer registry.Unlock()
	registry.families[family] = loader
}

// RegisterFormat makes files and folders of another project known to Load: those
// that match says are of the format. It looks at a name or a few bytes and gives
// false for what it cannot read.
func RegisterFormat(name string, match func(path string) bool, loader Loader) {
	registry.Lock()
	defer registry.Unlock()
	registry.formats[name] = format{match, loader}
}

// Families lists the registered families and formats in alphabetical order.
func Families() []string {
	registry.RLock()
	defer registry.RUnlock()
	names := slices.AppendSeq(slices.Collect(maps.Keys(registry.families)), maps.Keys(registry.formats))
	slices.Sort(names)
	return slices.Compact(names)
}

// Load opens a recogniser: weights of a registered family, or files of a
// registered format.
func Load(path string) (Recognizer, error) {
	load, err := loader(path)
	if err != nil {
		return nil, fmt.Errorf("asr: %s: %w", path, err)
	}
	r, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("asr: %s: %w", path, err)
	}
	return r, nil
}

func loader(path string) (Loader, error) {
	registry.RLock()
	families, formats := maps.Clone(registry.families), maps.Clone(registry.formats)
	registry.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(formats)) {
		if formats[name].match(path) {
			return formats[name].load, nil
		}
	}
	family, err := weights.Family(path)
	if err != nil {
		return nil, fmt.Errorf("no recogniser: %w", err)
	}
	if load := families[family]; load != nil {
		return load, nil
	}
	return nil, fmt.Errorf("family %q is no recogniser that this program knows: it has %s", family, strings.Join(Families(), ", "))
}
