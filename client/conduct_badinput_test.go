package client_test

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/peerwire"
)

// next waits for the next event of a kind.
func (s *stage) next(kind client.EventKind) client.Event {
	s.t.Helper()
	for {
		select {
		case ev := <-s.events:
			if ev.Kind == kind {
				return ev
			}
		case <-time.After(time.Minute):
			require.FailNow(s.t, "no event: "+kind.String())
		}
	}
}

// What a peer says of its pieces that can't be true ends its connection, and
// the event says why. Nobody counts the pieces that it claimed, and the download
// goes on.
func TestBadPossession_Conduct(t *testing.T) {
	const pieces = 12
	bitfield := func(b ...byte) peerwire.Message { return peerwire.Message{ID: peerwire.MsgBitfield, Data: b} }
	have := func(i uint32) peerwire.Message { return peerwire.Message{ID: peerwire.MsgHave, Index: i} }
	for name, tc := range map[string]struct {
		fast bool
		says []peerwire.Message // the last one is at fault
	}{
		"spare bits":             {true, []peerwire.Message{bitfield(0xff, 0xf8)}},
		"only spare bits":        {false, []peerwire.Message{bitfield(0, 1)}},
		"bitfield too long":      {true, []peerwire.Message{bitfield(0xff, 0xf0, 0)}},
		"bitfield too short":     {false, []peerwire.Message{bitfield(0xff)}},
		"bitfield of nothing":    {true, []peerwire.Message{bitfield()}},
		"have behind the end":    {false, []peerwire.Message{have(pieces)}},
		"have far behind it":     {true, []peerwire.Message{bitfield(0xff, 0), have(math.MaxUint32)}},
		"have-all without BEP 6": {false, []peerwire.Message{{ID: peerwire.MsgHaveAll}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := leeching(t, pieces*32*kib, 32*kib, client.Config{})
				s.listen()
				good := s.enter(ip4(1, 2), role{has: allBut(3), unchokes: true, sends: 50 * kib})
				liar := s.enter(ip4(1, 1), role{fast: tc.fast, mute: true, unchokes: true})
				liar.say(tc.says...)
				ev := s.next(client.EventPeerLeft)
				require.Equal(t, liar.addr.String(), ev.Addr)
				var broken *peerwire.ProtocolError
				require.ErrorAs(t, ev.Err, &broken)
				require.Equal(t, tc.says[len(tc.says)-1].ID, broken.ID)
				require.Less(t, s.now(), time.Second)
				require.Len(t, s.tor.Peers(), 1)
				time.Sleep(20 * time.Second)
				require.Equal(t, pieces-1, s.tor.Stats().Have)
				require.Equal(t, "0 of 2 blocks here; nobody has it", s.tor.ExplainPiece(3))
				good.say(have(3))
				waitFor(t, s.tor, 10*time.Second)
			})
		})
	}
}

// A talker is a strategy that decides and explains as a test says.
type talker struct {
	strategy
	explain func() string
}

func (s talker) Explain(choke.PeerID) string { return s.explain() }

// Strategies that answer nonsense, or can't explain themselves, in a download
// that completes: what nonsense is, is told once, and the default is in charge.
func TestBadStrategies_Conduct(t *testing.T) {
	var calls atomic.Int64
	all := everybody(0)
	for name, tc := range map[string]struct {
		s   choke.Strategy
		bad bool
		why string // of who is unchoked
	}{
		"names somebody twice": {strategy(func(r *choke.Round) (d choke.Decision) {
			for _, p := range r.Peers {
				d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID}, choke.Choice{Peer: p.ID})
			}
			return d
		}), true, choke.WhyFast},
		"names nobody": {strategy(func(*choke.Round) choke.Decision { return choke.Peers(0) }), true, choke.WhyFast},
		"turns against its round": {strategy(func(r *choke.Round) choke.Decision {
			d := all(r)
			clear(r.Peers)
			r.Peers, r.Rand, r.Now = nil, nil, time.Time{}
			return d
		}), true, choke.WhyFast},
		"rates below zero": {everybody(math.MinInt64), false, "everybody"},
		"asks for a round in the past": {strategy(func(r *choke.Round) choke.Decision {
			calls.Add(1)
			d := all(r)
			d.Again = r.Now.Add(-time.Hour)
			return d
		}), false, "everybody"},
		"asks for a round in a thousand years": {strategy(func(r *choke.Round) choke.Decision {
			d := all(r)
			d.Again = r.Now.AddDate(1000, 0, 0)
			return d
		}), false, "everybody"},
		"panics when asked why": {talker{all, func() string { panic("mine") }}, false, "everybody"},
		"hangs when asked why": {talker{all, func() string { time.Sleep(150 * time.Millisecond); return "late" }}, false,
			"everybody"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := leeching(t, 1<<20, 32*kib, client.Config{Choker: func() choke.Strategy { return tc.s }})
				s.listen()
				a := s.enter(ip4(1, 1), role{has: allBut(3), interested: true, unchokes: true, sends: 20 * kib})
				time.Sleep(21 * time.Second)
				require.True(t, a.unchoked(s.now()))
				asked := time.Now()
				require.Contains(t, s.about(a).Why, tc.why)
				require.LessOrEqual(t, time.Since(asked), 100*time.Millisecond)
				s.enter(ip4(1, 2), role{has: allBut(4), unchokes: true, sends: 20 * kib})
				waitFor(t, s.tor, time.Minute)
				failed := 0
				for len(s.events) > 0 {
					if ev := <-s.events; ev.Kind == client.EventChokerFailed {
						require.ErrorContains(t, ev.Err, "the choking strategy")
						failed++
					}
				}
				if tc.bad {
					require.Equal(t, 1, failed)
				} else {
					require.Zero(t, failed)
				}
				time.Sleep(time.Second)
			})
		})
	}
	require.Less(t, calls.Load(), int64(60), "no more than one a second")
}
