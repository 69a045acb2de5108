package kernels

import (
	"context"
	"errors"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// Every kernel runs, is told apart from the others, and has a rate beside its limit.
func TestRun(t *testing.T) {
	if testing.Short() || cpu.Paths()[0] == "portable" {
		t.Skip("takes seconds, in portable Go minutes")
	}
	seen := map[string]bool{}
	err := Run(context.Background(), 1, nil, func(r Result) {
		if name := r.Kernel + " " + r.Shape; seen[name] {
			t.Errorf("%s comes twice", name)
		} else {
			seen[name] = true
		}
		if !(r.Seconds > 0 && r.Rate > 0 && r.Share > 0) || r.OpenBLAS != 0 {
			t.Errorf("%+v", r)
		}
	})
	if err != nil || len(seen) < 50 {
		t.Errorf("%d kernels, %v", len(seen), err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := Run(ctx, 1, nil, func(Result) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
