// Package packettest holds networks that lose, delay, reorder and repeat packets,
// seeded and so the same each time: simulated, and between sockets.
package packettest

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// Network is a way through which packets go. Its zero value takes 20 ms and loses
// nothing.
type Network struct {
	Loss      float64       // share of the packets
	Burst     float64       // mean length of a run of losses; 0 is single losses
	Jitter    time.Duration // uniform delay, on top of 20 ms
	Reorder   float64       // share that is held back by another 40 ms
	Duplicate float64       // share that comes twice
	Keep      func(packet []byte) bool

	rng     *rand.Rand
	lossy   bool
	queue   arrivals
	counter int
}

// Seed sets what the network's chances begin with.
func (n *Network) Seed(seed uint64) { n.rng = rand.New(rand.NewPCG(seed, 7)) }

type arrival struct {
	at    time.Duration
	order int
	data  []byte
}

type arrivals []arrival

func (a arrivals) Len() int { return len(a) }
func (a arrivals) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(v any)   { *a = append(*a, v.(arrival)) }
func (a *arrivals) Pop() any {
	v := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return v
}

// Send takes a packet at a time.
func (n *Network) Send(now time.Duration, packet []byte) {
	if n.rng == nil {
		n.Seed(1)
	}
	// Two states (Gilbert): in the lossy one everything is lost.
	switch draw := n.rng.Float64(); {
	case n.Loss <= 0:
		n.lossy = false
	case n.Burst <= 1:
		n.lossy = draw < n.Loss
	case n.lossy:
		n.lossy = draw < 1-1/n.Burst
	default:
		n.lossy = draw < n.Loss/(n.Burst*(1-n.Loss))
	}
	if n.lossy && (n.Keep == nil || !n.Keep(packet)) {
		return
	}
	copies := 1
	if n.rng.Float64() < n.Duplicate {
		copies = 2
	}
	for range copies {
		delay := 20*time.Millisecond + time.Duration(n.rng.Float64()*float64(n.Jitter))
		if n.rng.Float64() < n.Reorder {
			delay += 40 * time.Millisecond
		}
		n.counter++
		heap.Push(&n.queue, arrival{now + delay, n.counter, packet})
	}
}

// Receive gives the next packet that has arrived by now, and when it did.
func (n *Network) Receive(now time.Duration) (packet []byte, at time.Duration, ok bool) {
	if len(n.queue) == 0 || n.queue[0].at > now {
		return nil, 0, false
	}
	a := heap.Pop(&n.queue).(arrival)
	return a.data, a.at, true
}
