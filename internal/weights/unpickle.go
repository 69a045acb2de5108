package weights

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/internal/weights/pickle"
)

// checkpoint makes tensors and containers of the calls in a pickle.
type checkpoint struct {
	// storage finds the values of a key.
	storage func(key string, s *storage) error
	stored  map[string]*storage
}

// object stands for an instance of a class that only holds values.
type object struct{ state any }

const (
	rebuildTensor    = "torch._utils._rebuild_tensor_v2"
	rebuildParameter = "torch._utils._rebuild_parameter"
	orderedDict      = "collections.OrderedDict"
)

// holders are classes and functions whose instances hold settings that we may
// read or leave: nothing else of them is used, and none is run.
var holders = []string{
	"torch.Size", "torch.device", "torch.dtype", "builtins.set", "__builtin__.set", "builtins.dict", "collections.defaultdict",
	"argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath", "typing.Any", "builtins.list", "builtins.int", "builtins.str",
	"omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata",
	"omegaconf.nodes.AnyNode", "omegaconf.nodes.ValueNode",
	"numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "_codecs.encode",
	"pytorch_lightning.utilities.parsing.AttributeDict", "lightning_fabric.utilities.data.AttributeDict",
	"pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
}

// dtypes such as torch.float32 are named like classes.
var dtypes = []string{"float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"}

func (c *checkpoint) Global(g pickle.Global) error {
	name := string(g)
	if name == rebuildTensor || name == rebuildParameter || name == orderedDict || slices.Contains(holders, name) {
		return nil
	}
	if _, ok := kindOf(g); ok {
		return nil
	}
	if d, ok := strings.CutPrefix(name, "torch."); ok && slices.Contains(dtypes, d) {
		return nil
	}
	return fmt.Errorf("it names %s, which is no tensor, number or container, so that loading it with Python could run any code: convert it to safetensors where it is trusted", printable(name))
}

func printable(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return fmt.Sprintf("%q", name)
}

func kindOf(g pickle.Global) (kind, bool) {
	name, ok := strings.CutPrefix(string(g), "torch.")
	if name, ok2 := strings.CutSuffix(strings.TrimPrefix(name, "storage."), "Storage"); ok && ok2 {
		for _, k := range kinds {
			if k.name == name {
				return k, true
			}
		}
	}
	return kind{}, false
}

func (c *checkpoint) Call(f pickle.Global, args pickle.Tuple) (any, error) {
	switch string(f) {
	case rebuildTensor:
		return rebuild(args)
	case rebuildParameter:
		if len(args) == 0 {
			return nil, errors.New("a parameter without tensor")
		}
		return args[0], nil
	case orderedDict, "builtins.dict", "collections.defaultdict":
		d := &pickle.Dict{}
		if string(f) != orderedDict || len(args) == 0 {
			return d, nil
		}
		// The form of Python 2: a list of pairs.
		list, ok := args[0].(*pickle.List)
		if !ok {
			return nil, errors.New("an OrderedDict of something other than a list")
		}
		for _, item := range list.Items {
			pair, ok := item.(*pickle.List)
			if !ok || len(pair.Items) != 2 {
				return nil, errors.New("an OrderedDict of something other than pairs")
			}
			key, ok := pair.Items[0].(string)
			if !ok {
				return nil, errors.New("an OrderedDict with a key that is no text")
			}
			d.Keys, d.Values = append(d.Keys, key), append(d.Values, pair.Items[1])
		}
		return d, nil
	}
	return &object{state: args}, nil
}

func (c *checkpoint) Build(v, state any) error {
	if o, ok := v.(*object); ok {
		o.state = state
	}
	// What OrderedDict and others get besides their content is of no use here.
	return nil
}

// Persistent gives a storage: ("storage", class, key, location, number of
// values).
func (c *checkpoint) Persistent(id any) (any, error) {
	t, ok := id.(pickle.Tuple)
	if !ok || len(t) < 5 || t[0] != any("storage") || c.storage == nil {
		return nil, errors.New("a reference that is no storage")
	}
	class, ok1 := t[1].(pickle.Global)
	key, ok2 := t[2].(string)
	count, ok3 := t[4].(int64)
	kind, ok4 := kindOf(class)
	if !ok1 || !ok2 || !ok3 || !ok4 || count < 0 || count > math.MaxInt64/16 {
		return nil, fmt.Errorf("a storage that cannot be: %.100v", t)
	}
	if s := c.stored[key]; s != nil {
		if s.kind.name != kind.name || s.count != count {
			return nil, fmt.Errorf("the values %q have two sizes", key)
		}
		return s, nil
	}
	s := &storage{kind: kind, count: count}
	if err := c.storage(key, s); err != nil {
		return nil, err
	}
	if c.stored == nil {
		c.stored = map[string]*storage{}
	}
	c.stored[key] = s
	return s, nil
}

// rebuild is a view of a storage: (storage, offset, shape, strides, …).
func rebuild(args pickle.Tuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d arguments", len(args))
	}
	s, ok1 := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := sizes(args[2])
	strides, ok4 := sizes(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || offset < 0 || offset > s.count || len(shape) != len(strides) || len(shape) > 16 {
		return nil, errors.New("a tensor that cannot be")
	}
	t := &tensorRef{storage: s, offset: offset, shape: shape, strides: strides}
	if slices.Contains(shape, 0) {
		return t, nil
	}
	// Views that repeat values could be larger than their storage: the product
	// keeps them out; sums cannot overflow below the number of values.
	n, last := int64(1), offset
	if last >= s.count {
		return nil, fmt.Errorf("a tensor begins beyond its %d values", s.count)
	}
	for i, d := range shape {
		if n > s.count/int64(d) {
			return nil, fmt.Errorf("a tensor of shape %v is larger than its %d values", shape, s.count)
		}
		n *= int64(d)
		last += int64(d-1) * int64(strides[i])
		if last >= s.count {
			return nil, fmt.Errorf("a tensor of shape %v and strides %v reaches beyond its %d values", shape, strides, s.count)
		}
	}
	return t, nil
}

func sizes(v any) ([]int, bool) {
	if o, ok := v.(*object); ok { // torch.Size
		args, _ := o.state.(pickle.Tuple)
		if len(args) != 1 {
			return nil, false
		}
		v = args[0]
	}
	t, ok := v.(pickle.Tuple)
	if !ok {
		return nil, false
	}
	out := make([]int, len(t))
	for i, d := range t {
		n, ok := d.(int64)
		if !ok || n < 0 || n > math.MaxInt32 {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, true
}
