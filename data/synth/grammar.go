package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/sotto-audio/sotto/internal/transcript"
)

// grammar makes dictations of the kind that people give to forms and machines:
// spelled names and places, addresses, numbers, dates and commands.
type grammar struct {
	names []string // of a text, to be spelled
}

func newGrammar(names []string) *grammar {
	slices.Sort(names)
	return &grammar{names}
}

var (
	givenNames  = strings.Fields(`aaron adam agnes alan albert alice amanda andrea andrew angela ann anna anthony arthur barbara benjamin betty bonnie brenda brian bruce carl carol carolyn catherine charles cheryl christine clara claire craig cynthia daniel deborah dennis diana donald donna doris dorothy douglas edward elaine eleanor elizabeth ellen emily emma ernest esther eugene evelyn florence frances francis frank fred gary george gerald gloria gordon grace gregory harold harry heather helen henry howard irene jack jacob james jane janet jason jeffrey jerome jessica joan joel joseph joyce juan judith karl katherine keith kelly kenneth kevin kimberly larry laura lawrence leonard lillian linda lois louis louise lucy margaret maria marie marilyn marion mark martha martin marvin mary matthew maureen mildred monica nancy nathan nicholas nicole norman oliver pamela patricia patrick paul peggy peter philip phyllis rachel ralph raymond rebecca richard robert roger ronald rose roy ruth samuel sandra sarah scott sharon shirley simon stanley stephen steven susan sylvia teresa thomas timothy valerie vernon victor victoria vincent virginia walter wanda warren wayne wendy william zachary`)
	familyNames = strings.Fields(`adams allen anderson armstrong bailey baker barnes becker bennett bishop black boyd bradley brooks brown bryant burke butler campbell carlson carpenter carter chambers clark cohen coleman collins cook cooper cox crawford cruz cunningham davidson davis dixon duncan edwards elliott ellis evans ferguson fisher fleming foster fox franklin freeman garcia gardner gibbs gordon graham grant gray green griffin gupta hamilton hansen harper harris hayes henderson hicks hill hoffman holmes howard hudson hughes hunt jackson jacobs jenkins jensen johnson jones jordan kaplan kaufman keller kelley kennedy kim king klein knight kowalski lambert larson lawson lee lewis long lopez lynch marshall martinez mason matthews mccarthy mcdonald mcgrath meyer miller mills mitchell moore morgan morris murphy murray myers newman nguyen norris obrien olson ortiz owens palmer parker payne perkins perry peters peterson phelps pierce porter powell price quinn ramirez reed reynolds rice richards rivera robbins robinson rogers romano rossi russell ryan sanchez sanders schmidt schneider schultz shaw simmons simpson singh smith snyder spencer stephens stevens stewart stone sullivan taylor thompson torres turner vaughn wagner walker wallace walsh ward warner watkins watson weaver webb weber welch wells wheeler white wilkins williams willis wong wright yamamoto young ziegler zimmerman`)
	placeNames  = strings.Fields(`akron albany altoona annapolis atlanta austin baltimore bangor boston boulder buffalo butler cambridge canton charleston charlotte chicago cincinnati cleveland columbus concord dallas dayton denver detroit duluth durham elkins erie evanston fairfax fargo flint fresno greensburg harrisburg hartford houston indiana jackson johnstown kansas knoxville lansing lexington lincoln london louisville madison memphis miami milwaukee monroe nashville newark norfolk oakland omaha orlando oxford phoenix portland princeton providence raleigh reading richmond rochester sacramento scranton seattle stockton syracuse tacoma tampa toledo topeka trenton tucson tulsa uniontown utica warren washington wheeling wilmington york youngstown`)
	streetNames = strings.Fields(`ash birch bridge broad cedar center cherry chestnut church college court dogwood east elm forest franklin front grove hickory highland hill jefferson lake laurel lincoln locust main maple market mill north oak orchard park pine poplar ridge river school south spring spruce state sunset sycamore union valley vine walnut washington water west willow woodland`)
	streetKinds = strings.Fields(`street avenue road drive lane court place way`)
	months      = strings.Fields(`january february march april may june july august september october november december`)
	verbs       = strings.Fields(`enter erase rubout`)
	commands    = strings.Fields(`yes no go stop help start repeat enter erase rubout`)
)

func pick(rng *rand.Rand, words []string) string { return words[rng.IntN(len(words))] }

// one gives an utterance whose text is not held out.
func (g *grammar) one(rng *rand.Rand, h *transcript.HeldOut) sentence {
	for {
		if s := g.any(rng); !h.Has(s.text) {
			return s
		}
	}
}

// many gives n utterances without pronunciation.
func (g *grammar) many(seed uint64, n int, h *transcript.HeldOut) []sentence {
	rng := rand.New(rand.NewPCG(seed, 1<<63))
	out := make([]sentence, n)
	for i := range out {
		out[i] = g.one(rng, h)
	}
	return out
}

func (g *grammar) any(rng *rand.Rand) sentence {
	var text string
	switch k := rng.IntN(100); {
	case k < 24:
		text = g.spelled(rng)
	case k < 34:
		text = letters(rng, 1+rng.IntN(7)) + " " + number(rng)
	case k < 50:
		text = pick(rng, verbs) + " " + letters(rng, 2+rng.IntN(4)) + " " + number(rng)
	case k < 60:
		text = pick(rng, verbs) + " " + number(rng)
	case k < 66:
		text = digits(rng, 5, false)
	case k < 76:
		text = telephone(rng)
	case k < 86:
		text = date(rng)
	case k < 91:
		text = number(rng)
	case k < 95:
		text = number(rng) + " " + spell(pick(rng, streetNames)) + " " + spell(pick(rng, streetKinds))
	default: // alone they are in test sets
		text = pick(rng, commands)
		for range 1 + rng.IntN(3) {
			text += " " + pick(rng, commands)
		}
	}
	return dictated(rng, text)
}

func (g *grammar) spelled(rng *rand.Rand) string {
	switch k := rng.IntN(10); {
	case k < 2:
		return spell(pick(rng, givenNames))
	case k < 4:
		return spell(pick(rng, familyNames))
	case k < 5:
		return spell(pick(rng, givenNames)) + " " + spell(pick(rng, familyNames))
	case k < 6:
		return spell(pick(rng, placeNames))
	case k < 7:
		return spell(pick(rng, streetNames)) + " " + spell(pick(rng, streetKinds))
	case len(g.names) == 0:
		return letters(rng, 3+rng.IntN(6))
	}
	return spell(pick(rng, g.names))
}

func spell(word string) string { return strings.Join(strings.Split(word, ""), " ") }

func letters(rng *rand.Rand, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = string(rune('a' + rng.IntN(26)))
	}
	return strings.Join(out, " ")
}

// digits are read one by one; nought is "oh" or "zero" throughout.
func digits(rng *rand.Rand, n int, zero bool) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + rng.IntN(10)))
	}
	s := transcript.Digits(b.String())
	if !zero {
		s = strings.ReplaceAll(s, "zero", "oh")
	}
	return s
}

func telephone(rng *rand.Rand) string {
	zero := rng.IntN(3) == 0
	switch k := rng.IntN(10); {
	case k < 6:
		return digits(rng, 7, zero)
	case k < 8:
		return digits(rng, 10, zero)
	case k < 9:
		return "area code " + digits(rng, 10, zero)
	}
	return digits(rng, 3, zero) + " " + transcript.Number(strconv.Itoa(20+rng.IntN(80))) + " " + transcript.Number(strconv.Itoa(10+rng.IntN(90)))
}

// number in the ways that people say them.
func number(rng *rand.Rand) string {
	two := func() string { return transcript.Number(strconv.Itoa(10 + rng.IntN(90))) }
	switch k := rng.IntN(20); {
	case k < 5:
		return transcript.Number(strconv.Itoa(rng.IntN(10)))
	case k < 10:
		return two()
	case k < 12:
		return transcript.Number(strconv.Itoa(1+rng.IntN(9))) + " " + two()
	case k < 15:
		return two() + " " + two()
	case k < 16:
		return two() + " oh " + transcript.Number(strconv.Itoa(1+rng.IntN(9)))
	case k < 18:
		return digits(rng, 2+rng.IntN(3), rng.IntN(2) == 0)
	}
	n := transcript.Number(strconv.Itoa(100 + rng.IntN(9900)))
	if rng.IntN(2) == 0 {
		if i := strings.LastIndex(n, " hundred "); i >= 0 {
			n = n[:i] + " hundred and " + n[i+len(" hundred "):]
		}
	}
	return n
}

func date(rng *rand.Rand) string {
	day := transcript.Ordinal(uint(1 + rng.IntN(31)))
	year := "nineteen " + transcript.Number(strconv.Itoa(10+rng.IntN(90)))
	month := rng.IntN(12)
	switch k := rng.IntN(10); {
	case k < 6:
		return months[month] + " " + day + " " + year
	case k < 7:
		return "the " + day + " of " + months[month] + " " + year
	case k < 8:
		return months[month] + " " + transcript.Number(strconv.Itoa(1+rng.IntN(31))) + " " + year
	}
	return transcript.Number(strconv.Itoa(month+1)) + " " + transcript.Number(strconv.Itoa(1+rng.IntN(31))) + " " + transcript.Number(strconv.Itoa(10+rng.IntN(90)))
}

// dictated says a transcript word by word or in one go, with the letters as a
// synthesiser needs them.
func dictated(rng *rand.Rand, text string) sentence {
	sep := pick(rng, []string{" ", " ", ", "})
	w := strings.Fields(text)
	say := append([]string(nil), w...)
	for i, x := range say {
		if len(x) == 1 {
			say[i] = strings.ToUpper(x)
		}
	}
	return sentence{say: strings.Join(say, sep), text: text}
}
