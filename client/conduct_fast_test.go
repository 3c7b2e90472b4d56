package client_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/peerwire"
)

// Who speaks BEP 6 hears exactly one of bitfield, have-all and have-none, and
// before all else; who doesn't hears a bitfield, or nothing.
func TestBEP6_OneWordOfPossession(t *testing.T) {
	const pieces = 20
	for name, tc := range map[string]struct {
		have       int
		fast, slow []peerwire.ID
	}{
		"nothing":    {0, []peerwire.ID{peerwire.MsgHaveNone}, nil},
		"some":       {3, []peerwire.ID{peerwire.MsgBitfield}, []peerwire.ID{peerwire.MsgBitfield}},
		"everything": {pieces, []peerwire.ID{peerwire.MsgHaveAll}, []peerwire.ID{peerwire.MsgBitfield}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, pieces*16*kib, 16*kib, simnet.Link{Latency: 5 * time.Millisecond}, nil)
				s := w.set(client.Config{Storage: w.partly(tc.have * 16 * kib)})
				for i, want := range [][]peerwire.ID{tc.slow, tc.fast} {
					a := s.enter(ip4(1, byte(i)), role{fast: i == 1, interested: true})
					time.Sleep(time.Minute)
					var heard []peerwire.ID
					for _, n := range a.heard(peerwire.MsgBitfield, peerwire.MsgHaveAll, peerwire.MsgHaveNone, peerwire.MsgHave) {
						heard = append(heard, n.ID)
					}
					require.Equal(t, want, heard)
					if len(want) > 0 {
						require.Equal(t, want[0], a.heard()[0].ID, "before all else")
					}
				}
			})
		})
	}
}

// A peer that is choked is served the pieces of its set, which is the one of
// the BEP, and nothing else: every other request is rejected. So is, behind a
// choke, what was queued: each request has exactly one answer.
func TestBEP6_ChokedConduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pieces, length = 60, 16 * kib
		nobody := strategy(func(*choke.Round) choke.Decision { return choke.Decision{} })
		s := seeding(t, pieces*length, length, client.Config{Choker: func() choke.Strategy { return nobody }})
		alone := s.enter(ip4(1, 9), role{fast: true})
		time.Sleep(time.Second)
		require.Empty(t, alone.heard(peerwire.MsgAllowedFast), "it is the only one to have the pieces")
		s.enter(ip4(1, 7), role{fast: true, has: allBut(0)}) // between them they have all
		s.enter(ip4(1, 8), role{fast: true, has: allBut(1)})
		time.Sleep(time.Second)
		a := s.enter(ip4(1, 1), role{fast: true, interested: true})
		s.Host(ip4(1, 1)).SetLink(simnet.Link{Latency: 5 * time.Millisecond, Down: 16 * kib})
		time.Sleep(time.Second)
		var set []uint32
		for _, n := range a.heard(peerwire.MsgAllowedFast) {
			set = append(set, n.Index)
		}
		require.Equal(t, peerwire.AppendAllowedFast(nil, a.addr.Addr(), s.m.Hashes().V1, pieces, peerwire.DefaultAllowedFast), set)

		ask := func() { // backwards, so that one write takes one of them
			for i := range uint32(pieces) {
				a.say(peerwire.Message{ID: peerwire.MsgRequest, Index: pieces - 1 - i, Length: length})
			}
		}
		answers := func(from time.Duration) (served, rejected []uint32) {
			for _, n := range a.heard(peerwire.MsgPiece, peerwire.MsgReject) {
				switch {
				case n.at < from:
				case n.ID == peerwire.MsgPiece:
					served = append(served, n.Index)
				default:
					rejected = append(rejected, n.Index)
				}
			}
			return served, rejected
		}
		ask()
		time.Sleep(15 * time.Second)
		served, rejected := answers(0)
		require.ElementsMatch(t, set, served)
		require.Len(t, rejected, pieces-len(set))

		s.tor.SetChoker(everybody(0))
		time.Sleep(11 * time.Second)
		require.True(t, a.unchoked(s.now()))
		began := s.now()
		ask()
		time.Sleep(time.Second)
		s.tor.SetChoker(nobody)
		time.Sleep(80 * time.Second)
		require.False(t, a.unchoked(s.now()))
		choked := a.stints()[0].to
		served, rejected = answers(began)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(append(served, rejected...)))), pieces)
		require.Len(t, append(served, rejected...), pieces, "one answer each")
		for _, i := range set {
			require.Contains(t, served, i, "a piece of the set is served all the same")
		}
		late, rejects := answers(choked)
		require.Equal(t, rejected, rejects, "behind the choke")
		t.Logf("%d served, of them %d after the choke; %d rejected", len(served), len(late), len(rejected))
		require.Subset(t, set, late)
		require.Greater(t, len(rejected), 10)
	})
}
