package sim

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Repeat simulates a scenario that many times, with the random seeds s.Seed, s.Seed+1 and so on, and returns the
// reports in that order. Runs go side by side on all processors, so the makers of strategies are called from several
// goroutines at once; each strategy is used by one. The first error ends all of them.
func Repeat(ctx context.Context, s Scenario, times int) ([]*Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reports := make([]*Report, max(times, 0))
	errs := make([]error, len(reports))
	next := make(chan int)
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(reports)) {
		group.Go(func() {
			for i := range next {
				run := s
				run.Seed += uint64(i)
				if reports[i], errs[i] = Run(ctx, run); errs[i] != nil {
					cancel(errs[i])
				}
			}
		})
	}
	for i := range reports {
		next <- i
	}
	close(next)
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		if first := context.Cause(ctx); first != nil {
			return nil, first
		}
		return nil, err
	}
	return reports, nil
}

// A Spread is what several runs came to.
type Spread struct{ Median, Low, High float64 }

// SpreadOf is the median and the extremes of what a figure is in each report. With an even number of reports the
// median is the lower one of the two in the middle.
func SpreadOf(reports []*Report, figure func(*Report) float64) Spread {
	if len(reports) == 0 {
		return Spread{}
	}
	values := make([]float64, len(reports))
	for i, r := range reports {
		values[i] = figure(r)
	}
	slices.Sort(values)
	return Spread{values[(len(values)-1)/2], values[0], values[len(values)-1]}
}

// meanOf is the mean completion of the classes that a filter picks, weighed by their size; 0 when none of them completed.
func (r *Report) meanOf(pick func(c *ClassTimes) bool) time.Duration {
	var sum float64
	n := 0
	for i := range r.Classes {
		if c := &r.Classes[i]; pick(c) {
			sum += float64(c.Mean) * float64(c.Completed)
			n += c.Completed
		}
	}
	if n == 0 {
		return 0
	}
	return time.Duration(sum / float64(n))
}

// RiderDelay is the mean completion of the free-riders in units of that of the contributors: 1 means that they do not
// pay for it, 0 that there are none or none was complete in the end.
func (r *Report) RiderDelay() float64 {
	riders := r.meanOf(func(c *ClassTimes) bool { return c.FreeRider && !c.Seed })
	return ratio(riders, r.meanOf(func(c *ClassTimes) bool { return !c.FreeRider && !c.Seed }))
}
