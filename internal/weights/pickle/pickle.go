// Package pickle reads the data in Python pickles without running anything: the
// opcodes that PyTorch's checkpoints use, and no call of any function. What the
// calls in a pickle would have made is for the reader's caller to build, from
// the name of the function and its arguments.
package pickle

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Values are nil, bool, int64, *big.Int, float64, string, []byte, *List, Tuple,
// *Dict, Global, and what a Maker makes.
type (
	// List is a list or a set.
	List struct{ Items []any }
	// Tuple is a tuple.
	Tuple []any
	// Dict is a dictionary in the order of the file.
	Dict struct{ Keys, Values []any }
	// Global is the name of a class or function, "module.name".
	Global string
)

// Get gives the value of a text key.
func (d *Dict) Get(key string) (any, bool) {
	for i := len(d.Keys) - 1; i >= 0; i-- { // the last one counts
		if d.Keys[i] == any(key) {
			return d.Values[i], true
		}
	}
	return nil, false
}

// Maker builds what calls stand for. Its errors end the reading.
type Maker interface {
	// Global is asked for every class and function that the pickle names.
	Global(g Global) error
	// Call is f(args...), an instance of a class included.
	Call(f Global, args Tuple) (any, error)
	// Build gives an object of Call its state.
	Build(object, state any) error
	// Persistent is an object that the pickle refers to by an identifier.
	Persistent(id any) (any, error)
}

// limits keep hostile pickles from taking more memory or time than their size
// explains.
const (
	maxText = 1 << 28 // bytes of one text or byte string
	maxLong = 255     // bytes of one integer
)

var errMark = errors.New("pickle: a mark is missing")

type mark struct{}

// Read reads one pickle; r is left behind its end.
func Read(r *bufio.Reader, m Maker) (any, error) {
	p := &machine{r: r, maker: m, memo: map[int]any{}}
	for {
		op, err := r.ReadByte()
		if err != nil {
			return nil, p.truncated(err)
		}
		if op == '.' {
			return p.pop()
		}
		if err := p.do(op); err != nil {
			return nil, err
		}
	}
}

// machine is the virtual machine that a pickle is a program for.
type machine struct {
	r     *bufio.Reader
	maker Maker
	stack []any
	memo  map[int]any
}

func (p *machine) truncated(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("pickle: cut off")
	}
	return fmt.Errorf("pickle: %w", err)
}

func (p *machine) push(v any) { p.stack = append(p.stack, v) }

func (p *machine) pop() (any, error) {
	n := len(p.stack)
	if n == 0 {
		return nil, errors.New("pickle: a value is missing")
	}
	v := p.stack[n-1]
	if _, ok := v.(mark); ok {
		return nil, errors.New("pickle: a value is missing")
	}
	p.stack = p.stack[:n-1]
	return v, nil
}

// popMark gives what lies above the last mark, and takes both away.
func (p *machine) popMark() ([]any, error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(mark); ok {
			items := append([]any(nil), p.stack[i+1:]...)
			p.stack = p.stack[:i]
			return items, nil
		}
	}
	return nil, errMark
}

// top is the last value, of the type that an opcode works on.
func top[T any](p *machine, what string) (T, error) {
	var none T
	if len(p.stack) == 0 {
		return none, errors.New("pickle: a value is missing")
	}
	v, ok := p.stack[len(p.stack)-1].(T)
	if !ok {
		return none, fmt.Errorf("pickle: a %s is expected, not a %T", what, p.stack[len(p.stack)-1])
	}
	return v, nil
}

func (p *machine) number(size int) (int, error) {
	var b [8]byte
	if _, err := io.ReadFull(p.r, b[:size]); err != nil {
		return 0, p.truncated(err)
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > math.MaxInt32 {
		return 0, fmt.Errorf("pickle: a length of %d", n)
	}
	return int(n), nil
}

// bytes reads n bytes, in pieces, so that a false length fails before it costs
// memory.
func (p *machine) bytes(n, most int) ([]byte, error) {
	if n > most {
		return nil, fmt.Errorf("pickle: a value of %d bytes", n)
	}
	b, err := io.ReadAll(io.LimitReader(p.r, int64(n)))
	if err == nil && len(b) < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, p.truncated(err)
	}
	return b, nil
}

// sized reads a length of the given size and as many bytes.
func (p *machine) sized(size, most int) ([]byte, error) {
	n, err := p.number(size)
	if err != nil {
		return nil, err
	}
	return p.bytes(n, most)
}

func (p *machine) line() (string, error) {
	var b strings.Builder
	for {
		c, err := p.r.ReadByte()
		if err != nil {
			return "", p.truncated(err)
		}
		if c == '\n' {
			return b.String(), nil
		}
		if b.WriteByte(c); b.Len() > 4096 {
			return "", errors.New("pickle: a line without end")
		}
	}
}

func (p *machine) do(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := p.number(1)
		if err == nil && v > 5 {
			err = fmt.Errorf("pickle: protocol %d is not known", v)
		}
		return err
	case 0x95: // FRAME
		_, err := p.bytes(8, 8)
		return err
	case '(':
		p.push(mark{})
	case '0':
		_, err := p.pop()
		return err
	case '1':
		_, err := p.popMark()
		return err
	case '2':
		v, err := top[any](p, "value")
		if err != nil {
			return err
		}
		p.push(v)
	case 'N':
		p.push(nil)
	case 0x88:
		p.push(true)
	case 0x89:
		p.push(false)
	case 'K', 'M', 'J', 'I', 'L', 0x8a, 0x8b, 'F', 'G':
		return p.numeric(op)
	case 'U', 'T', 'X', 0x8c, 0x8d, 'B', 'C', 0x8e, 'S', 'V':
		return p.text(op)
	case ']', ')', '}', 0x8f, 't', 0x85, 0x86, 0x87, 'l', 'd', 'a', 'e', 's', 'u', 0x90, 0x91:
		return p.container(op)
	case 'c', 0x93, 'R', 0x81, 0x92, 'b', 'Q':
		return p.object(op)
	case 'p', 'q', 'r', 0x94, 'g', 'h', 'j':
		return p.remember(op)
	default:
		return fmt.Errorf("pickle: opcode %#x is not one of those that checkpoints use", op)
	}
	return nil
}

func (p *machine) numeric(op byte) error {
	switch op {
	case 'K', 'M':
		v, err := p.number(map[byte]int{'K': 1, 'M': 2}[op])
		p.push(int64(v))
		return err
	case 'J':
		b, err := p.bytes(4, 4)
		if err != nil {
			return err
		}
		p.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case 0x8a, 0x8b:
		b, err := p.sized(map[byte]int{0x8a: 1, 0x8b: 4}[op], maxLong)
		if err != nil {
			return err
		}
		p.push(long(b))
	case 'G':
		b, err := p.bytes(8, 8)
		if err != nil {
			return err
		}
		p.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	default: // the text forms of protocol 0
		s, err := p.line()
		if err != nil {
			return err
		}
		switch {
		case op == 'F':
			v, err := strconv.ParseFloat(s, 64)
			p.push(v)
			return numberError(err)
		case s == "00" || s == "01":
			p.push(s == "01")
		default:
			v, err := strconv.ParseInt(strings.TrimSuffix(s, "L"), 10, 64)
			p.push(v)
			return numberError(err)
		}
	}
	return nil
}

func numberError(err error) error {
	if err != nil {
		return fmt.Errorf("pickle: %w", err)
	}
	return nil
}

// long is a two's complement integer, little endian.
func long(b []byte) any {
	v := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		v.Lsh(v, 8).Or(v, big.NewInt(int64(b[i])))
	}
	if n := len(b); n > 0 && b[n-1] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	}
	if v.IsInt64() {
		return v.Int64()
	}
	return v
}

func (p *machine) text(op byte) error {
	if op == 'S' || op == 'V' {
		s, err := p.line()
		p.push(strings.Trim(s, `'"`))
		return err
	}
	size := map[byte]int{'U': 1, 'T': 4, 'X': 4, 0x8c: 1, 0x8d: 8, 'B': 4, 'C': 1, 0x8e: 8}[op]
	b, err := p.sized(size, maxText)
	if err != nil {
		return err
	}
	if op == 'B' || op == 'C' || op == 0x8e {
		p.push(b)
	} else {
		p.push(string(b))
	}
	return nil
}

func (p *machine) container(op byte) error {
	switch op {
	case ']', 0x8f:
		p.push(&List{})
	case ')':
		p.push(Tuple{})
	case '}':
		p.push(&Dict{})
	case 0x85, 0x86, 0x87:
		n := int(op-0x85) + 1
		if len(p.stack) < n {
			return errors.New("pickle: a value is missing")
		}
		items := append(Tuple(nil), p.stack[len(p.stack)-n:]...)
		p.stack = p.stack[:len(p.stack)-n]
		p.push(items)
	case 't', 'l', 0x91, 'd':
		items, err := p.popMark()
		if err != nil {
			return err
		}
		switch op {
		case 't':
			p.push(Tuple(items))
		case 'd':
			d := &Dict{}
			p.push(d)
			return d.add(items)
		default:
			p.push(&List{items})
		}
	case 'a':
		v, err := p.pop()
		if err != nil {
			return err
		}
		l, err := top[*List](p, "list")
		if err != nil {
			return err
		}
		l.Items = append(l.Items, v)
	case 'e', 0x90:
		items, err := p.popMark()
		if err != nil {
			return err
		}
		l, err := top[*List](p, "list")
		if err != nil {
			return err
		}
		l.Items = append(l.Items, items...)
	case 's', 'u':
		var items []any
		if op == 'u' {
			var err error
			if items, err = p.popMark(); err != nil {
				return err
			}
		} else {
			v, err := p.pop()
			if err != nil {
				return err
			}
			k, err := p.pop()
			if err != nil {
				return err
			}
			items = []any{k, v}
		}
		d, err := top[*Dict](p, "dictionary")
		if err != nil {
			return err
		}
		return d.add(items)
	}
	return nil
}

func (d *Dict) add(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("pickle: a dictionary's key has no value")
	}
	for i := 0; i < len(items); i += 2 {
		switch items[i].(type) {
		case nil, bool, int64, float64, string, Global:
		default:
			// PyTorch keys its tables with nothing else; others could not be compared.
			items[i] = fmt.Sprintf("%T", items[i])
		}
		d.Keys, d.Values = append(d.Keys, items[i]), append(d.Values, items[i+1])
	}
	return nil
}

func (p *machine) object(op byte) error {
	switch op {
	case 'c':
		module, err := p.line()
		if err != nil {
			return err
		}
		name, err := p.line()
		if err != nil {
			return err
		}
		return p.global(module, name)
	case 0x93:
		name, err := p.pop()
		if err != nil {
			return err
		}
		module, err := p.pop()
		if err != nil {
			return err
		}
		m, ok1 := module.(string)
		n, ok2 := name.(string)
		if !ok1 || !ok2 {
			return errors.New("pickle: a class has no name")
		}
		return p.global(m, n)
	case 'R', 0x81, 0x92:
		if op == 0x92 { // named arguments
			if _, err := p.pop(); err != nil {
				return err
			}
		}
		v, err := p.pop()
		if err != nil {
			return err
		}
		args, ok := v.(Tuple)
		if !ok {
			return fmt.Errorf("pickle: arguments are a %T", v)
		}
		if v, err = p.pop(); err != nil {
			return err
		}
		f, ok := v.(Global)
		if !ok {
			return fmt.Errorf("pickle: a call of a %T", v)
		}
		made, err := p.maker.Call(f, args)
		if err != nil {
			return err
		}
		p.push(made)
	case 'b':
		state, err := p.pop()
		if err != nil {
			return err
		}
		v, err := top[any](p, "object")
		if err != nil {
			return err
		}
		return p.maker.Build(v, state)
	case 'Q':
		id, err := p.pop()
		if err != nil {
			return err
		}
		v, err := p.maker.Persistent(id)
		if err != nil {
			return err
		}
		p.push(v)
	}
	return nil
}

func (p *machine) global(module, name string) error {
	g := Global(module + "." + name)
	if err := p.maker.Global(g); err != nil {
		return err
	}
	p.push(g)
	return nil
}

func (p *machine) remember(op byte) error {
	var key int
	var err error
	switch op {
	case 0x94:
		key = len(p.memo)
	case 'q', 'h':
		key, err = p.number(1)
	case 'r', 'j':
		key, err = p.number(4)
	default:
		var s string
		if s, err = p.line(); err == nil {
			key, err = strconv.Atoi(s)
			err = numberError(err)
		}
	}
	if err != nil {
		return err
	}
	if op == 'g' || op == 'h' || op == 'j' {
		v, ok := p.memo[key]
		if !ok {
			return fmt.Errorf("pickle: nothing was kept as %d", key)
		}
		p.push(v)
		return nil
	}
	v, err := top[any](p, "value")
	if err != nil {
		return err
	}
	if _, ok := v.(mark); ok {
		return errMark
	}
	p.memo[key] = v
	return nil
}
