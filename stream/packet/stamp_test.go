package packet

import (
	"slices"
	"testing"
	"time"
)

// TestLowStamp takes a stream whose time stamps begin near 0: its frames are in
// their places from the first on.
func TestLowStamp(t *testing.T) {
	c := &counted{}
	s, err := NewSender(c, SenderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.header.Timestamp = 0
	r, err := NewReceiver(c, ReceiverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Duration(0)
	for range 20 {
		if err := s.Push(make([]float32, 320), func(p []byte) error { return r.Packet(now, p) }); err != nil {
			t.Fatal(err)
		}
	}
	heard := make([]float32, 320)
	for range 30 {
		now += 20 * time.Millisecond
		if err := r.Read(now, heard); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.decoded) < 10 || !slices.IsSorted(c.decoded) || c.decoded[len(c.decoded)-1] != 19 {
		t.Errorf("frames %v were decoded, expected the 20 that were sent, in order", c.decoded)
	}
}
