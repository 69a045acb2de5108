// Package bench measures functions side by side in one run.
package bench

import (
	"context"
	"time"
)

// Turns gives the shortest time of a call of each function in seconds. Those of one
// thread take turns of a few milliseconds, so that other work on the machine meets
// all of them. Those of several threads come one after the other, with a pause, in
// which the threads of the one before give up looking out for work.
func Turns(ctx context.Context, threads int, runs ...func()) ([]float64, error) {
	times := make([]float64, len(runs))
	if threads > 1 {
		const pause, turn = 100 * time.Millisecond, 60 * time.Millisecond
		for i, run := range runs {
			time.Sleep(pause)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			times[i] = shortest(run, turn)
		}
		return times, nil
	}
	const rounds, turn = 12, 3 * time.Millisecond
	for round := range rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i, run := range runs {
			if t := shortest(run, turn); round == 0 || t < times[i] {
				times[i] = t
			}
		}
	}
	return times, nil
}

// shortest calls a function for a time and gives the shortest time of a call, that
// of short ones by the mean of some.
func shortest(run func(), turn time.Duration) float64 {
	const batch = 50e-6 // seconds
	run()               // its data into the caches
	start := time.Now()
	run()
	least := time.Since(start).Seconds()
	calls := 1 + min(1000, int(batch/max(least, 1e-7)))
	for begin := time.Now(); time.Since(begin) < turn; {
		start := time.Now()
		for range calls {
			run()
		}
		least = min(least, time.Since(start).Seconds()/float64(calls))
	}
	return least
}
