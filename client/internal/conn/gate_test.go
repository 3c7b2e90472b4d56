package conn

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

const mebibyte = 1 << 20

// user passes gates as a connection does: it asks for so much at a time, and
// comes again at once.
type user struct {
	pass
	want  int
	got   int64
	turns int
}

func (u *user) run(done <-chan struct{}) {
	for {
		n := u.take(u.want)
		if n == 0 {
			if !u.pause(nil, done) {
				u.leave(0)
				return
			}
			continue
		}
		u.got += int64(n)
		u.turns++
		select {
		case <-done:
			return
		default:
		}
	}
}

// users runs some in a bubble for so long.
func users(d time.Duration, all ...*user) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, u := range all {
		u.got = 0
		wg.Go(func() { u.run(done) })
	}
	time.Sleep(d)
	close(done)
	wg.Wait()
}

func through(want int, gates ...*Gate) *user {
	u := &user{want: want}
	copy(u.gates[gatesOfAWay-len(gates):], gates)
	return u
}

// TestC8_GateKeepsItsRate: whatever is asked for at a time, below a block or
// above the burst, and after a change.
func TestC8_GateKeepsItsRate(t *testing.T) {
	for _, rate := range []int64{1 << 10, 100 << 10, mebibyte, 8 << 20, 1 << 30} {
		for _, want := range []int{1000, share, 3 << 20} {
			if int64(want) < rate/1e5 {
				continue // a hundred thousand times a second
			}
			t.Run(fmt.Sprintf("rate=%d/want=%d", rate, want), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var g Gate
					require.Zero(t, burst(rate)-int(min(max(rate/4, share), mostBurst)))
					g.Set(rate)
					u := through(want, &g)
					d := time.Second * time.Duration(max(1, 40*share/rate))
					users(d, u) // the burst is spent
					if int64(want)*2 > rate*int64(d.Seconds()) {
						d *= 4
					}
					for _, r := range []int64{rate, 2 * rate, rate / 2} {
						g.Set(r)
						users(d, u)
						require.InEpsilon(t, float64(r)*d.Seconds(), float64(u.got), 0.1)
					}
				})
			})
		}
	}
}

// TestC8_EqualShares: those that wait get the same, however much they ask for
// at a time, at one gate and behind several.
func TestC8_EqualShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var whole, torrent Gate
		whole.Set(mebibyte)
		all := []*user{through(share, &whole), through(64<<10, &whole), through(3<<20, &whole), through(share, &torrent, &whole), through(mebibyte, &torrent, &whole)}
		users(time.Second, all...)
		users(20*time.Second, all...)
		sum := int64(0)
		for _, u := range all {
			require.InEpsilon(t, 4*mebibyte, u.got, 0.02)
			require.InDelta(t, 256, u.turns, 40, "a share at a time")
			sum += u.got
		}
		require.InEpsilon(t, 20*mebibyte, sum, 0.01)

		torrent.Set(100 << 10) // less than its share: the others have the rest
		users(time.Second, all...)
		users(20*time.Second, all...)
		for i, u := range all {
			want := 20 * (mebibyte - 100<<10) / 3
			if i >= 3 {
				want = 20 * 50 << 10
			}
			require.InEpsilon(t, want, u.got, 0.03, "%d", i)
		}
		require.Empty(t, whole.line)
		require.Empty(t, torrent.line)
	})
}

// TestC8_ChangeEndsAWait: who waits for a low rate does not go on waiting for it
// when the rate is raised or there is none any more; only the head is woken, and
// it calls the next.
func TestC8_ChangeEndsAWait(t *testing.T) {
	for _, to := range []int64{0, mebibyte} {
		synctest.Test(t, func(t *testing.T) {
			var g Gate
			g.Set(1)
			through(share, &g).take(share) // the burst
			var order []int
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range 5 {
				u := through(share, &g)
				wg.Go(func() {
					for u.take(u.want) == 0 {
						u.pause(nil, nil)
					}
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
				})
				synctest.Wait()
			}
			time.Sleep(time.Minute)
			require.Len(t, g.line, 5)
			from := time.Now()
			g.Set(to)
			wg.Wait()
			require.Less(t, time.Since(from), 100*time.Millisecond)
			require.ElementsMatch(t, []int{0, 1, 2, 3, 4}, order)
			if to > 0 {
				require.IsIncreasing(t, order, "in the order they came")
			}
			require.Empty(t, g.line)
		})
	}
}

// TestC8_UnspentComesBack: what is given back is there for others at once, but
// never more than a burst; what was sent ahead is missing.
func TestC8_UnspentComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g, outer Gate
		g.Set(mebibyte)
		outer.Set(4 * mebibyte)
		a, b, c := through(mebibyte, &g, &outer), through(mebibyte, &g, &outer), through(mebibyte, &g)
		require.Equal(t, mebibyte/4, a.take(mebibyte))
		require.Zero(t, b.take(mebibyte))
		require.Zero(t, c.take(mebibyte))
		a.leave(mebibyte / 8)
		require.Equal(t, share, b.take(mebibyte), "who is in line has of it")
		require.Equal(t, mebibyte/8-share, c.take(mebibyte), "and who is alone all the rest")

		var inner, next Gate // what the next gate does not let through is not lost
		inner.Set(mebibyte)
		next.Set(1)
		through(mebibyte, &next).take(share)
		d, e := through(mebibyte, &inner, &next), through(mebibyte, &next)
		require.Zero(t, d.take(mebibyte))
		require.Zero(t, e.take(mebibyte))
		next.Set(mebibyte)
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, share, d.take(mebibyte))
		require.Equal(t, mebibyte/4-share, through(mebibyte, &inner).take(mebibyte/4-share))

		time.Sleep(time.Hour)
		b.leave(1 << 30)
		time.Sleep(time.Hour)
		require.LessOrEqual(t, b.take(1<<30), mebibyte/2)
		require.Zero(t, a.take(share))
		a.leave(-mebibyte)
		time.Sleep(time.Second)
		require.Zero(t, a.take(share))
		time.Sleep(20 * time.Millisecond)
		require.NotZero(t, a.take(share))
		require.Empty(t, g.line)
	})
}

// TestC8_NoLimitIsFree: gates without a limit cost no lock and no allocation.
func TestC8_NoLimitIsFree(t *testing.T) {
	var g Gate
	require.Equal(t, rate.Inf, g.Limit())
	u := through(mebibyte, new(Gate), &g)
	u.take(1)
	g.mu.Lock() // would hang
	defer g.mu.Unlock()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if u.limited() || u.take(mebibyte) != mebibyte {
			panic("limited")
		}
	}))
}

// TestC8_LocalAddresses: which addresses are of a local network.
func TestC8_LocalAddresses(t *testing.T) {
	for s, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.1.1": true,
		"::1": true, "fe80::1": true, "fd00::1": true, "::ffff:192.168.0.1": true,
		"8.8.8.8": false, "172.32.0.1": false, "100.64.0.1": false, "2001:db8::1": false, "::ffff:1.1.1.1": false, "224.0.0.1": false,
	} {
		require.Equal(t, want, isLocal(netip.MustParseAddr(s)), s)
	}
	require.False(t, isLocal(netip.Addr{}))
}

func BenchmarkGate(b *testing.B) {
	for _, limit := range []int64{0, 1 << 50} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			var g Gate
			g.Set(limit)
			u := through(share, new(Gate), &g)
			b.ReportAllocs()
			for b.Loop() {
				if u.limited() {
					u.take(share)
				}
			}
		})
	}
}
