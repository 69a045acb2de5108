//go:build ignore

// Music writes the opening of Beethoven's "Ode to Joy" as a 44.1 kHz stereo
// 16-bit WAV file on standard output: plucked strings by the method of Karplus
// and Strong (Computer Music Journal 7(2), 1983), melody left, bass right.
package main

import (
	"bytes"
	"encoding/binary"
	"log"
	"math"
	"math/rand"
	"os"
)

const (
	rate = 44100
	beat = rate * 30 / 100 // 0.3 s
)

// pluck adds one string of the given MIDI pitch to both channels from sample
// at; pan 0 is left, 1 is right.
func pluck(mix [][2]float64, at, pitch int, pan float64, rng *rand.Rand) {
	line := make([]float64, int(rate/(440*math.Pow(2, float64(pitch-69)/12))))
	last := 0.0
	for i := range line {
		// The excitation is noise with its highs taken off: a soft pluck.
		last += 0.06 * (rng.Float64()*2 - 1 - last)
		line[i] = last
	}
	for i := 0; at+i < len(mix); i++ {
		k := i % len(line)
		v := line[k]
		mix[at+i][0] += v * (1 - pan)
		mix[at+i][1] += v * pan
		line[k] = 0.4985 * (v + line[(k+1)%len(line)])
	}
}

func main() {
	log.SetFlags(0)
	melody := []int{64, 64, 65, 67, 67, 65, 64, 62}
	bass := []int{48, 43, 48, 43}
	rng := rand.New(rand.NewSource(1))
	mix := make([][2]float64, len(melody)*beat)
	for i, p := range melody {
		pluck(mix, i*beat, p, 0.3, rng)
	}
	for i, p := range bass {
		pluck(mix, i*2*beat, p, 0.7, rng)
	}
	peak := 0.0
	for _, f := range mix {
		peak = math.Max(peak, math.Max(math.Abs(f[0]), math.Abs(f[1])))
	}
	pcm := make([]int16, 0, 2*len(mix))
	for _, f := range mix {
		for _, v := range f {
			pcm = append(pcm, int16(math.Round(v/peak*0.5*32767)))
		}
	}
	size := uint32(2 * len(pcm))
	var b bytes.Buffer
	for _, v := range []any{
		[]byte("RIFF"), 36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(2),
		uint32(rate), uint32(rate * 4), uint16(4), uint16(16), []byte("data"), size, pcm,
	} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := os.Stdout.Write(b.Bytes()); err != nil {
		log.Fatal(err)
	}
}
