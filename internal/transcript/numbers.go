package transcript

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	numeral  = regexp.MustCompile(`^[$£€¢]?[0-9]+(\.[0-9]+)?%?$`)
	unitWord = map[string]int{} // one to nineteen
	tenWord  = map[string]int{} // twenty to ninety
	scaleOf  = map[string]uint64{"hundred": 100, "thousand": 1000, "million": 1e6, "billion": 1e9, "trillion": 1e12}
	// ordinalOf gives the cardinal word and the ending of an ordinal one.
	ordinalOf = map[string][2]string{}
	currency  = map[string]string{"dollar": "$", "dollars": "$", "pound": "£", "pounds": "£", "euro": "€", "euros": "€", "cent": "¢", "cents": "¢"}
)

func init() {
	endings := func(card string, n int) {
		end := "th"
		switch {
		case n%100/10 == 1:
		case n%10 == 1:
			end = "st"
		case n%10 == 2:
			end = "nd"
		case n%10 == 3:
			end = "rd"
		}
		ordinalOf[ordinal(card)] = [2]string{card, end}
	}
	for n, w := range ones {
		if n > 0 {
			unitWord[w] = n
			endings(w, n)
		}
	}
	for n, w := range tens {
		if n > 1 {
			tenWord[w] = 10 * n
			endings(w, 10*n)
		}
	}
	for w := range scaleOf {
		endings(w, 0)
	}
}

// number is a numeral being read.
type number struct {
	text string // digits that are settled: what came before the last group
	// total and group are of the number under way: thousands and more; below.
	total, group uint64
	state        int
	point        bool // digits of a fraction follow
}

// States of number.group: what may still be joined to it.
const (
	empty   = iota
	ended   // nothing: the next digits stand beside it
	tensAdd // one to nine
	hundred // anything below 100
)

func (n *number) none() bool { return n.state == empty && n.text == "" && n.total == 0 }

func (n *number) settle() {
	if n.state != empty || n.total > 0 {
		n.text += strconv.FormatUint(n.total+n.group, 10)
	}
	n.total, n.group, n.state = 0, 0, empty
}

func (n *number) digits(s string) {
	n.settle()
	n.text += s
}

// take adds a number word; false says that it is none, or cannot go on here.
func (n *number) take(w string) bool {
	u, isUnit := unitWord[w]
	t, isTen := tenWord[w]
	s, isScale := scaleOf[w]
	switch {
	case w == "zero" || w == "oh" || w == "o":
		n.digits("0")
	case isUnit && n.point && u < 10:
		n.digits(strconv.Itoa(u))
	case isUnit:
		if n.state == tensAdd && u < 10 || n.state == hundred {
			n.group += uint64(u)
		} else {
			if n.state != empty {
				n.settle()
			}
			n.group = uint64(u)
		}
		n.state = ended
	case isTen:
		if n.state == hundred {
			n.group += uint64(t)
		} else {
			if n.state != empty {
				n.settle()
			}
			n.group = uint64(t)
		}
		n.state = tensAdd
	case isScale && s == 100:
		if n.state == empty && n.none() {
			n.group = 1
		} else if n.state == empty || n.group >= 100 {
			return false
		}
		n.group *= 100
		n.state = hundred
	case isScale:
		if n.state == empty && n.none() {
			n.group, n.state = 1, ended
		}
		if n.state == empty || n.group == 0 || n.total > 0 && n.total < 1000*s {
			return false
		}
		n.total += n.group * s
		n.group, n.state = 0, hundred
	default:
		return false
	}
	return true
}

// mergeNumbers writes number words as digits, as they are read: "nineteen
// seventy" is 1970, "one oh one" 101, "two hundred and five dollars" $205,
// "twenty first" 21st, "three point one four" 3.14.
func mergeNumbers(w []string) (out []string) {
	for i := 0; i < len(w); {
		n := &number{}
		j, sign, suffix := i, "", ""
	read:
		for j < len(w) {
			x := w[j]
			switch {
			case n.take(x):
			case ordinalOf[x][0] != "" && !n.point && n.takeOrdinal(ordinalOf[x][0]):
				suffix = ordinalOf[x][1]
				j++
				break read
			case plural(x) != "" && !n.point && n.takeOrdinal(plural(x)):
				suffix = "s"
				j++
				break read
			case (x == "double" || x == "triple") && j+1 < len(w) && digitOf(w[j+1]) != "":
				n.digits(strings.Repeat(digitOf(w[j+1]), map[string]int{"double": 2, "triple": 3}[x]))
				j++
			case x == "and" && n.state == hundred && j+1 < len(w) && (unitWord[w[j+1]] > 0 || tenWord[w[j+1]] > 0 || ordinalOf[w[j+1]][0] != "" && scaleOf[ordinalOf[w[j+1]][0]] == 0):
			case x == "point" && !n.point && j+1 < len(w) && (unitWord[w[j+1]] > 0 && unitWord[w[j+1]] < 10 || w[j+1] == "zero" || w[j+1] == "oh"):
				n.settle()
				n.text += "."
				n.point = true
			case numeral.MatchString(x) && n.none() && scaleAfter(w, j):
				// "$5 million"
				at := strings.IndexAny(x, "0123456789")
				v, err := strconv.ParseUint(x[at:], 10, 32)
				if err != nil {
					break read
				}
				sign = x[:at]
				n.group, n.state = v, ended
			default:
				break read
			}
			j++
		}
		if j == i {
			out = append(out, w[i])
			i++
			continue
		}
		n.settle()
		text := sign + n.text + suffix
		if suffix == "" && j < len(w) && currency[w[j]] != "" {
			text = currency[w[j]] + text
			j++
		} else if suffix == "" && j < len(w) && w[j] == "percent" {
			text += "%"
			j++
		}
		// A lone "one" is more often a pronoun.
		if text == "1" || text == "1s" {
			text = strings.Replace(text, "1", "one", 1)
		}
		out = append(out, text)
		i = j
	}
	// Numerals that stood in digits take their units as well.
	for i := 0; i+1 < len(out); i++ {
		if !numeral.MatchString(out[i]) || strings.ContainsAny(out[i], "$£€¢%") {
			continue
		}
		if c := currency[out[i+1]]; c != "" {
			out[i] = c + out[i]
			out = append(out[:i+1], out[i+2:]...)
		} else if out[i+1] == "percent" {
			out[i] += "%"
			out = append(out[:i+1], out[i+2:]...)
		}
	}
	return out
}

// takeOrdinal adds the cardinal of an ordinal word, where it joins what is there
// or begins a number.
func (n *number) takeOrdinal(card string) bool {
	u := unitWord[card]
	joins := n.state == empty || n.state == tensAdd && u > 0 && u < 10 || n.state == hundred || scaleOf[card] > 0
	return joins && n.take(card)
}

// plural gives the number word of "twos" or "thousands", "" for others.
func plural(w string) string {
	one, ok := strings.CutSuffix(strings.Replace(w, "sixes", "sixs", 1), "s")
	if ties, also := strings.CutSuffix(one, "ie"); also {
		one = ties + "y"
	}
	if ok && (unitWord[one] > 0 || tenWord[one] > 0 || scaleOf[one] > 0) {
		return one
	}
	return ""
}

// digitOf gives the digit of a word below ten.
func digitOf(w string) string {
	switch u := unitWord[w]; {
	case w == "zero" || w == "oh" || w == "o":
		return "0"
	case u > 0 && u < 10:
		return strconv.Itoa(u)
	}
	return ""
}

func scaleAfter(w []string, i int) bool { return i+1 < len(w) && scaleOf[w[i+1]] > 0 }
