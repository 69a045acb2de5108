package transcript

import (
	"regexp"
	"strings"
	"unicode"
)

// English brings English transcripts to a form in which they can be compared,
// by the rules that Radford et al. 2022 (appendix C) publish: what stands in
// brackets, fillers and punctuation go, contractions, titles and British
// spellings are written out one way, and numbers, sums of money and ordinals in
// digits. With raw the numbers stay as they are written.
func English(s string, raw bool) string {
	s = strings.ToLower(plain.Replace(s))
	s = bracketed.ReplaceAllString(s, "")
	s = fillers.ReplaceAllString(s, "")
	s = spaceBefore.ReplaceAllString(s, "'")
	for _, c := range contractions {
		s = c.from.ReplaceAllString(s, c.to)
	}
	s = betweenDigits.ReplaceAllString(s, "$1$2")
	s = betweenDigits.ReplaceAllString(s, "$1$2")
	s = strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(".%$£€¢", r):
			return r
		case unicode.In(r, unicode.M, unicode.S, unicode.P):
			return ' '
		}
		return r
	}, looseDots.ReplaceAllString(looseDots.ReplaceAllString(s, " $1"), " $1"))
	w := strings.Fields(s)
	if !raw {
		w = mergeNumbers(w)
	}
	for i := range w {
		w[i] = american(w[i])
	}
	s = strings.Join(w, " ")
	s = looseSigns.ReplaceAllString(s, "$1 $2")
	s = loosePercent.ReplaceAllString(s+" ", "$1 ")
	return strings.Join(strings.Fields(s), " ")
}

// rule is a replacement of the normaliser.
type rule struct {
	from *regexp.Regexp
	to   string
}

var (
	bracketed     = regexp.MustCompile(`[<\[][^>\]]*[>\]]|\([^)]*\)`)
	fillers       = regexp.MustCompile(`\b(hmm|mm|mhm|mmm|uh|um)\b`)
	spaceBefore   = regexp.MustCompile(`\s+'`)
	betweenDigits = regexp.MustCompile(`([0-9]),([0-9])`)
	looseDots     = regexp.MustCompile(`\.([^0-9]|$)`)
	looseSigns    = regexp.MustCompile(`[.$£€¢]([^0-9])|([^0-9])%`)
	loosePercent  = regexp.MustCompile(`([^0-9])%`)
)

var contractions = func() (out []rule) {
	for _, c := range strings.Split(strings.TrimSpace(`
\bwon't\b=will not
\bcan't\b=can not
\blet's\b=let us
\bain't\b=aint
\by'all\b=you all
\bwanna\b=want to
\bgotta\b=got to
\bgonna\b=going to
\bi'ma\b=i am going to
\bimma\b=i am going to
\bwoulda\b=would have
\bcoulda\b=could have
\bshoulda\b=should have
\bma'am\b=madam
\bmr\b=mister 
\bmrs\b=missus 
\bst\b=saint 
\bdr\b=doctor 
\bprof\b=professor 
\bcapt\b=captain 
\bgov\b=governor 
\bald\b=alderman 
\bgen\b=general 
\bsen\b=senator 
\brep\b=representative 
\bpres\b=president 
\brev\b=reverend 
\bhon\b=honorable 
\basst\b=assistant 
\bassoc\b=associate 
\blt\b=lieutenant 
\bcol\b=colonel 
\bjr\b=junior 
\bsr\b=senior 
\besq\b=esquire 
'd been\b= had been
's been\b= has been
'd gone\b= had gone
's gone\b= has gone
'd done\b= had done
's got\b= has got
n't\b= not
're\b= are
's\b= is
'd\b= would
'll\b= will
't\b= not
've\b= have
'm\b= am`), "\n") {
		from, to, _ := strings.Cut(c, "=")
		out = append(out, rule{regexp.MustCompile(from), to})
	}
	return out
}()

// american writes a word with a British spelling in the American way. The
// endings are safe only for the stems named.
func american(w string) string {
	if to, ok := britishWords[w]; ok {
		return to
	}
	for _, r := range britishEndings {
		if m := r.from.FindStringSubmatchIndex(w); m != nil {
			return string(r.from.ExpandString(nil, r.to, w, m))
		}
	}
	return w
}

var britishEndings = func() (out []rule) {
	for _, c := range [][2]string{
		{`^(.*(?:arb|arm|behavi|cand|clam|clang|col|demean|dol|enam|endeav|fav|ferv|flav|glam|harb|hon|hum|lab|neighb|od|par|ranc|rig|rum|sav|splend|succ|tum|val|vap|vig))our(|s|ed|ing|able|ably|ably|er|ers|ful|less|ite|ites|ist|hood|hoods|al|ally|y|ism|liness|ly)$`, "${1}or$2"},
		{`^(.*(?:cent|theat|lit|fib|lust|meag|metr|sab|somb|spect|met|calib|mit|sepulch|och|goit|manoeuv))re(|s|d)$`, "${1}er$2"},
		{`^(.*(?:real|organ|recogn|apolog|character|civil|critic|emphas|general|ideal|legal|memor|minim|maxim|modern|mobil|national|normal|optim|penal|popular|public|rational|special|stabil|standard|summar|symbol|sympath|util|visual|author|central|colon|crystal|economi|econom|equal|familiar|fertil|final|formal|harmon|hospital|human|immun|individual|industrial|material|mechan|neutral|polar|priorit|random|revolution|scrutin|social|steril|subsid|synchron|terror|theor|tranquil|trivial|vandal|vapor|baptis|bapt|capital|jeopard|agon|antagon|brutal|canal|cauter|commercial|computer|custom|demon|digit|dramat|energ|fantas|galvan|hypnot|immortal|improv|ion|itali|local|magnet|monopol|moral|mesmer|ostrac|oxid|paral|pasteur|patron|personal|philosoph|plagiar|polit|pressur|privat|pulver|romantic|sensit|sermon|signal|slic|solemn|strateg|tantal|tyrann|urban|victim|vocal|western))is(e|es|ed|ing|er|ers|ation|ations|able)$`, "${1}iz$2"},
		{`^(anal|paral|catal)ys(e|ed|es|ing|er|ers)$`, "${1}yz$2"},
		{`^(cata|dia|mono|pro|epi|ana|tra?ve)logue(|s)$`, "${1}log$2"},
		{`^(.*(?:trave|marve|cance|jewe|leve|labe|mode|pane|quarre|riva|signa|tota|tunne|whee?|wa?ge?|due|fue|initia|libe|shove|snorke|spira|swive|dia|equa|grave|cudge|chise|channe|counse|caro|bevel?|appare|ensnare|unrave|trowe|penci|peri|stenci|ye?))ll(ed|ing|er|ers)$`, "${1}l$2"},
		{`^(.*(?:def|off|pret))ence(|s|less)$`, "${1}ense$2"},
	} {
		out = append(out, rule{regexp.MustCompile(c[0]), c[1]})
	}
	return out
}()

var britishWords = pairs(`grey gray greyer grayer greyish grayish greys grays colour color plough plow ploughs plows ploughed plowed ploughing plowing
cheque check cheques checks cosy cozy draught draft draughts drafts gaol jail gaols jails gaoler jailer kerb curb kerbs curbs licence license licences licenses
mould mold moulds molds moulded molded moulding molding mouldy moldy moustache mustache moustaches mustaches pyjamas pajamas practise practice practised practiced
practising practicing programme program programmes programs sceptic skeptic sceptical skeptical scepticism skepticism smoulder smolder smouldering smoldering
storey story storeys stories sulphur sulfur tonne ton tonnes tons tyre tire tyres tires whisky whiskey aluminium aluminum jewellery jewelry
anaemia anemia anaesthetic anesthetic encyclopaedia encyclopedia foetus fetus haemorrhage hemorrhage leukaemia leukemia manoeuvre maneuver manoeuvres maneuvers
manoeuvred maneuvered mediaeval medieval oestrogen estrogen orthopaedic orthopedic paediatric pediatric mum mom mums moms arse ass axe ax
enrol enroll enrols enrolls fulfil fulfill fulfils fulfills instil instill skilful skillful wilful willful instalment installment instalments installments
judgement judgment judgements judgments acknowledgement acknowledgment woollen woolen woollens woolens marvellous marvelous counsellor counselor counsellors counselors
traveller traveler travellers travelers waggon wagon waggons wagons furore furor doughnut donut yoghurt yogurt mummy mommy ageing aging`)

func pairs(s string) map[string]string {
	out := map[string]string{}
	w := strings.Fields(s)
	for i := 0; i+1 < len(w); i += 2 {
		out[w[i]] = w[i+1]
	}
	return out
}
