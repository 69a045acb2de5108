// Package published is what the architectures of published codecs share: it opens
// the checkpoints that people have, lays out their arrays for the layers of
// package nn, and makes a codec of an encoder, a quantizer and a decoder.
//
// A family is a sub-package of codec that calls Register when it is imported.
package published

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/weights"
	"go.yaml.in/yaml/v3"
)

// Checkpoint is a file of weights as it was published, or as Convert wrote it.
// Its methods lay out arrays for layers; what goes wrong is kept for Err, so that
// a family reads like its layers.
type Checkpoint struct {
	Path string
	// Prefix stands before every name that is asked for.
	Prefix string

	source        weights.Source
	closer        io.Closer
	names         map[string]bool // of the arrays in the file
	used, ignored map[string]bool
	values        map[string]any // that were asked for
	config        []byte         // JSON, nil where there is none
	errs          []error
}

// configKey is the metadata of a converted file that holds its configuration.
const configKey = "config"

// maxConfig bounds the size of a configuration file.
const maxConfig = 1 << 20

// Open opens a weights file with the configuration that stands beside it, or a
// folder that holds both.
func Open(path string) (*Checkpoint, error) {
	file, err := weightsFile(path)
	if err != nil {
		return nil, err
	}
	source, closer, err := weights.Open(file)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Path: path, source: source, closer: closer, names: map[string]bool{}, used: map[string]bool{}, ignored: map[string]bool{}, values: map[string]any{}}
	for _, n := range source.Names() {
		c.names[n] = true
	}
	if text, ok := c.Value(configKey); ok {
		if s, ok := text.(string); ok && json.Valid([]byte(s)) {
			c.config = []byte(s)
		}
	}
	if c.config == nil {
		if c.config, err = configBeside(file); err != nil {
			closer.Close()
			return nil, err
		}
	}
	return c, nil
}

// Close gives the file back.
func (c *Checkpoint) Close() error { return c.closer.Close() }

// weightsFile finds the weights of a folder.
func weightsFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range []string{"model.safetensors", "pytorch_model.bin"} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return filepath.Join(path, name), nil
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt":
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("the folder has no weights file: %w", fs.ErrNotExist)
	case 1:
		return filepath.Join(path, found[0]), nil
	}
	return "", fmt.Errorf("the folder has several weights files: name one of %s", strings.Join(found, ", "))
}

// configBeside reads the configuration of a weights file as JSON: the file of the
// same name, config.json or config.yaml, or the only one of the folder.
func configBeside(file string) ([]byte, error) {
	folder, stem := filepath.Dir(file), strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	var candidates []string
	for _, name := range []string{stem, "config"} {
		for _, ext := range []string{".json", ".yaml", ".yml"} {
			candidates = append(candidates, filepath.Join(folder, name+ext))
		}
	}
	for _, pattern := range []string{"*.json", "*.yaml", "*.yml"} {
		if only, _ := filepath.Glob(filepath.Join(globEscape(folder), pattern)); len(only) == 1 {
			candidates = append(candidates, only[0])
		}
	}
	for _, path := range candidates {
		text, err := readBounded(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil { // JSON is YAML
			return nil, fmt.Errorf("%s: not JSON or YAML: %w", path, err)
		}
		config, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return config, nil
	}
	return nil, nil
}

// globEscape takes the meaning from the characters of a path that have one in a
// pattern.
func globEscape(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("%s: larger than any configuration", path)
	}
	return text, err
}

// Config fills v, as encoding/json does, and reports whether there is a
// configuration.
func (c *Checkpoint) Config(v any) (bool, error) {
	if c.config == nil {
		return false, nil
	}
	if err := json.Unmarshal(c.config, v); err != nil {
		return true, fmt.Errorf("its configuration: %w", err)
	}
	return true, nil
}

// Value is a number, text or truth value of the file beside the arrays; all are
// texts in a converted file.
func (c *Checkpoint) Value(name string) (any, bool) {
	v, ok := c.source.Value(name)
	if !ok {
		v, ok = c.source.Value(valueKey + name)
	}
	if ok && name != configKey && name != "family" {
		c.values[name] = v
	}
	return v, ok
}

// Has reports whether there is an array of that name.
func (c *Checkpoint) Has(name string) bool { return c.names[c.Prefix+name] }

// HasWeight reports whether a layer of that name has a weight, folded or not.
func (c *Checkpoint) HasWeight(name string) bool {
	return c.Has(name+".weight") || c.Has(name+".weight_v") || c.Has(name+".parametrizations.weight.original1")
}

// Names lists the arrays.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.names)) }

// Shape gives the shape of an array, nil where there is none. It is read, but
// does not count as used.
func (c *Checkpoint) Shape(name string) []int {
	if !c.Has(name) {
		return nil
	}
	t, err := c.source.Tensor(c.Prefix + name)
	if err != nil {
		return nil
	}
	return t.Shape
}

// WeightShape gives the shape of the weight of a layer, nil where there is none.
func (c *Checkpoint) WeightShape(name string) []int {
	for _, part := range []string{".weight", ".weight_v", ".parametrizations.weight.original1"} {
		if shape := c.Shape(name + part); shape != nil {
			return shape
		}
	}
	return nil
}

// fail keeps an error.
func (c *Checkpoint) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// Fail keeps an error of the family's own.
func (c *Checkpoint) Fail(err error) { c.errs = append(c.errs, err) }

// Get reads an array of that shape, where -1 stands for any length. It gives nil
// after an error.
func (c *Checkpoint) Get(name string, shape ...int) []float32 {
	t, ok := c.any(name)
	if !ok {
		return nil
	}
	same := len(t.Shape) == len(shape)
	for i, d := range shape {
		same = same && (d < 0 || t.Shape[i] == d)
	}
	if !same {
		c.fail("%s has shape %v, expected %v", c.Prefix+name, t.Shape, shape)
		return nil
	}
	for _, v := range t.Data {
		if v-v != 0 {
			c.fail("%s holds values that are not finite", c.Prefix+name)
			return nil
		}
	}
	return t.Data
}

// any reads an array of any shape.
func (c *Checkpoint) any(name string) (weights.Tensor, bool) {
	name = c.Prefix + name
	if !c.names[name] {
		c.fail("%s is missing", name)
		return weights.Tensor{}, false
	}
	c.used[name] = true
	t, err := c.source.Tensor(name)
	if err != nil {
		c.errs = append(c.errs, err)
		return weights.Tensor{}, false
	}
	return t, true
}

// Weight reads the weight of a layer in PyTorch's layout, folded where it is kept
// as direction v and length g of each first index (Salimans & Kingma 2016):
// v·g/|v|.
func (c *Checkpoint) Weight(name string, shape ...int) []float32 {
	g, v := name+".weight_g", name+".weight_v"
	if c.Has(name + ".parametrizations.weight.original1") {
		g, v = name+".parametrizations.weight.original0", name+".parametrizations.weight.original1"
	} else if !c.Has(v) {
		return c.Get(name+".weight", shape...)
	}
	ones := []int{shape[0]}
	for range shape[1:] {
		ones = append(ones, 1)
	}
	w, length := c.Get(v, shape...), c.Get(g, ones...)
	if w == nil || length == nil {
		return nil
	}
	n := len(w) / shape[0]
	for i, l := range length {
		row := w[i*n : (i+1)*n]
		var sum float64
		for _, x := range row {
			sum += float64(float64(x) * float64(x))
		}
		scale := 0.0
		if sum > 0 {
			scale = float64(l) / math.Sqrt(sum)
		}
		for k, x := range row {
			row[k] = float32(float64(x) * scale)
		}
	}
	return w
}

// weight3 is a weight of three indices in another order.
func (c *Checkpoint) weight3(name string, shape, order [3]int) *nn.Param {
	return param(name+".weight", permute(c.Weight(name, shape[:]...), shape, order), shape[order[0]], shape[order[1]], shape[order[2]])
}

// Conv gives a convolution its weight and bias, name.weight and name.bias. Its
// sizes say what is expected.
func (c *Checkpoint) Conv(l *nn.Conv1d, name string) *nn.Conv1d {
	c.ConvNoBias(l, name)
	l.Bias = c.Param(name+".bias", l.Out)
	return l
}

// ConvNoBias is Conv of a convolution without bias.
func (c *Checkpoint) ConvNoBias(l *nn.Conv1d, name string) *nn.Conv1d {
	l.Stride, l.Dilation, l.Groups = max(l.Stride, 1), max(l.Dilation, 1), max(l.Groups, 1)
	l.Weight = c.weight3(name, [3]int{l.Out, l.In / l.Groups, l.Kernel}, [3]int{2, 1, 0})
	return l
}

// ConvTranspose gives a transposed convolution its weight and bias.
func (c *Checkpoint) ConvTranspose(l *nn.ConvTranspose1d, name string) *nn.ConvTranspose1d {
	c.ConvTransposeNoBias(l, name)
	l.Bias = c.Param(name+".bias", l.Out)
	return l
}

// ConvTransposeNoBias is ConvTranspose of one without bias.
func (c *Checkpoint) ConvTransposeNoBias(l *nn.ConvTranspose1d, name string) *nn.ConvTranspose1d {
	if l.Groups = max(l.Groups, 1); l.Groups == 1 {
		l.Weight = c.weight3(name, [3]int{l.In, l.Out, l.Kernel}, [3]int{2, 0, 1})
	} else { // depthwise
		l.Weight = c.weight3(name, [3]int{l.In, 1, l.Kernel}, [3]int{2, 1, 0})
	}
	return l
}

// Linear makes a linear layer of name.weight, which is [out, in], or [out, in, 1]
// as that of a convolution, and name.bias.
func (c *Checkpoint) Linear(name string, in, out int) *nn.Linear {
	l := c.LinearNoBias(name, in, out)
	l.Bias = c.Param(name+".bias", out)
	return l
}

// LinearNoBias is Linear without bias.
func (c *Checkpoint) LinearNoBias(name string, in, out int) *nn.Linear {
	shape := []int{out, in}
	for _, part := range []string{".weight", ".weight_v", ".parametrizations.weight.original1"} {
		if len(c.Shape(name+part)) == 3 {
			shape = append(shape, 1)
		}
	}
	return &nn.Linear{In: in, Out: out, Weight: param(name+".weight", permute(c.Weight(name, shape...), [3]int{out, in, 1}, [3]int{1, 0, 2}), in, out)}
}

// LayerNorm makes a norm of name.weight and name.bias.
func (c *Checkpoint) LayerNorm(name string, channels int, eps float32) *nn.LayerNorm {
	return &nn.LayerNorm{Gamma: c.Param(name+".weight", channels), Beta: c.Param(name+".bias", channels), Eps: eps}
}

// GroupNorm makes a norm of name.weight and name.bias.
func (c *Checkpoint) GroupNorm(name string, groups, channels int, eps float32) *nn.GroupNorm {
	return &nn.GroupNorm{Groups: groups, Gamma: c.Param(name+".weight", channels), Beta: c.Param(name+".bias", channels), Eps: eps}
}

// Param makes a parameter of an array of that shape.
func (c *Checkpoint) Param(name string, shape ...int) *nn.Param {
	return param(name, c.Get(name, shape...), shape...)
}

// Snake makes the activation of name, a vector alpha [1, C, 1] or [C]: its inverse
// is 1/(alpha + 1e-9), as in DAC.
func (c *Checkpoint) Snake(name string, channels int) *nn.Snake {
	shape := []int{channels}
	if len(c.Shape(name)) == 3 {
		shape = []int{1, channels, 1}
	}
	alpha := c.Get(name, shape...)
	inverse := make([]float32, len(alpha))
	for i, a := range alpha {
		inverse[i] = 1 / (a + 1e-9)
	}
	return &nn.Snake{Alpha: param(name, alpha, channels), Inverse: param(name+".inverse", inverse, channels)}
}

// LSTM makes layers one after the other, in both directions where both is set,
// from the names that PyTorch gives a module of that name.
func (c *Checkpoint) LSTM(name string, in, size, layers int, both bool) nn.Chain {
	var stack nn.Chain
	for i := range layers {
		forward := c.lstm(fmt.Sprintf("%s.%%s_l%d", name, i), in, size)
		if !both {
			stack, in = append(stack, forward), size
			continue
		}
		back := c.lstm(fmt.Sprintf("%s.%%s_l%d_reverse", name, i), in, size)
		back.Backward = true
		stack, in = append(stack, &nn.BiLSTM{Forward: forward, Back: back}), 2*size
	}
	return stack
}

// lstm makes one layer; pattern is a name with a place for that of an array.
func (c *Checkpoint) lstm(pattern string, in, size int) *nn.LSTM {
	name := func(part string) string { return fmt.Sprintf(pattern, part) }
	n := 4 * size
	matrix := func(part string, k int) *nn.Param {
		return param(name(part), permute(c.Get(name(part), n, k), [3]int{n, k, 1}, [3]int{1, 0, 2}), k, n)
	}
	l := &nn.LSTM{In: in, Size: size,
		Input:  &nn.Linear{In: in, Out: n, Weight: matrix("weight_ih", in)},
		Hidden: &nn.Linear{In: size, Out: n, Weight: matrix("weight_hh", size)},
	}
	a, b := c.Get(name("bias_ih"), n), c.Get(name("bias_hh"), n)
	if a != nil && b != nil {
		for i, v := range b {
			a[i] += v
		}
	}
	l.Input.Bias = param(name("bias"), a, n)
	return l
}

// Codebook makes a codebook of the array of its entries.
func (c *Checkpoint) Codebook(name string, size, dim int) *nn.Codebook {
	return &nn.Codebook{Size: size, Dim: dim, Entries: c.Param(name, size, dim)}
}

// Ignore says that arrays whose names hold one of the parts are known and not
// needed.
func (c *Checkpoint) Ignore(parts ...string) {
	for name := range c.names {
		for _, p := range parts {
			if strings.Contains(name, p) && !c.used[name] {
				c.ignored[name] = true
			}
		}
	}
}

// Err reports what went wrong, and arrays that nothing asked for: a model with
// more layers than were built would give other codes.
func (c *Checkpoint) Err() error {
	var left []string
	for name := range c.names {
		if !c.used[name] && !c.ignored[name] {
			left = append(left, name)
		}
	}
	slices.Sort(left)
	errs := slices.Clone(c.errs)
	if n := len(errs) - maxErrors; n > 0 {
		errs = append(errs[:maxErrors], fmt.Errorf("and %d more errors like these", n))
	}
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("%s not known to this architecture", some(left)))
	}
	return errors.Join(errs...)
}

const maxErrors = 4

// some names a few of many.
func some(names []string) string {
	if n := len(names) - maxErrors; n > 0 {
		return fmt.Sprintf("%s and %d more are", strings.Join(names[:maxErrors], ", "), n)
	}
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

// Within keeps an error where a number of the configuration is out of range.
func (c *Checkpoint) Within(what string, v, low, high int) {
	if v < low || v > high {
		c.fail("its configuration: %s is %d, expected %d to %d", what, v, low, high)
	}
}

func param(name string, data []float32, shape ...int) *nn.Param {
	return &nn.Param{Name: name, Shape: shape, Data: data, Decay: len(shape) > 1}
}

// permute lays out x of the given shape anew: the i-th index of the result is the
// order[i]-th of x. It keeps nil.
func permute(x []float32, shape, order [3]int) []float32 {
	if x == nil {
		return nil
	}
	step := [3]int{shape[1] * shape[2], shape[2], 1}
	y := make([]float32, 0, len(x))
	for i := range shape[order[0]] {
		for j := range shape[order[1]] {
			for k := range shape[order[2]] {
				y = append(y, x[i*step[order[0]]+j*step[order[1]]+k*step[order[2]]])
			}
		}
	}
	return y
}

// Sound reports whether nothing went wrong so far: sizes of a configuration are
// then within bounds.
func (c *Checkpoint) Sound() bool { return len(c.errs) == 0 }

// Projection makes a linear layer of a matrix [out, in] and a vector, each under
// its own name.
func (c *Checkpoint) Projection(weight, bias string, in, out int) *nn.Linear {
	return &nn.Linear{In: in, Out: out, Weight: param(weight, permute(c.Get(weight, out, in), [3]int{out, in, 1}, [3]int{1, 0, 2}), in, out), Bias: c.Param(bias, out)}
}
