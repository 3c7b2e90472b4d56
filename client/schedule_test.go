package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSchedulerWakesInOrder: earlier wishes replace later ones, a dropped one
// never comes, and nothing is lost when much is due at once.
func TestSchedulerWakesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newScheduler(ctx)
		go s.run()
		from := time.Now()
		var got []time.Duration
		note := func(now time.Time) { got = append(got, now.Sub(from)) }
		a, b, c := &wakeup{run: note}, &wakeup{run: note}, &wakeup{run: note}
		s.at(a, from.Add(5*time.Second))
		s.at(b, from.Add(2*time.Second))
		s.at(c, from.Add(3*time.Second))
		s.at(a, from.Add(time.Second))
		s.at(a, from.Add(9*time.Second)) // later: it stays
		s.at(b, time.Time{})             // no wish
		s.drop(c)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second}, got)
		for range 1000 {
			s.at(&wakeup{run: note}, time.Now())
		}
		synctest.Wait()
		require.Len(t, got, 1002)
		cancel()
	})
}
