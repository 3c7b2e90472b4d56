package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/peerwire"
)

// A download runs into one stall after the other, and says what each is.
func TestExplain_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nobody := strategy(func(*choke.Round) choke.Decision { return choke.Decision{} })
		s := leeching(t, 16*64*kib, 64*kib, client.Config{Choker: func() choke.Strategy { return nobody }})
		says := func(want string) {
			t.Helper()
			require.Equal(t, want, s.tor.Explain().String())
		}
		piece := func(want string, i int) {
			t.Helper()
			require.Equal(t, want, s.tor.ExplainPiece(i))
		}
		says("stands still: no peers\n  no addresses are known\n  there is no tracker")
		piece("0 of 4 blocks here; nobody has it", 2)

		s.tor.AddPeers(simAddr(ip4(7, 7)))
		time.Sleep(time.Second)
		require.Contains(t, s.tor.Explain().Reasons, "1 address is known; they can't be reached, or wait to be tried again")

		s.enter(ip4(1, 1), role{fast: true})
		s.enter(ip4(1, 2), role{})
		time.Sleep(time.Second)
		says("stands still: none of 2 peers has any of the 16 pieces that are missing")

		a := s.enter(ip4(1, 3), role{has: allBut(3), sends: 16 * kib})
		b := s.enter(ip4(1, 4), role{has: allBut(3)})
		time.Sleep(time.Second)
		says("stands still: all 2 peers that have something for us choke us\n  1 of the 16 pieces missing nobody has")
		piece("0 of 4 blocks here; all 2 peers that have it choke us", 2)

		a.say(peerwire.Message{ID: peerwire.MsgUnchoke})
		time.Sleep(2500 * time.Millisecond)
		says("downloading from 1 of 4 peers\n  1 of the 16 pieces missing nobody has\n  1 peer that has something for us chokes us")

		a.pace(0)
		b.say(peerwire.Message{ID: peerwire.MsgUnchoke})
		time.Sleep(45 * time.Second)
		says("stands still: nobody sends what was asked for\n  1 of the 16 pieces missing nobody has\n  2 peers let us download and send nothing")
		for _, p := range s.tor.Peers() {
			require.Equal(t, p.Interested, p.Snubbed, "%v", p)
		}

		a.pace(64 * kib)
		time.Sleep(2 * time.Minute)
		require.Equal(t, 15, s.tor.Stats().Have)
		require.Contains(t, s.tor.Explain().Summary, "stands still: none of 4 peers has any of the 1 piece")
		piece("0 of 4 blocks here; nobody has it", 3)
		piece("it is here", 2)

		c := s.enter(ip4(1, 5), role{has: only(3), unchokes: true, sends: 64 * kib})
		waitFor(t, s.tor, 5*time.Second)
		says("complete, and none of 5 peers wants anything")

		c.say(peerwire.Message{ID: peerwire.MsgInterested})
		time.Sleep(time.Second)
		says("complete; 1 peer wants something, the choking strategy lets none download")
		s.tor.SetChoker(everybody(0))
		time.Sleep(11 * time.Second)
		says("seeding to 1 of 1 peer that wants something")

		for _, x := range []*actor{a, b} {
			x.leave()
		}
		s.tor.Pause()
		time.Sleep(time.Second)
		says("paused")
		s.tor.Resume()
		time.Sleep(time.Second)
		require.Equal(t, "complete, and nobody is connected", s.tor.Explain().Summary)
	})
}

// A peer that has everything and delivers nothing: it is told by its name, and
// nothing waits for it once there is another.
func TestExplain_HasAllAndSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := leeching(t, 16*64*kib, 64*kib, client.Config{})
		a := s.enter(ip4(1, 1), role{has: everyPiece, unchokes: true})
		time.Sleep(10 * time.Second)
		require.Equal(t, "downloading from 1 of 1 peer", s.tor.Explain().Summary, "it may be slow")
		time.Sleep(15 * time.Second)
		require.Equal(t, "stands still: nobody sends what was asked for\n  1 peer lets us download and sends nothing", s.tor.Explain().String())
		owed := requests(a)
		require.Contains(t, s.tor.ExplainPiece(int(owed[0].Index)), "of 4 blocks here")
		info := s.about(a)
		require.True(t, info.Snubbed)
		require.LessOrEqual(t, info.Requests, 1)

		s.enter(ip4(1, 2), role{has: everyPiece, unchokes: true, sends: 256 * kib})
		waitFor(t, s.tor, 6*time.Second)
		require.Zero(t, s.tor.Stats().Wasted)
	})
}
