package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestC8_LimitIsKept: within a tenth over ten seconds, also for a rate below
// a block, a reservation above the burst, and after a change.
func TestC8_LimitIsKept(t *testing.T) {
	for _, rate := range []int64{1 << 10, 100 << 10, 8 << 20} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimit(rate)
			run := func(d time.Duration, n int) (sent int64) {
				for from := time.Now(); time.Since(from) < d; sent += int64(n) {
					time.Sleep(l.Reserve(n))
				}
				return sent
			}
			n := 16 << 10
			if rate > 1<<20 {
				n = 3 << 20 // above the burst
			}
			run(20*time.Second, n) // past the first burst
			d := max(10*time.Second, time.Duration(20*int64(n)/rate)*time.Second)
			sent := run(d, n)
			require.InEpsilon(t, float64(rate)*d.Seconds(), float64(sent), 0.1)
			l.set(2 * rate)
			run(2*d, n)
			require.InEpsilon(t, 2*float64(rate)*d.Seconds(), float64(run(d, n)), 0.1)
			l.set(0)
			require.Zero(t, l.Reserve(1<<30), "no limit")
		})
	}
}
