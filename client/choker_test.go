package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
)

// strategy is a function as a choke.Strategy.
type strategy func(r *choke.Round) choke.Decision

func (s strategy) Choose(r *choke.Round) choke.Decision { return s(r) }

// everybody unchokes all, at a rate each.
func everybody(rate int64) strategy {
	return func(r *choke.Round) (d choke.Decision) {
		for _, p := range r.Peers {
			d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID, MaxRate: rate, Why: "everybody"})
		}
		return d
	}
}

// TestChokerNamesARate: a peer gets no more than its Choice says.
func TestChokerNamesARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, rate = 2 << 20, 100 << 10
		w := newWorld(t, size, 64<<10, simnet.Link{Latency: time.Millisecond}, nil)
		seed := w.client(ip4(0, 1), client.Config{Storage: w.full(), Choker: func() choke.Strategy { return everybody(rate) }})
		leech := w.client(ip4(0, 2), client.Config{})
		s := add(t, seed, client.Spec{MetaInfo: w.m})
		waitFor(t, s, time.Minute)
		began := time.Now()
		l := add(t, leech, client.Spec{MetaInfo: w.m, Peers: []string{simAddr(ip4(0, 1))}})
		waitFor(t, l, time.Minute)
		require.InEpsilon(t, float64(size)/rate, time.Since(began).Seconds(), 0.15)
	})
}

// TestBadChokers: a strategy that panics, hangs, names strangers, or can't
// even be made is reported and replaced; the download goes on.
func TestBadChokers(t *testing.T) {
	for name, make := range map[string]func() choke.Strategy{
		"panics": func() choke.Strategy { return strategy(func(*choke.Round) choke.Decision { panic("mine") }) },
		"names strangers": func() choke.Strategy {
			return strategy(func(*choke.Round) choke.Decision { return choke.Peers(12345) })
		},
		"is made by panic": func() choke.Strategy { panic("no strategy") },
		"is nil":           func() choke.Strategy { return nil },
		"hangs": func() choke.Strategy {
			return strategy(func(*choke.Round) choke.Decision {
				time.Sleep(time.Hour) // in fake time
				return choke.Decision{}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: time.Millisecond}, nil)
				seed := w.client(ip4(0, 1), client.Config{Storage: w.full(), Choker: make})
				leech := w.client(ip4(0, 2), client.Config{})
				s := add(t, seed, client.Spec{MetaInfo: w.m})
				events := s.Events(t.Context())
				waitFor(t, s, time.Minute)
				l := add(t, leech, client.Spec{MetaInfo: w.m, Peers: []string{simAddr(ip4(0, 1))}})
				waitFor(t, l, time.Minute)
				for ev := range events {
					if ev.Kind == client.EventChokerFailed {
						require.Error(t, ev.Err)
						break
					}
				}
				time.Sleep(2 * time.Hour) // until the one that hangs comes back
			})
		})
	}
}

// TestChokerIsExchanged on a running torrent.
func TestChokerIsExchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: time.Millisecond}, nil)
		nobody := strategy(func(*choke.Round) choke.Decision { return choke.Decision{} })
		seed := w.client(ip4(0, 1), client.Config{Storage: w.full()})
		leech := w.client(ip4(0, 2), client.Config{})
		s := add(t, seed, client.Spec{MetaInfo: w.m, Choker: nobody})
		waitFor(t, s, time.Minute)
		l := add(t, leech, client.Spec{MetaInfo: w.m, Peers: []string{simAddr(ip4(0, 1))}})
		time.Sleep(30 * time.Second)
		require.Zero(t, l.Stats().Have, "choked, and the only seed grants no allowed-fast set")
		s.SetChoker(everybody(0))
		waitFor(t, l, 15*time.Second)
	})
}
