package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// voice is a synthesiser and a voice of it.
type voice struct {
	engine string // "espeak", "flite" or "festival"
	name   string
}

func (v voice) speaker() string {
	return v.engine + "-" + strings.NewReplacer("+", "-", "_", "-").Replace(v.name)
}

// settings of an utterance.
type settings struct {
	rate    float64 // of speaking, 1 is the voice's own
	pitch   float64 // mean, 1 is the voice's own
	rangeOf float64 // of pitch, 1 is the voice's own
	speed   float64 // of playing, which shifts the whole spectrum: as if the speaker were smaller (above 1) or bigger
	level   float64 // peak, of full scale
}

func chooseSettings(rng *rand.Rand) settings {
	between := func(a, b float64) float64 { return a + (b-a)*rng.Float64() }
	return settings{rate: between(0.72, 1.25), pitch: between(0.8, 1.3), rangeOf: between(0.6, 1.5), speed: between(0.9, 1.13), level: between(0.1, 0.9)}
}

// chooseVoice prefers no speaker; natural-sounding engines get the larger part.
func chooseVoice(rng *rand.Rand) voice {
	switch k := rng.IntN(100); {
	case k < 40:
		return voice{"espeak", pick(rng, espeakAccents) + "+" + pick(rng, espeakVariants)}
	case k < 72:
		return voice{"flite", pick(rng, fliteVoices)}
	}
	return voice{"festival", pick(rng, festivalVoices)}
}

var (
	espeakAccents = strings.Fields("en-us en-us en-us en-us-nyc en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029")
	// Those that sound like people; whispering and croaking ones are left out.
	espeakVariants = strings.Fields("f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2 klatt3 klatt4 adam Alex Alicia Andrea Andy Annie belinda benjamin boris caleb david Denis ed edward edward2 Gene Hugo john linda max michael paul rob robert steph steph2 steph3 Lee shelby travis victor Zac")
	fliteVoices    = strings.Fields("slt rms awb kal16")
	festivalVoices = strings.Fields("cmu_us_slt_arctic_hts ked_diphone kal_diphone")
)

// espeakArgs are the command line of espeak-ng but for the text.
func (u utterance) espeakArgs(wav string) []string {
	return []string{"-v", u.voice.name, "-s", fmt.Sprint(int(160 * u.rate)), "-p", fmt.Sprint(int(min(99, 50*u.pitch))), "-w", wav, "--", u.saying()}
}

// fliteArgs are the command line of flite.
func (u utterance) fliteArgs(wav string) []string {
	f0 := map[string]float64{"slt": 170, "rms": 100, "awb": 130, "kal16": 105}[u.voice.name]
	return []string{
		"-voice", u.voice.name,
		"--setf", fmt.Sprintf("duration_stretch=%.3f", 1/u.rate),
		"--setf", fmt.Sprintf("int_f0_target_mean=%.1f", f0*u.pitch),
		"-t", u.saying(), "-o", wav,
	}
}

// festivalScript makes the utterance within a festival session.
func (u utterance) festivalScript(wav string) string {
	return fmt.Sprintf(`(voice_%s)
(Parameter.set 'Duration_Stretch %.3f)
(set! int_lr_params '((target_f0_mean %.1f) (target_f0_std %.1f) (model_f0_mean 170) (model_f0_std 34)))
(set! u (SynthText %q))
(utt.save.wave u %q 'riff)
(set! f (fopen %q "w"))
(mapcar (lambda (w) (format f "%%s %%f %%f\n" (item.name w) (item.feat w "word_start") (item.feat w "word_end"))) (utt.relation.items u 'Word))
(fclose f)
`, u.voice.name, 1/u.rate, 105*u.pitch, 14*u.rangeOf, u.saying(), wav, wav+".times")
}

// saying is the text as the engine reads it rightly.
func (u utterance) saying() string {
	w := strings.Fields(u.say)
	for i, x := range w {
		word := strings.TrimRight(x, ",")
		tail := x[len(word):]
		switch {
		case word == "A" && isDictation(w) && u.voice.engine == "espeak":
			w[i] = "[[eI]]" + tail
		case word == "A" && isDictation(w):
			w[i] = "ay" + tail
		case word == "Z":
			w[i] = "zee" + tail
		case len(word) == 1 && isDictation(w):
			w[i] = strings.ToLower(word) + tail
		}
	}
	return strings.NewReplacer(`"`, "", `\`, "", "--", ",", "(", ", ", ")", ", ", "[", "[", "*", "").Replace(strings.Join(w, " "))
}

// isDictation tells dictations, which have no full stops and no capitals but
// single letters, from sentences.
func isDictation(w []string) bool {
	for _, x := range w {
		x = strings.TrimRight(x, ",")
		if len(x) > 1 && x != strings.ToLower(x) || strings.ContainsAny(x, ".!?;:\"") {
			return false
		}
	}
	return true
}
