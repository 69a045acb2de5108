package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/internal/audio"
)

// utterance is what to say and how.
type utterance struct {
	sentence
	voice voice
	settings
	path    string // of the FLAC file
	seed    uint64
	seconds float64

	withTimes bool
	times     string // of the words, begin-end in seconds
}

// render makes the clips of a batch; those that a synthesiser fails on are left
// out and told.
func render(utts []utterance, out string, jobs int) ([]utterance, error) {
	tmp, err := os.MkdirTemp("", "synth")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	wav := func(i int) string { return filepath.Join(tmp, fmt.Sprintf("%d.wav", i)) }
	var script strings.Builder
	for i, u := range utts {
		if u.voice.engine == "festival" {
			script.WriteString(u.festivalScript(wav(i)))
		}
	}
	scm := filepath.Join(tmp, "batch.scm")
	if err := os.WriteFile(scm, []byte(script.String()), 0o666); err != nil {
		return nil, err
	}
	// One sentence that festival cannot say ends the script: the rest is lost, told below.
	festival := command("festival", "-b", scm)
	todo := make(chan int)
	fail := make([]error, len(utts))
	var wg sync.WaitGroup
	for range max(jobs, 1) {
		wg.Go(func() {
			for i := range todo {
				fail[i] = utts[i].make(wav(i), filepath.Join(out, utts[i].path))
			}
		})
	}
	for i := range utts {
		todo <- i
	}
	close(todo)
	wg.Wait()
	var done []utterance
	failures := 0
	for i, u := range utts {
		if fail[i] != nil {
			if failures++; failures <= 3 {
				fmt.Fprintf(os.Stderr, "\n%s left out: %v\n", u.path, fail[i])
			}
			continue
		}
		done = append(done, u)
	}
	if len(done) < len(utts)/2 {
		return nil, fmt.Errorf("most utterances failed: install espeak-ng, flite, festival, festvox-kallpc16k, festvox-kdlpc16k and festvox-us-slt-hts (festival: %v)", festival)
	}
	return done, nil
}

func command(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if b, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(b)))
	}
	return nil
}

// make synthesises one utterance (festival's is there already), plays it at its
// speed and level, and writes it as FLAC.
func (u *utterance) make(wav, flac string) error {
	var err error
	switch u.voice.engine {
	case "espeak":
		err = command("espeak-ng", u.espeakArgs(wav)...)
	case "flite":
		err = command("flite", u.fliteArgs(wav)...)
	}
	if err != nil {
		return err
	}
	if u.withTimes {
		if u.times, err = wordTimes(wav+".times", len(strings.Fields(u.text))); err != nil {
			return err
		}
	}
	channels, f, err := audio.ReadFile(wav)
	if err != nil {
		return err
	}
	rs := audio.NewResampler(int(math.Round(float64(f.SampleRate)*u.speed)), sampleRate, 1)
	x := rs.Flush(rs.Process(nil, channels[0]))
	if len(x) < sampleRate/3 {
		return fmt.Errorf("%s said nothing for %q", u.voice.engine, u.say)
	}
	var peak float32
	for _, v := range x {
		peak = max(peak, v, -v)
	}
	if peak == 0 {
		return fmt.Errorf("%s was silent for %q", u.voice.engine, u.say)
	}
	for i := range x {
		x[i] *= float32(u.level) / peak
	}
	u.seconds = float64(len(x)) / sampleRate
	if err := os.MkdirAll(filepath.Dir(flac), 0o777); err != nil {
		return err
	}
	file, err := os.Create(flac)
	if err != nil {
		return err
	}
	defer file.Close()
	w, err := audio.NewFLACWriter(file, audio.Format{SampleRate: sampleRate, Channels: 1, Bits: 16})
	if err != nil {
		return err
	}
	if err := w.Write(x); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return file.Close()
}

// wordTimes reads the times of words that festival wrote. What it parts from a
// word, such as 's, has none of its own.
func wordTimes(path string, words int) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var name string
		var begin, end float64
		if _, err := fmt.Sscan(line, &name, &begin, &end); err != nil {
			return "", fmt.Errorf("festival's times: %q: %w", line, err)
		}
		if end > 0 {
			out = append(out, fmt.Sprintf("%.3f-%.3f", begin, end))
		}
	}
	if len(out) != words {
		return "", fmt.Errorf("festival said %d words of %d", len(out), words)
	}
	return strings.Join(out, " "), nil
}
