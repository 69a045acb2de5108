package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Jobs of many callers, more threads than cores, all end; each part runs once;
// and no helper outlives the work.
func TestPoolRunsEveryPartOnceAndGoesIdle(t *testing.T) {
	before := runtime.NumGoroutine()
	b := New(6)
	var callers sync.WaitGroup
	for range 5 {
		callers.Go(func() {
			for parts := range 40 {
				var ran [40]atomic.Int32
				j := b.job()
				j.do(parts, func(_ *job, part int, _ *scratch) {
					if part%7 == 0 {
						time.Sleep(time.Microsecond)
					}
					ran[part].Add(1)
				})
				for i := range parts {
					if n := ran[i].Load(); n != 1 {
						t.Errorf("part %d of %d ran %d times", i, parts, n)
					}
				}
			}
		})
	}
	callers.Wait()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		b.pool.mu.Lock()
		helpers, open := b.pool.helpers, len(b.pool.open)
		b.pool.mu.Unlock()
		if helpers == 0 && open == 0 && runtime.NumGoroutine() <= before {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d helpers and %d open jobs are left, %d goroutines more than before", helpers, open, runtime.NumGoroutine()-before)
		}
	}
}

// An operation may be called from inside of another one's part.
func TestPoolTakesJobsFromParts(t *testing.T) {
	b := New(3)
	var inner atomic.Int32
	b.job().do(4, func(*job, int, *scratch) {
		b.job().do(5, func(*job, int, *scratch) { inner.Add(1) })
	})
	if n := inner.Load(); n != 20 {
		t.Errorf("%d inner parts of 20 ran", n)
	}
}
