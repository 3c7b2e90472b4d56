package client_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/peerwire"
)

// begun is the pieces in the order in which they were first asked for, and
// when that was.
func begun(all []asked) (pieces []int, at []time.Duration) {
	for _, q := range all {
		if i := int(q.Index); !slices.Contains(pieces, i) {
			pieces = append(pieces, i)
			at = append(at, q.at)
		}
	}
	return pieces, at
}

// block is what a request or a cancel is about.
func block(n note) [3]uint32 { return [3]uint32{n.Index, n.Begin, n.Length} }

// One peer sends; six others choke us and make some pieces less rare than
// others: of each eight pieces, the
// next eight are with one more peer. Until a piece is complete any is
// asked for, then the rarest of what is left, in no order of its own.
func TestP1_P2_Conduct(t *testing.T) {
	const pieces, runs = 48, 12
	var firsts []string
	var before, both [pieces][pieces]int // of equally rare ones, how often i was begun before j, of how many times
	early, late := 0, 0                  // pieces begun before one was complete; of these: not of the rarest
	for run := range runs {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := leeching(t, pieces*4*blockSize, 4*blockSize, client.Config{})
				s.listen()
				for k := range 6 {
					s.enter(ip4(1, byte(k)), role{fast: k%2 == 0, has: func(i int) bool { return i/8 >= k }})
				}
				time.Sleep(time.Second)
				server := s.enter(ip4(2, 1), role{fast: true, has: everyPiece, unchokes: true, sends: 400 * kib})
				waitFor(t, s.tor, time.Minute)
				s.tor.Pause()
				complete := never
				for done := false; !done; {
					if ev := <-s.events; ev.Kind == client.EventPiece {
						complete, done = ev.Time.Sub(s.began), true
					}
				}
				order, at := begun(requests(server))
				require.Len(t, order, pieces)
				rest := slices.IndexFunc(at, func(at time.Duration) bool { return at > complete })
				for i := range order[:rest] {
					if early++; order[i]/8 > 0 {
						late++
					}
				}
				for i := rest + 1; i < pieces; i++ {
					require.LessOrEqual(t, order[i-1]/8, order[i]/8, "%v: number %d is rarer than the one before", order, i)
				}
				firsts = append(firsts, fmt.Sprint(order[0]))
				for k, i := range order[rest:] {
					for _, j := range order[rest+k+1:] {
						before[i][j]++
						both[i][j]++
						both[j][i]++
					}
				}
			})
		})
	}
	t.Logf("the first pieces: %v; %d begun before one was complete, %d of them not of the rarest", firsts, early, late)
	slices.Sort(firsts)
	require.GreaterOrEqual(t, len(slices.Compact(firsts)), 5)
	require.Greater(t, late, early/2)
	usual, all := 0, 0 // pairs in their more frequent order, and pairs
	for i := range pieces {
		for j := i / 8 * 8; j < i; j++ {
			usual += max(before[i][j], before[j][i])
			all += both[i][j]
		}
	}
	t.Logf("of equally rare pieces %d of %d pairs came in their more frequent order", usual, all)
	require.Less(t, usual, all*3/4, "ties are broken at random")
}

// Two fast peers and one that is very slow, all with nearly everything (two seeds
// would part at the end). The blocks
// that the slow one owes at the end are asked of the others as well, of each in
// another order, and cancelled as they come in.
func TestP4_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pieces = 32
		s := leeching(t, pieces*4*blockSize, 4*blockSize, client.Config{})
		slow := s.enter(ip4(1, 1), role{fast: true, has: allBut(0), unchokes: true, sends: 2 * kib})
		time.Sleep(100 * time.Millisecond)
		owed := slow.heard(peerwire.MsgRequest)
		require.Len(t, owed, 16)
		fast := []*actor{
			s.enter(ip4(1, 2), role{fast: true, has: allBut(1), unchokes: true, sends: 200 * kib}),
			s.enter(ip4(1, 3), role{has: allBut(2), unchokes: true, sends: 200 * kib}),
		}
		began := time.Now()
		waitFor(t, s.tor, time.Minute)
		took := time.Since(began)
		time.Sleep(time.Second)

		cast := append(fast, slow)
		of := make(map[[3]uint32][]*actor) // who was asked for a block
		for _, q := range requests(cast...) {
			of[block(q.note)] = append(of[block(q.note)], q.of)
		}
		require.Len(t, of, pieces*4)
		several := 0
		var order [2][][3]uint32
		for i, a := range fast {
			for _, n := range a.heard(peerwire.MsgRequest) {
				if len(of[block(n)]) > 1 {
					order[i] = append(order[i], block(n))
				}
			}
		}
		cancels := 0
		for b, who := range of {
			if len(who) < 2 {
				continue
			}
			several++
			told := 0 // who was told not to send it
			for _, a := range who {
				for _, n := range a.heard(peerwire.MsgCancel) {
					if block(n) == b {
						told++
					}
				}
			}
			require.GreaterOrEqual(t, told, len(who)-1, "all but who sent it: %v of %d", b, len(who))
			cancels += told
		}
		for _, q := range owed {
			require.Greater(t, len(of[block(q)]), 1, "asked of others too: %v", q)
		}
		st := s.tor.Stats()
		t.Logf("complete after %v; %d of %d blocks asked of several, %d cancels; wasted %d KiB", took, several, len(of), cancels, st.Wasted>>10)
		require.Less(t, took, 7*time.Second, "512 blocks of 4 KiB at 400 KiB/s are 5.1 s")
		require.NotEmpty(t, order[0])
		require.NotEmpty(t, order[1])
		require.NotEqual(t, order[0], order[1])
		require.LessOrEqual(t, st.Wasted, int64(4*blockSize))
	})
}

// One peer sends a block in 25 s, another one in 15 s, a third at 16 KiB/s. The
// first counts as idle after 22 s: what it owes is taken back and asked of the
// others. The second does not.
func TestP6_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := leeching(t, 3<<20, 64<<10, client.Config{})
		idle := s.enter(ip4(1, 1), role{fast: true, has: everyPiece, unchokes: true, sends: blockSize / 25})
		lazy := s.enter(ip4(1, 2), role{fast: true, has: everyPiece, unchokes: true, sends: blockSize / 15})
		time.Sleep(time.Second)
		owed := idle.heard(peerwire.MsgRequest)
		require.Len(t, owed, 16)
		other := s.enter(ip4(1, 3), role{fast: true, has: everyPiece, unchokes: true, sends: 16 * kib})
		time.Sleep(20 * time.Second)
		require.False(t, s.about(idle).Snubbed)
		require.Empty(t, idle.heard(peerwire.MsgCancel))
		time.Sleep(3 * time.Second)
		require.True(t, s.about(idle).Snubbed)
		require.LessOrEqual(t, s.about(idle).Requests, 1)
		cancels := idle.heard(peerwire.MsgCancel)
		require.GreaterOrEqual(t, len(cancels), 15)
		require.InDelta(t, 22.5, cancels[0].at.Seconds(), 0.6)

		time.Sleep(50 * time.Second)
		require.False(t, s.about(lazy).Snubbed)
		require.Empty(t, lazy.heard(peerwire.MsgCancel))
		again := 0
		for _, q := range owed {
			for _, n := range append(other.heard(peerwire.MsgRequest), lazy.heard(peerwire.MsgRequest)...) {
				if block(n) == block(q) && n.at > cancels[0].at {
					again++
				}
			}
		}
		t.Logf("%d of %d blocks asked of others", again, len(owed))
		require.GreaterOrEqual(t, again, 15)
		require.Less(t, int(s.tor.Stats().Have), 40, "it is not the endgame")
	})
}
