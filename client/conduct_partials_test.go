package client_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
)

// only is a possession of some pieces.
func only(pieces ...int) func(int) bool {
	return func(i int) bool {
		for _, p := range pieces {
			if p == i {
				return true
			}
		}
		return false
	}
}

// partials sets a stage of eight pieces of 32 blocks. The client has the first
// piece; pieces 1 to 7 are with so many peers that choke it.
func partials(t *testing.T, copies [8]int) *stage {
	t.Helper()
	const pieceLength = 32 * blockSize
	w := newWorld(t, 8*pieceLength, pieceLength, simnet.Link{Latency: 5 * time.Millisecond}, nil)
	s := w.set(client.Config{Storage: w.partly(pieceLength)})
	require.Equal(t, 1, s.tor.Stats().Have)
	for k := range 4 {
		s.enter(ip4(1, byte(k)), role{has: func(i int) bool { return copies[i] > k }})
	}
	time.Sleep(time.Second)
	return s
}

// touch lets a peer come, send so many blocks of a piece, and leave.
func (s *stage) touch(at netip.Addr, has func(int) bool, piece, blocks int) {
	s.t.Helper()
	a := s.enter(at, role{has: has, unchokes: true, sends: 500 * kib, most: blocks})
	time.Sleep(time.Second)
	for _, q := range requests(a) {
		require.EqualValues(s.t, piece, q.Index, "only this one is begun")
	}
	a.leave()
	time.Sleep(time.Second)
}

// order lets a peer come and send everything, and returns the order in which
// it was asked for pieces.
func (s *stage) order(has func(int) bool) []int {
	a := s.enter(ip4(3, 1), role{has: has, unchokes: true, sends: 500 * kib})
	time.Sleep(20 * time.Second)
	order, _ := begun(requests(a))
	return order
}

// P3: of two partials a seeder has sent blocks of 2, and not of 1. The rarest
// are 2, then 3, then 1 and 4.
func TestP3_Conduct(t *testing.T) {
	copies := [8]int{4, 2, 0, 1, 2, 4, 4, 4}
	prepare := func(t *testing.T) *stage {
		s := partials(t, copies)
		s.touch(ip4(2, 1), only(1), 1, 6)
		s.touch(ip4(2, 2), everyPiece, 2, 4)
		require.Equal(t, 2, s.tor.Stats().Partials)
		return s
	}
	for name, tc := range map[string]struct {
		has  func(int) bool
		want []int
	}{
		"a non-seeder: partials first, a seeder's before others": {allBut(0), []int{2, 1, 3, 4}},
		"a seeder: a seeder's partials, then by rarity":          {everyPiece, []int{2, 3, 1, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := prepare(t)
				order := s.order(tc.has)
				t.Log(order)
				require.GreaterOrEqual(t, len(order), 4)
				require.Equal(t, tc.want, order[:4])
				require.Equal(t, 8, s.tor.Stats().Have)
			})
		})
	}
}

// P3: two partials that no seeder has sent anything of, 2 nearer completion.
// Then one sends blocks of 1, the rarest of all: it goes before 2 now.
func TestP3_TouchedLaterConduct(t *testing.T) {
	for name, tc := range map[string]struct {
		touched bool
		has     func(int) bool
		want    []int
	}{
		"before, a non-seeder": {false, allBut(0), []int{2, 1}},
		"after, a non-seeder":  {true, allBut(0), []int{1, 2}},
		"after, a seeder":      {true, everyPiece, []int{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := partials(t, [8]int{4, 0, 3, 1, 4, 4, 4, 4})
				s.touch(ip4(2, 1), only(1), 1, 4)
				s.touch(ip4(2, 2), only(2), 2, 20)
				if tc.touched {
					s.touch(ip4(2, 3), everyPiece, 1, 4)
				}
				order := s.order(tc.has)
				t.Log(order)
				require.GreaterOrEqual(t, len(order), 2)
				require.Equal(t, tc.want, order[:2])
			})
		})
	}
}
