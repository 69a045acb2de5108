package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func testHeader(channels int, sizes ...int) Header {
	return Header{
		Model: "test-v1", Fingerprint: Fingerprint{1, 2, 3, 4, 5, 6, 7, 8},
		ModelRate: 16000, HopLength: 320, SampleRate: 48000, Channels: channels,
		Bits: 16, Samples: -1, CodebookSizes: sizes,
	}
}

func randomCodes(rng *rand.Rand, h Header, frames int) [][]int32 {
	out := make([][]int32, h.Channels)
	for c := range out {
		out[c] = make([]int32, 0, frames*len(h.CodebookSizes))
		for range frames {
			for _, size := range h.CodebookSizes {
				out[c] = append(out[c], rng.Int32N(int32(size)))
			}
		}
	}
	return out
}

// slice returns frames from..to-1 of every channel.
func slice(codes [][]int32, codebooks, from, to int) [][]int32 {
	out := make([][]int32, len(codes))
	for c := range out {
		out[c] = codes[c][from*codebooks : to*codebooks]
	}
	return out
}

// samplesOf is a number of samples that just needs all frames.
func samplesOf(h Header, frames int) int64 {
	return max(0, int64(frames)*int64(h.HopLength)*int64(h.SampleRate)/int64(h.ModelRate)-1)
}

func writeFile(t testing.TB, h Header, codes [][]int32, packetFrames int, opts ...WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, h, append(opts, WithPacketFrames(packetFrames))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrames(codes); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(samplesOf(h, len(codes[0])/len(h.CodebookSizes))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readAll reads every packet and checks that they follow each other.
func readAll(t testing.TB, r *Reader) []*Packet {
	t.Helper()
	var out []*Packet
	for {
		p, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := len(out); n > 0 && (p.FirstFrame != out[n-1].FirstFrame+int64(out[n-1].Frames) || p.Sequence != out[n-1].Sequence+1) {
			t.Fatalf("packet %d at frame %d follows packet %d at %d+%d", p.Sequence, p.FirstFrame, out[n-1].Sequence, out[n-1].FirstFrame, out[n-1].Frames)
		}
		out = append(out, p)
	}
}

// checkPackets checks that every packet but the lost ones holds the frames
// that were written, and returns the lost sequence numbers.
func checkPackets(t testing.TB, h Header, codes [][]int32, packets []*Packet) (lost []uint32, frames int64) {
	t.Helper()
	q := int64(len(h.CodebookSizes))
	for _, p := range packets {
		frames = p.FirstFrame + int64(p.Frames)
		if p.Lost {
			if p.Codes != nil {
				t.Fatalf("lost packet %d has codes", p.Sequence)
			}
			lost = append(lost, p.Sequence)
			continue
		}
		for c := range codes {
			if !slices.Equal(p.Codes[c], codes[c][p.FirstFrame*q:frames*q]) {
				t.Fatalf("packet %d channel %d: codes differ", p.Sequence, c)
			}
		}
	}
	return lost, frames
}

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		h := testHeader(1 + rng.IntN(3))
		if i%20 == 0 {
			h.Channels = MaxChannels
		}
		for range 1 + rng.IntN(10) {
			size := 2 + rng.IntN(3000)
			if rng.IntN(3) == 0 {
				size = 1 << (1 + rng.IntN(24))
			}
			h.CodebookSizes = append(h.CodebookSizes, size)
		}
		if i%3 == 0 {
			h.Samples = rng.Int64N(1 << 40)
		}
		frames := rng.IntN(300)
		codes := randomCodes(rng, h, frames)
		packetFrames := 1 + rng.IntN(60)
		whole := writeFile(t, h, codes, packetFrames)

		var b bytes.Buffer
		w, err := NewWriter(&b, h, WithPacketFrames(packetFrames))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < frames; {
			n := min(rng.IntN(80), frames-at)
			if err := w.WriteFrames(slice(codes, len(h.CodebookSizes), at, at+n)); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		if err := w.Close(samplesOf(h, frames)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), whole) {
			t.Fatal("the file depends on how the frames were split between calls")
		}

		var in io.Reader = &b
		if i%2 == 0 {
			in = iotest.OneByteReader(in)
		}
		r, err := NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Header(), h) {
			t.Fatalf("header %+v, want %+v", r.Header(), h)
		}
		if r.Samples() != h.Samples {
			t.Fatalf("samples before the end: %d, want %d", r.Samples(), h.Samples)
		}
		lost, got := checkPackets(t, h, codes, readAll(t, r))
		if len(lost) > 0 || got != int64(frames) || len(r.Damage()) > 0 {
			t.Fatalf("%d of %d frames, lost %v, damage %v", got, frames, lost, r.Damage())
		}
		if r.Samples() != samplesOf(h, frames) {
			t.Fatalf("samples %d, want %d", r.Samples(), samplesOf(h, frames))
		}
	}
}

// Every single damaged byte costs at most one packet.
func TestEveryByteDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, h := range []Header{testHeader(2, 1000, 7, 1024), testHeader(1, 1024, 1024)} {
		const frames, packetFrames = 93, 5
		codes := randomCodes(rng, h, frames)
		file := writeFile(t, h, codes, packetFrames)
		headerSize := len(h.append(nil))
		footer := len(file) - 2*endSize - 4 - 2*indexEntrySize
		for pos := range file {
			for _, flip := range []byte{0x01, 0x80, 0xFF, byte(1 + rng.IntN(255))} {
				bad := slices.Clone(file)
				bad[pos] ^= flip
				r, err := NewReader(bytes.NewReader(bad))
				if pos < headerSize {
					var version *VersionError
					if !errors.Is(err, ErrFormat) && !errors.As(err, &version) {
						t.Fatalf("byte %d: header accepted or unclear: %v", pos, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				lost, got := checkPackets(t, h, codes, readAll(t, r))
				if got != frames || r.Samples() != samplesOf(h, frames) {
					t.Fatalf("byte %d: %d frames, %d samples", pos, got, r.Samples())
				}
				want := 1
				if pos >= footer {
					want = 0
				}
				if len(lost) != want || len(r.Damage()) != 1 {
					t.Fatalf("byte %d^%02x of %d: lost %v, damage %q", pos, flip, len(file), lost, r.Damage())
				}
				if want == 1 && !strings.HasPrefix(r.Damage()[0].Error(), fmt.Sprintf("packet %d (frames %d-%d): ", lost[0], lost[0]*5, min(lost[0]*5+4, frames-1))) {
					t.Fatalf("damage %q does not name packet %d", r.Damage(), lost[0])
				}
				// Seeking works as well, with the index or without.
				target := int64(pos % frames)
				if err := r.SeekFrame(target); err != nil {
					t.Fatal(err)
				}
				rest := readAll(t, r)
				if first := rest[0].FirstFrame; first > target || first+int64(rest[0].Frames) <= target {
					t.Fatalf("byte %d: seek to %d gives frame %d", pos, target, first)
				}
				if _, got := checkPackets(t, h, codes, rest); got != frames {
					t.Fatalf("byte %d: after seeking %d frames", pos, got)
				}
			}
		}
	}
}

// A file cut anywhere gives its whole packets and says that it is cut.
func TestTruncated(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	h := testHeader(2, 1000, 1024)
	const frames, packetFrames = 50, 6
	codes := randomCodes(rng, h, frames)
	file := writeFile(t, h, codes, packetFrames)
	headerSize := len(h.append(nil))
	footer := len(file) - 2*endSize - 4 - indexEntrySize
	packetSize := packetHeaderSize + (2*packetFrames*20+7)/8
	for n := range file {
		r, err := NewReader(bytes.NewReader(file[:n]))
		if n < headerSize {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		lost, got := checkPackets(t, h, codes, readAll(t, r))
		want, samples := min(frames, int64((n-headerSize)/packetSize*packetFrames)), int64(-1)
		if n >= footer {
			want = frames
		}
		if n >= footer+endSize {
			samples = samplesOf(h, frames)
		}
		if len(lost) > 0 || got != want || r.Samples() != samples || len(r.Damage()) != 1 {
			t.Fatalf("cut at %d of %d: %d frames (want %d), lost %v, %d samples, damage %q", n, len(file), got, want, lost, r.Samples(), r.Damage())
		}
	}
}

func TestMissingRepeatedReordered(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	h := testHeader(1, 1024)
	const frames, packetFrames = 60, 6
	codes := randomCodes(rng, h, frames)
	file := writeFile(t, h, codes, packetFrames)
	size := packetHeaderSize + (packetFrames*10+7)/8
	start := len(h.append(nil))
	packet := func(i int) []byte { return file[start+i*size : start+(i+1)*size] }
	build := func(order ...int) []byte {
		b := slices.Clone(file[:start])
		for _, i := range order {
			b = append(b, packet(i)...)
		}
		return append(b, file[start+10*size:]...)
	}
	junk := slices.Clone(build(0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
	junk = slices.Insert(junk, start+3*size, []byte("some bytes \xF5P that are \xF5E no packet")...)
	short := slices.Delete(slices.Clone(file), start+3*size+30, start+3*size+31)
	for name, test := range map[string]struct {
		file   []byte
		lost   []uint32
		damage int
	}{
		"one missing":           {build(0, 1, 2, 4, 5, 6, 7, 8, 9), []uint32{3}, 1},
		"first missing":         {build(1, 2, 3, 4, 5, 6, 7, 8, 9), []uint32{0}, 1},
		"last missing":          {build(0, 1, 2, 3, 4, 5, 6, 7, 8), []uint32{9}, 1},
		"three missing":         {build(0, 1, 2, 6, 7, 8, 9), []uint32{3, 4, 5}, 3},
		"all missing":           {build(), []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10},
		"repeated":              {build(0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9), nil, 1},
		"swapped":               {build(0, 1, 2, 4, 3, 5, 6, 7, 8, 9), []uint32{3}, 2},
		"junk between":          {junk, nil, 1},
		"byte deleted":          {short, []uint32{3}, 1},
		"trailing data":         {append(slices.Clone(file), 0), nil, 1},
		"two files in a row":    {append(slices.Clone(file), file...), nil, 1},
		"no footer, no damage ": {file[:start+10*size], nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(test.file))
			if err != nil {
				t.Fatal(err)
			}
			lost, got := checkPackets(t, h, codes, readAll(t, r))
			if !slices.Equal(lost, test.lost) || got != frames || len(r.Damage()) != test.damage {
				t.Fatalf("%d frames, lost %v, damage %q", got, lost, r.Damage())
			}
		})
	}
}

func TestSeekFrame(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	h := testHeader(2, 1000, 31)
	const frames, packetFrames = 500, 4
	codes := randomCodes(rng, h, frames)
	file := writeFile(t, h, codes, packetFrames)
	prefix := []byte("the file does not start at offset 0")
	for name, file := range map[string][]byte{"index": file, "no index": file[:len(file)-endSize-1]} {
		src := bytes.NewReader(append(slices.Clone(prefix), file...))
		src.Seek(int64(len(prefix)), io.SeekStart)
		r, err := NewReader(src)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			target := rng.Int64N(frames)
			if err := r.SeekFrame(target); err != nil {
				t.Fatal(err)
			}
			rest := readAll(t, r)
			if rest[0].FirstFrame != target/packetFrames*packetFrames {
				t.Fatalf("%s: seek to %d gives %d", name, target, rest[0].FirstFrame)
			}
			if lost, got := checkPackets(t, h, codes, rest); len(lost) > 0 || got != frames {
				t.Fatalf("%s: lost %v, %d frames", name, lost, got)
			}
		}
		if err := r.SeekFrame(frames); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Fatalf("past the end: %v", err)
		}
	}
	r, err := NewReader(iotest.HalfReader(bytes.NewReader(file)))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SeekFrame(3); err == nil {
		t.Fatal("seeking in a pipe succeeded")
	}
}

// The index stays bounded in long files by doubling its stride.
func TestIndexThins(t *testing.T) {
	var x seekIndex
	const packets = 5 * maxIndex * indexStride
	for i := range uint32(packets) {
		x.add(indexEntry{i, int64(i) * 3, int64(i) * 100})
	}
	if len(x.entries) > maxIndex || len(x.entries) < maxIndex/2 {
		t.Fatalf("%d entries", len(x.entries))
	}
	for i, e := range x.entries {
		if e.sequence != uint32(i+1)*x.stride || e.offset != 100*int64(e.sequence) {
			t.Fatalf("entry %d: %+v, stride %d", i, e, x.stride)
		}
	}
	got, ok := parseIndex(x.append(nil))
	if !ok || !slices.Equal(got, x.entries) {
		t.Fatal("index differs after a round trip")
	}
}

func TestPackingPowersOfTwoArePlainFields(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	h := testHeader(2, 2, 1024, 1<<24, 64, 1<<24, 8, 512)
	pk := newPacking(h.CodebookSizes)
	codes := randomCodes(rng, h, 17)
	var want strings.Builder
	for _, channel := range codes {
		for i, c := range channel {
			width := newPacking(h.CodebookSizes[i%7 : i%7+1]).frameBits
			fmt.Fprintf(&want, "%0*b", width, c)
		}
	}
	for want.Len()%8 != 0 {
		want.WriteByte('0')
	}
	var got strings.Builder
	packed := pk.pack(nil, codes)
	for _, b := range packed {
		fmt.Fprintf(&got, "%08b", b)
	}
	if got.String() != want.String() {
		t.Fatal("bits differ from plain fields")
	}
}

func TestPackingBits(t *testing.T) {
	for _, test := range []struct {
		sizes []int
		bits  int
	}{
		{[]int{2}, 1}, {[]int{3}, 2}, {[]int{1024}, 10}, {[]int{1025}, 11},
		{[]int{3, 3, 3, 3, 3}, 8},          // 243
		{[]int{468, 468}, 18},              // 219024
		{[]int{1 << 24, 1 << 24}, 48},      //
		{slices.Repeat([]int{3}, 64), 102}, // groups of 35 and 29: 56 + 46
	} {
		if pk := newPacking(test.sizes); pk.frameBits != test.bits {
			t.Errorf("%v: %d bits, want %d", test.sizes, pk.frameBits, test.bits)
		}
	}
}

func TestUnpackRefusesValuesOutside(t *testing.T) {
	pk := newPacking([]int{3})
	if _, err := pk.unpack([]byte{0xC0}, 1, 1); err == nil {
		t.Fatal("code 3 of a codebook of 3 accepted")
	}
}

func TestWriterRefuses(t *testing.T) {
	valid := testHeader(2, 1024)
	for name, change := range map[string]func(*Header){
		"no name":          func(h *Header) { h.Model = "" },
		"long name":        func(h *Header) { h.Model = strings.Repeat("x", 256) },
		"name with escape": func(h *Header) { h.Model = "\x1b[31m" },
		"no channels":      func(h *Header) { h.Channels = 0 },
		"channels":         func(h *Header) { h.Channels = 256 },
		"rate":             func(h *Header) { h.SampleRate = 0 },
		"model rate":       func(h *Header) { h.ModelRate = 1 << 30 },
		"hop":              func(h *Header) { h.HopLength = 0 },
		"no codebooks":     func(h *Header) { h.CodebookSizes = nil },
		"codebooks":        func(h *Header) { h.CodebookSizes = slices.Repeat([]int{2}, 65) },
		"size 1":           func(h *Header) { h.CodebookSizes = []int{1} },
		"samples":          func(h *Header) { h.Samples = -2 },
	} {
		h := valid.clone()
		change(&h)
		if _, err := NewWriter(io.Discard, h); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	w, err := NewWriter(io.Discard, valid)
	if err != nil {
		t.Fatal(err)
	}
	for name, codes := range map[string][][]int32{
		"one channel":     {{1}},
		"unequal":         {{1}, {1, 2}},
		"negative":        {{0}, {-1}},
		"beyond codebook": {{0}, {1024}},
	} {
		if err := w.WriteFrames(codes); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := w.WriteFrames([][]int32{{1, 2}, {3, 4}}); err != nil {
		t.Fatal(err)
	}
	for _, samples := range []int64{-1, 1 << 20} {
		if err := w.Close(samples); err == nil {
			t.Errorf("2 frames with %d samples accepted", samples)
		}
	}
	if err := w.Close(1920); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrames([][]int32{{1}, {3}}); err == nil {
		t.Error("writing after Close accepted")
	}
}

func TestReaderRefuses(t *testing.T) {
	h := testHeader(1, 1024)
	good := h.append(nil)
	seal := func(change func(b []byte)) string {
		b := slices.Clone(good)
		change(b)
		binary.BigEndian.PutUint32(b[len(b)-4:], checksum(b[:len(b)-4]))
		return string(b)
	}
	for name, test := range map[string]struct{ file, want string }{
		"empty":     {"", "empty"},
		"text":      {"hello, this is a text file", "magic is missing"},
		"short":     {"R", "magic is missing"},
		"text mode": {strings.Replace(string(good), "\r\n", "\n", 1), "text mode"},
		"version":   {seal(func(b []byte) { b[10] = 2 }), "version 2"},
		"mode":      {seal(func(b []byte) { b[11] = 2 }), "mode 2"},
		"entropy":   {seal(func(b []byte) { b[11] = 1 }), "no entropy coder"},
		"codebooks": {seal(func(b []byte) { b[44] = 200 }), "200 codebooks"},
		"name":      {seal(func(b []byte) { b[49] = 255 }), "model name"},
		"size":      {seal(func(b []byte) { b[45] = 255 }), "codebook 0"},
		"channels":  {seal(func(b []byte) { b[34] = 0 }), "channels 0"},
		"samples":   {seal(func(b []byte) { b[36] = 0x80 }), "negative"},
	} {
		_, err := NewReader(strings.NewReader(test.file))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	failing := errors.New("disk on fire")
	if _, err := NewReader(iotest.ErrReader(failing)); !errors.Is(err, failing) {
		t.Errorf("read error lost: %v", err)
	}
}

// Claims of frames that have no bytes in the file are bounded.
func TestHostileGap(t *testing.T) {
	h := testHeader(1, 2)
	file := h.append(nil)
	for i := range 100 {
		payload := []byte{0}
		p := packetHeader{uint32(i) * 1e6, int64(i) * 4e9, 1, 1, checksum(payload)}
		file = append(p.append(file), payload...)
	}
	end := endRecord{packets: 1 << 31, frames: 1 << 39, samples: 1 << 48}
	file = end.append(file)
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	packets := readAll(t, r)
	if len(packets) != 1 || r.Samples() != -1 {
		t.Fatalf("%d packets, %d samples", len(packets), r.Samples())
	}
}

func TestCheckWeights(t *testing.T) {
	h := testHeader(1, 1024)
	if err := h.CheckWeights(Info{Name: "other", Fingerprint: h.Fingerprint}); err != nil {
		t.Fatal(err)
	}
	err := h.CheckWeights(Info{Name: "test-v2", Fingerprint: Fingerprint{9}})
	var weights *WeightsError
	if !errors.As(err, &weights) || !strings.Contains(err.Error(), "test-v1") {
		t.Fatalf("%v", err)
	}
}

func BenchmarkPack(b *testing.B) {
	for name, sizes := range map[string][]int{"1024x8": slices.Repeat([]int{1024}, 8), "468x8": slices.Repeat([]int{468}, 8)} {
		h := testHeader(1, sizes...)
		pk := newPacking(h.CodebookSizes)
		codes := randomCodes(rand.New(rand.NewPCG(1, 1)), h, 50)
		packed := pk.pack(nil, codes)
		b.Run("pack/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(packed)))
			for b.Loop() {
				packed = pk.pack(packed[:0], codes)
			}
		})
		b.Run("unpack/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(packed)))
			for b.Loop() {
				if _, err := pk.unpack(packed, 1, 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
