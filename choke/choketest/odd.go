package choketest

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
)

// odd gives rounds that no sane client would, and some that it may.
func odd(t require.TestingT, create func() choke.Strategy) {
	for _, o := range oddities {
		t := during{t, o.name}
		s := create()
		w := newWorld(11, 20)
		for round := range uint64(12) {
			o.to(w, round)
			d := ask(t, s, w.round(round))
			lawful(t, w, d)
			w.obey(d, tick)
		}
		// And back to normal.
		w.now = begin.AddDate(1, 0, 0)
		w.slots, w.limit = 4, 0
		w.peers = nil
		for range 10 {
			w.join()
		}
		for round := range uint64(5) {
			d := ask(t, s, w.round(round))
			lawful(t, w, d)
			w.obey(d, tick)
		}
	}
}

// during says in which of several cases a check failed.
type during struct {
	require.TestingT
	what string
}

func (d during) Errorf(format string, args ...any) {
	d.TestingT.Errorf("%s: "+format, append([]any{d.what}, args...)...)
}

var oddities = []struct {
	name string
	to   func(w *world, round uint64)
}{
	{"nobody there", func(w *world, _ uint64) { w.peers = nil }},
	{"all seeds", func(w *world, _ uint64) {
		for i := range w.peers {
			w.peers[i].Seed, w.peers[i].Interested = true, i%2 == 0
		}
	}},
	{"zero values", func(w *world, _ uint64) {
		for i := range w.peers {
			w.peers[i] = choke.Peer{ID: w.peers[i].ID}
		}
		w.slots, w.limit = 0, 0
	}},
	{"the least", func(w *world, _ uint64) { extreme(w, math.MinInt64) }},
	{"the most", func(w *world, _ uint64) { extreme(w, math.MaxInt64) }},
	{"one of both", func(w *world, round uint64) {
		extreme(w, math.MaxInt64)
		for i := range w.peers {
			if i%2 == int(round%2) {
				extremePeer(&w.peers[i], math.MinInt64)
			}
		}
	}},
	{"no addresses", func(w *world, _ uint64) {
		for i := range w.peers {
			w.peers[i].Addr = netip.AddrPort{}
		}
	}},
	{"one address", func(w *world, _ uint64) {
		for i := range w.peers {
			w.peers[i].Addr = netip.MustParseAddrPort("[fe80::1%eth0]:1")
		}
	}},
	{"a clock that jumps", func(w *world, round uint64) {
		jumps := []time.Duration{0, -time.Hour, 1000 * 24 * time.Hour, -1000 * 24 * time.Hour, -time.Nanosecond}
		w.now = w.now.Add(jumps[round%5])
	}},
	{"a clock that stands", func(w *world, _ uint64) { w.now = begin }},
	{"no clock", func(w *world, _ uint64) { w.now = time.Time{} }},
	{"ten thousand", func(w *world, round uint64) {
		for len(w.peers) < 10_000 && round < 3 {
			w.join()
		}
		if round == 3 {
			w.peers = w.peers[:1]
		}
	}},
	{"slots without end", func(w *world, _ uint64) { w.slots = math.MaxInt }},
	{"fewer than no slots", func(w *world, _ uint64) { w.slots = math.MinInt }},
	{"unheard-of reasons", func(w *world, round uint64) { w.why = choke.Reason(200 + round) }},
	{"everything new", func(w *world, round uint64) {
		w.peers = w.peers[:0]
		for range 30 {
			w.join()
		}
		w.seeding = round%2 == 0
	}},
	{"any value", func(w *world, round uint64) {
		rng := rand.New(rand.NewPCG(round, 1))
		for i := range w.peers {
			extremePeer(&w.peers[i], int64(rng.Uint64()))
		}
		w.limit = int64(rng.Uint64() >> 1)
	}},
}

func extreme(w *world, n int64) {
	for i := range w.peers {
		extremePeer(&w.peers[i], n)
	}
	w.limit = max(n, 0)
}

func extremePeer(p *choke.Peer, n int64) {
	d := time.Duration(n)
	p.Connected, p.InterestedFor, p.UnchokedFor, p.UnchokesUsFor, p.SinceBlock = d, d, d, d, d
	p.DownRate20, p.DownRate60, p.UpRate20, p.UpRate60 = n, n, n, n
	p.Downloaded, p.Uploaded, p.BadBytes = n, n, n
	p.Pieces = int(n)
	p.UnchokesUs = true
}
