package rate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestMeter_Rate(t *testing.T) {
	const s = time.Second
	type add struct {
		at time.Duration
		n  int64
	}
	steady := func(from, to time.Duration, perSecond int64) (adds []add) {
		for at := from; at < to; at += s {
			adds = append(adds, add{at, perSecond})
		}
		return adds
	}
	for _, c := range []struct {
		name        string
		start       time.Duration // -1: not called
		adds        []add
		now         time.Duration
		short, long int64
		total       int64
	}{
		{name: "empty", start: -1, now: 10 * s},
		{name: "started only", start: 0, now: 10 * s},
		{name: "young meters divide by one second at least", start: -1, adds: []add{{3 * s, 1000}}, now: 3 * s, short: 1000, long: 1000, total: 1000},
		{name: "young meters divide by their age", start: -1, adds: []add{{3 * s, 1000}}, now: 7 * s, short: 250, long: 250, total: 1000},
		{name: "age counts from Start", start: 0, adds: []add{{8 * s, 1000}}, now: 8 * s, short: 125, long: 125, total: 1000},
		{name: "steady", start: 0, adds: steady(0, 100*s, 4096), now: 100 * s, short: 4096, long: 4096, total: 409600},
		{name: "steady, in the middle of a bucket", start: 0, adds: steady(0, 103*s, 4096), now: 103 * s, short: 4096, long: 4096, total: 103 * 4096},
		{name: "stopped: short forgets first", start: 0, adds: steady(0, 60*s, 1100), now: 80 * s, short: 0, long: 700, total: 66000},
		{name: "stopped: long forgets too", start: 0, adds: steady(0, 60*s, 1000), now: 121 * s, total: 60000},
		{name: "a gap longer than the ring", start: 0, adds: append(steady(0, 10*s, 999), steady(1000*s, 1020*s, 10)...), now: 1019*s + s, short: 10, long: 200 / 55, total: 9990 + 200},
		{name: "going backwards", start: -1, adds: []add{{50 * s, 100}, {20 * s, 100}}, now: 51 * s, short: 200, long: 200, total: 200},
		{name: "asked for an earlier time", start: -1, adds: []add{{50 * s, 100}}, now: 10 * s, short: 100, long: 100, total: 100},
		{name: "before the base", start: -1, adds: []add{{-13 * s, 100}, {-9 * s, 100}, {-1 * s, 100}}, now: -1 * s, short: 25, long: 25, total: 300},
		{name: "through the base", start: -1, adds: []add{{-1 * s, 100}, {1 * s, 100}}, now: 1 * s, short: 100, long: 100, total: 200},
		{name: "nothing and less than nothing", start: -1, adds: []add{{0, 0}, {0, -5}}, now: s},
		{name: "no overflow", start: -1, adds: []add{{0, math.MaxInt64 / 4}}, now: s, short: math.MaxInt64 / 4 / 1000 * 1000, long: math.MaxInt64 / 4 / 1000 * 1000, total: math.MaxInt64 / 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m Meter
			if c.start >= 0 {
				m.Start(c.start)
			}
			for _, a := range c.adds {
				m.Add(a.at, a.n)
			}
			require.Equal(t, c.short, m.Rate(c.now, Short))
			require.Equal(t, c.long, m.Rate(c.now, Long))
			require.Equal(t, c.total, m.Total())
		})
	}
}

// The ring against a list of everything that was ever added.
func TestMeter_AgainstFullHistory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var m Meter
		type add struct {
			at time.Duration
			n  int64
		}
		var all []add
		now := time.Duration(rng.Int64N(int64(time.Hour)))
		m.Start(now)
		begin := now
		for range 300 {
			now += time.Duration(rng.Int64N(int64(4 * time.Second)))
			if rng.IntN(50) == 0 {
				now += time.Duration(rng.Int64N(int64(2 * time.Minute)))
			}
			n := rng.Int64N(1 << 20)
			m.Add(now, n)
			all = append(all, add{now, n})
			for _, window := range []time.Duration{5 * time.Second, Short, Long} {
				from := now/bucketTime*bucketTime + bucketTime - window
				var sum int64
				for _, a := range all {
					if a.at >= from {
						sum += a.n
					}
				}
				covered := max(min(now-from, now-begin), time.Second)
				require.Equal(t, sum*1000/covered.Milliseconds(), m.Rate(now, window))
			}
		}
	}
}

func TestMeter_Windows(t *testing.T) {
	var m Meter
	m.Start(0)
	for i := range 60 {
		m.Add(time.Duration(i)*time.Second, 1000)
	}
	now := 60*time.Second - 1
	require.Equal(t, m.Rate(now, Long), m.Rate(now, time.Hour), "too long a window is the longest")
	require.Equal(t, m.Rate(now, Long), m.Rate(now, math.MaxInt64))
	require.Equal(t, m.Rate(now, 5*time.Second), m.Rate(now, 0), "too short a window is one bucket")
}

func TestNoAllocsMeter(t *testing.T) {
	var m Meter
	var now time.Duration
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		now += time.Second
		m.Add(now, 16<<10)
		m.Rate(now, Short)
	}))
	require.LessOrEqual(t, unsafe.Sizeof(m), uintptr(120))
}

func BenchmarkMeter(b *testing.B) {
	var m Meter
	var now time.Duration
	b.ReportAllocs()
	for b.Loop() {
		now += time.Millisecond
		m.Add(now, 16<<10)
		m.Rate(now, Short)
	}
}
