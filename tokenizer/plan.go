package tokenizer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"strings"
)

// Part is the unit of work of a run: the utterances of one output file. It is
// done wholly or not at all.
type Part struct {
	Shard int    `json:"shard"`
	Index int    `json:"index"`
	Items []Item `json:"items"`
	Done  bool   `json:"done"` // in a run before this one
	hash  string
}

// maxItems bounds the utterances of a part.
const maxItems = 4096

// Parts gives the parts of shard in order. A part that was done must hold the same
// items as then; where those have failures and retry is set, it is given as if it
// were not.
func (r *Run) Parts(ctx context.Context, in *Inputs, shard int, retry bool, yield func(*Part) error) error {
	p := &planner{run: r, retry: retry, yield: yield, part: &Part{Shard: shard}, ids: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	if err := p.begin(0); err != nil {
		return err
	}
	if err := in.Walk(ctx, p.add); err != nil {
		return err
	}
	if p.was != nil && len(p.part.Items) < p.was.Items {
		return p.changed()
	}
	if len(p.part.Items) > 0 {
		if err := p.emit(); err != nil {
			return err
		}
	}
	if p.was != nil {
		return p.changed() // a part that was done then, and is not there now
	}
	return nil
}

// planner cuts a list of items into parts.
type planner struct {
	run     *Run
	retry   bool
	yield   func(*Part) error
	n       int
	part    *Part
	seconds float64
	was     *PartReport // what an earlier run did with this part
	ids     map[uint64]struct{}
	seed    maphash.Seed
}

// begin opens the part of that index.
func (p *planner) begin(index int) (err error) {
	p.part = &Part{Shard: p.part.Shard, Index: index}
	p.seconds = 0
	p.was, err = p.run.report(p.part.Shard, index)
	return err
}

func (p *planner) add(i Item) error {
	h := maphash.String(p.seed, i.ID)
	if _, twice := p.ids[h]; twice && i.Broken == "" {
		i.Broken = "another input has the same id: name ids in a manifest"
	}
	p.ids[h] = struct{}{}
	for part := range strings.SplitSeq(key(i.ID, false), "/") {
		if len(part) > 200 && i.Broken == "" {
			i.Broken = "its id is too long for a file name: name a shorter one in a manifest"
		}
	}
	p.n++
	if (p.n-1)%p.run.Shards != p.part.Shard {
		return nil
	}
	p.part.Items = append(p.part.Items, i)
	p.seconds += i.Planned()
	if p.was != nil {
		if len(p.part.Items) < p.was.Items {
			return nil
		}
	} else if p.seconds < p.run.Part && len(p.part.Items) < maxItems {
		return nil
	}
	return p.emit()
}

func (p *planner) emit() error {
	p.part.hash = hashItems(p.part.Items)
	if p.was != nil {
		if p.was.Inputs != p.part.hash {
			return p.changed()
		}
		p.part.Done = !p.retry || len(p.was.Failed) == 0
	}
	if err := p.yield(p.part); err != nil {
		return err
	}
	return p.begin(p.part.Index + 1)
}

func (p *planner) changed() error {
	return fmt.Errorf("%s: the inputs are not those of the run that began there (part %d of shard %d differs): give the same inputs to go on, or another --out",
		p.run.dir, p.part.Index, p.part.Shard)
}

func hashItems(items []Item) string {
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, i := range items {
		i.Broken, i.Seconds = "", 0 // may be mended
		e.Encode(i)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// Total gives the number of items of a shard and about how many seconds they
// last.
func (r *Run) Total(ctx context.Context, in *Inputs, shard int) (items int, seconds float64, err error) {
	n := 0
	err = in.Walk(ctx, func(i Item) error {
		if n++; (n-1)%r.Shards == shard {
			items++
			seconds += i.Planned()
		}
		return nil
	})
	return items, seconds, err
}

// report reads what was done of a part, nil where it was not.
func (r *Run) report(shard, part int) (*PartReport, error) {
	data, err := os.ReadFile(r.reportFile(shard, part))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &PartReport{}
	if err := json.Unmarshal(data, p); err != nil || p.Items < 1 {
		return nil, fmt.Errorf("%s: is damaged: delete it to do that part again", r.reportFile(shard, part))
	}
	return p, nil
}
