package tokeneval

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
)

// Probe says what a linear classifier reads off the tokens of a recording: how
// often each code of a codebook occurs in it (the square roots of the shares).
type Probe struct {
	Classes  int       `json:"classes"`  // speakers, or words
	Learned  int       `json:"learned"`  // recordings that it learned from
	Tested   int       `json:"tested"`   // others
	Chance   float64   `json:"chance"`   // of the commonest class, or of a guess
	Codebook []float64 `json:"codebook"` // by each codebook alone
	All      float64   `json:"all"`      // by all codebooks together
}

// Leakage says what the tokens tell about speaker and words.
type Leakage struct {
	// Speaker is the share of recordings whose speaker is named, among speakers of
	// whom other recordings were learned.
	Speaker *Probe `json:"speaker,omitempty"`
	// Content is the mean area under the ROC curve of telling whether a word is
	// spoken in a recording, over frequent words: 0.5 is a guess, 1 certain.
	Content *Probe `json:"content,omitempty"`
}

// Recording is one with its labels; either may be empty.
type Recording struct {
	Codes   []int32 // [T][Q]
	Speaker string
	Text    string
}

const (
	leastClips = 8  // recordings of a speaker that takes part
	leastWord  = 30 // recordings with, and without, a word that takes part
	mostWords  = 40
	passes     = 30
)

// leak measures recordings of codebooks of the given sizes. Every fourth
// recording of a speaker is for testing. A probe without enough labels is nil.
func leak(recordings []Recording, sizes []int) Leakage {
	return Leakage{Speaker: speakers(recordings, sizes), Content: words(recordings, sizes)}
}

// feature is a sparse vector.
type feature struct {
	at    []int32
	value []float64
}

// histogram counts the codes of some codebooks of a recording.
func histogram(codes []int32, books []int, sizes []int) feature {
	count, offset := map[int32]int{}, map[int]int32{}
	next := int32(0)
	for _, q := range books {
		offset[q] = next
		next += int32(sizes[q])
	}
	for i, c := range codes {
		if o, ok := offset[i%len(sizes)]; ok {
			count[o+c]++
		}
	}
	var f feature
	for c := range count {
		f.at = append(f.at, c)
	}
	slices.Sort(f.at)
	frames := float64(max(len(codes)/len(sizes), 1))
	for _, c := range f.at {
		f.value = append(f.value, math.Sqrt(float64(count[c])/frames/float64(len(books))))
	}
	return f
}

// views are the sets of codebooks that probes see: each alone, then all.
func views(sizes []int) [][]int {
	var v [][]int
	var all []int
	for q := range sizes {
		v, all = append(v, []int{q}), append(all, q)
	}
	return append(v, all)
}

func width(books, sizes []int) (n int) {
	for _, q := range books {
		n += sizes[q]
	}
	return n
}

func speakers(recordings []Recording, sizes []int) *Probe {
	by := map[string][]int{}
	for i, r := range recordings {
		if r.Speaker != "" && len(r.Codes) > 0 {
			by[r.Speaker] = append(by[r.Speaker], i)
		}
	}
	var learn, test, class []int
	class = make([]int, len(recordings))
	var names []string
	for s, all := range by {
		if len(all) >= leastClips {
			names = append(names, s)
		}
	}
	sort.Strings(names)
	p := &Probe{Classes: len(names)}
	if len(names) < 2 {
		return nil
	}
	most := 0
	for k, s := range names {
		tested := 0
		for n, i := range by[s] {
			class[i] = k
			if n%4 == 3 {
				test = append(test, i)
				tested++
			} else {
				learn = append(learn, i)
			}
		}
		most = max(most, tested)
	}
	p.Learned, p.Tested, p.Chance = len(learn), len(test), float64(most)/float64(len(test))
	for _, books := range views(sizes) {
		m := newLinear(width(books, sizes), len(names))
		features := map[int]feature{}
		for _, i := range slices.Concat(learn, test) {
			features[i] = histogram(recordings[i].Codes, books, sizes)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		for range passes {
			rng.Shuffle(len(learn), func(a, b int) { learn[a], learn[b] = learn[b], learn[a] })
			for _, i := range learn {
				m.softmax(features[i], class[i])
			}
		}
		right := 0
		for _, i := range test {
			s := m.scores(features[i])
			if slices.Index(s, slices.Max(s)) == class[i] {
				right++
			}
		}
		p.add(float64(right)/float64(len(test)), len(books) == len(sizes) && len(p.Codebook) == len(sizes))
	}
	return p
}

// add notes a result: of all codebooks, or of the next one.
func (p *Probe) add(v float64, all bool) {
	if all {
		p.All = v
		return
	}
	p.Codebook = append(p.Codebook, v)
}

func words(recordings []Recording, sizes []int) *Probe {
	var with []int
	count := map[string]int{}
	spoken := map[int]map[string]bool{}
	for i, r := range recordings {
		if r.Text == "" || len(r.Codes) == 0 {
			continue
		}
		with = append(with, i)
		spoken[i] = map[string]bool{}
		for _, w := range strings.Fields(strings.ToLower(r.Text)) {
			if w = strings.Trim(w, ".,;:!?\"'()"); w != "" && !spoken[i][w] {
				spoken[i][w] = true
				count[w]++
			}
		}
	}
	var names []string
	for w, n := range count {
		if n >= leastWord && n <= len(with)-leastWord {
			names = append(names, w)
		}
	}
	sort.Slice(names, func(a, b int) bool {
		return count[names[a]] > count[names[b]] || count[names[a]] == count[names[b]] && names[a] < names[b]
	})
	names = names[:min(len(names), mostWords)]
	if len(names) == 0 {
		return nil
	}
	var learn, test []int
	for n, i := range with {
		if n%4 == 3 {
			test = append(test, i)
		} else {
			learn = append(learn, i)
		}
	}
	p := &Probe{Classes: len(names), Learned: len(learn), Tested: len(test), Chance: 0.5}
	for _, books := range views(sizes) {
		m := newLinear(width(books, sizes), len(names))
		features := map[int]feature{}
		for _, i := range with {
			features[i] = histogram(recordings[i].Codes, books, sizes)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		label := make([]bool, len(names))
		for range passes {
			rng.Shuffle(len(learn), func(a, b int) { learn[a], learn[b] = learn[b], learn[a] })
			for _, i := range learn {
				for k, w := range names {
					label[k] = spoken[i][w]
				}
				m.logistic(features[i], label)
			}
		}
		sum, n := 0.0, 0
		for k, w := range names {
			var yes, no []float64
			for _, i := range test {
				if s := m.scores(features[i])[k]; spoken[i][w] {
					yes = append(yes, s)
				} else {
					no = append(no, s)
				}
			}
			if len(yes) > 0 && len(no) > 0 {
				sum += area(yes, no)
				n++
			}
		}
		p.add(sum/float64(max(n, 1)), len(books) == len(sizes) && len(p.Codebook) == len(sizes))
	}
	return p
}

// area under the ROC curve: how often a score of yes exceeds one of no.
func area(yes, no []float64) float64 {
	sort.Float64s(no)
	sum := 0.0
	for _, y := range yes {
		below := sort.SearchFloat64s(no, y)
		upTo := sort.Search(len(no), func(i int) bool { return no[i] > y })
		sum += float64(below) + float64(upTo-below)/2
	}
	return sum / float64(len(yes)*len(no))
}

// linear is a classifier fitted by AdaGrad (Duchi et al. 2011).
type linear struct {
	classes      int
	w, sum       []float64 // [feature][class]
	bias, biased []float64
}

func newLinear(features, classes int) *linear {
	return &linear{classes, make([]float64, features*classes), make([]float64, features*classes),
		make([]float64, classes), make([]float64, classes)}
}

func (m *linear) scores(f feature) []float64 {
	s := slices.Clone(m.bias)
	for i, at := range f.at {
		for k, w := range m.w[int(at)*m.classes:][:m.classes] {
			s[k] += f.value[i] * w
		}
	}
	return s
}

func (m *linear) softmax(f feature, class int) {
	s := m.scores(f)
	top, total := slices.Max(s), 0.0
	for k := range s {
		s[k] = math.Exp(s[k] - top)
		total += s[k]
	}
	for k := range s {
		s[k] /= total
	}
	s[class]--
	m.step(f, s)
}

func (m *linear) logistic(f feature, label []bool) {
	s := m.scores(f)
	for k := range s {
		s[k] = 1 / (1 + math.Exp(-s[k]))
		if label[k] {
			s[k]--
		}
	}
	m.step(f, s)
}

func (m *linear) step(f feature, slope []float64) {
	const rate = 0.5
	for i, at := range f.at {
		w, sum := m.w[int(at)*m.classes:][:m.classes], m.sum[int(at)*m.classes:][:m.classes]
		for k, g := range slope {
			g *= f.value[i]
			sum[k] += g * g
			w[k] -= rate * g / math.Sqrt(sum[k]+1e-8)
		}
	}
	for k, g := range slope {
		m.biased[k] += g * g
		m.bias[k] -= rate * g / math.Sqrt(m.biased[k]+1e-8)
	}
}
