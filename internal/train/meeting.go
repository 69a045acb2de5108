package train

import (
	"errors"
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
)

// meeting is where shards that run side by side wait for each other. When one of them
// fails, the others must not wait for it for ever: it leaves, and they fail, too.
type meeting struct {
	shards int

	mu      sync.Mutex
	all     *sync.Cond
	arrived int
	runs    int // times that all had come
	left    bool
}

func newMeeting(shards int) *meeting {
	m := &meeting{shards: shards}
	m.all = sync.NewCond(&m.mu)
	return m
}

// errLeft is what shards fail with because another one did.
var errLeft = errors.New("another shard failed")

// open makes ready for a run of all shards.
func (m *meeting) open() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arrived, m.left = 0, false
}

// leave says that a shard does not come.
func (m *meeting) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = true
	m.all.Broadcast()
}

// meet calls bring, then, when all shards have come and by the last of them, work, and
// take: one call at a time. It panics with a Fault where a shard has left.
func (m *meeting) meet(bring, work, take func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	bring()
	if m.arrived++; m.arrived == m.shards {
		work()
		m.arrived = 0
		m.runs++
		m.all.Broadcast()
	} else {
		runs := m.runs
		for runs == m.runs && !m.left {
			m.all.Wait()
		}
		if runs == m.runs {
			panic(&backend.Fault{Err: errLeft})
		}
	}
	take()
}
