package codec

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sotto-audio/sotto/internal/weights"
)

// Loader opens the weights file at path.
type Loader func(path string) (Codec, error)

var registry = struct {
	sync.RWMutex
	loaders map[string]Loader
	folders map[string]Loader // by the name of a file
	other   Loader            // of files as their makers published them
}{loaders: map[string]Loader{}, folders: map[string]Loader{}}

// Register makes a family of models known to Load. Family packages call it when
// they are imported; a later registration of the same name replaces the earlier.
func Register(family string, loader Loader) {
	registry.Lock()
	defer registry.Unlock()
	registry.loaders[family] = loader
}

// RegisterFolder makes models known that come as a folder of files: Load uses
// loader for a folder that holds a file of the given name.
func RegisterFolder(file string, loader Loader) {
	registry.Lock()
	defer registry.Unlock()
	registry.folders[file] = loader
}

// RegisterOriginal makes known what opens files and folders that do not name their
// family: checkpoints as their makers published them.
func RegisterOriginal(loader Loader) {
	registry.Lock()
	defer registry.Unlock()
	registry.other = loader
}

// Families lists the registered families in alphabetical order.
func Families() []string {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Sorted(maps.Keys(registry.loaders))
}

// Load opens a safetensors weights file with the loader of the family that its
// metadata names under the key "family", a folder of files that a family knows, or
// a checkpoint as its makers published it.
func Load(path string) (Codec, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return loadFolder(path)
	}
	family, err := weights.Family(path)
	registry.RLock()
	loader, other := registry.loaders[family], registry.other
	registry.RUnlock()
	if err != nil && other != nil && !errors.Is(err, fs.ErrNotExist) {
		family, loader, err = "", other, nil
	}
	if err != nil {
		return nil, fmt.Errorf("codec: %s: %w", path, err)
	}
	if loader == nil {
		return nil, fmt.Errorf("codec: %s: family %q is not known: this program has %s",
			path, family, strings.Join(Families(), ", "))
	}
	c, err := loader(path)
	if err != nil {
		return nil, fmt.Errorf("codec: %s: %w", path, err)
	}
	return c, nil
}

func loadFolder(path string) (Codec, error) {
	registry.RLock()
	folders, other := maps.Clone(registry.folders), registry.other
	registry.RUnlock()
	known := slices.Sorted(maps.Keys(folders))
	for _, file := range known {
		if _, err := os.Stat(filepath.Join(path, file)); err == nil {
			c, err := folders[file](path)
			if err != nil {
				return nil, fmt.Errorf("codec: %s: %w", path, err)
			}
			return c, nil
		}
	}
	if other != nil {
		c, err := other(path)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("codec: %s: %w", path, err)
		}
	}
	return nil, fmt.Errorf("codec: %s: is a directory: name a weights file, or a folder with %s", path, strings.Join(append(known, "weights of a known family"), ", "))
}
