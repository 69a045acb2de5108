package packettest

import (
	"net"
	"sync"
	"time"
)

// Relay passes UDP packets from a sender to a receiver through a Network, and
// those that come back as they are.
type Relay struct {
	front, back *net.UDPConn
	done        sync.WaitGroup
	stop        chan struct{}

	mu     sync.Mutex
	net    *Network
	sender *net.UDPAddr
}

// NewRelay listens on a free port of 127.0.0.1 for the sender; to is where the
// receiver listens.
func NewRelay(n *Network, to string) (*Relay, error) {
	address, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return nil, err
	}
	back, err := net.DialUDP("udp", nil, address)
	if err != nil {
		return nil, err
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		back.Close()
		return nil, err
	}
	r := &Relay{front: front, back: back, net: n, stop: make(chan struct{})}
	start := time.Now()
	r.done.Go(func() { r.take(start) })
	r.done.Go(func() { r.give(start) })
	r.done.Go(r.answer)
	return r, nil
}

// Addr is where the sender sends to.
func (r *Relay) Addr() string { return r.front.LocalAddr().String() }

func (r *Relay) take(start time.Time) {
	buf := make([]byte, 2048)
	for {
		n, from, err := r.front.ReadFromUDP(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.sender = from
		r.net.Send(time.Since(start), append([]byte(nil), buf[:n]...))
		r.mu.Unlock()
	}
}

func (r *Relay) give(start time.Time) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
		for {
			r.mu.Lock()
			data, _, ok := r.net.Receive(time.Since(start))
			r.mu.Unlock()
			if !ok {
				break
			}
			r.back.Write(data)
		}
	}
}

func (r *Relay) answer() {
	buf := make([]byte, 2048)
	for {
		n, err := r.back.Read(buf)
		select {
		case <-r.stop:
			return
		default:
		}
		if err != nil {
			time.Sleep(time.Millisecond) // nobody listens there yet
			continue
		}
		r.mu.Lock()
		to := r.sender
		r.mu.Unlock()
		if to != nil {
			r.front.WriteToUDP(buf[:n], to)
		}
	}
}

// Close ends the relay.
func (r *Relay) Close() {
	close(r.stop)
	r.front.Close()
	r.back.Close()
	r.done.Wait()
}
