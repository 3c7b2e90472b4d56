// Package choketest holds what every [choke.Strategy] must pass. Whoever writes one calls [Run] from a test:
//
//	func TestMine(t *testing.T) {
//		choketest.Run(t, func() choke.Strategy { return new(mine) })
//	}
//
// It plays torrents to the strategy that are busy, empty, huge, nonsensical, and begun before it came, and checks what
// the client relies on. Whether the strategy is any good is another question; package choke/sim answers it.
//
// A strategy passes that
//
//   - names only peers of the round, each once, with a MaxRate that is not negative, and an Again that lies in the
//     future or is zero ("decisions");
//   - forgets peers that are gone: it grows with those that are there, not with those that ever were ("forgets");
//   - copes with a torrent whose peers were unchoked by somebody else before its first call ("midflight");
//   - takes its randomness from Round.Rand alone, and its time from Round.Now ("deterministic");
//   - keeps nothing of a round: no part of Round.Peers, and not its Rand ("copies");
//   - answers within two seconds, the client's deadline, even for 1,000 peers ("fast"), and does not panic;
//   - bears any value: negative rates, no addresses, no peers, nothing but seeds, 10,000 peers, a clock that jumps
//     ("odd");
//   - unchokes a peer that is alone and interested at some time, leeching and seeding ("alone"; see [MayStarve]);
//   - unchokes no more interested peers than Round.Slots, where that is given ("slots"; see [IgnoresSlots]).
//
// [NoAllocs] is for those that want to be as frugal as the bundled ones. Nothing here takes real time or is random;
// a check takes about a second at most.
package choketest

import (
	"testing"

	"github.com/seed1734be99/starling/choke"
)

// An Exemption leaves out what a strategy breaks on purpose.
type Exemption uint8

const (
	// IgnoresSlots is for a strategy that unchokes as many as it likes whatever Round.Slots says.
	IgnoresSlots Exemption = iota + 1
	// MayStarve is for a strategy that refuses peers for ever, such as by their address.
	MayStarve
)

// Run checks a strategy; package choketest says what for. Each check is a subtest. Create makes a fresh value of it,
// and is called many times. Run waits, in real time, only for a strategy that hangs: two seconds, and leaves its
// goroutine behind.
//
// "forgets" looks at the size of the heap, so tests that fill it should not run in parallel.
func Run(t *testing.T, create func() choke.Strategy, exempt ...Exemption) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			for _, e := range exempt {
				if e == c.unless {
					t.Skip("exempt")
				}
			}
			c.run(t, create)
		})
	}
}

// NoAllocs checks that a strategy allocates nothing in a round of 1,000 peers, once it has seen some rounds of them.
// Not part of Run: a strategy is called every few seconds, and may allocate.
func NoAllocs(t *testing.T, create func() choke.Strategy) {
	t.Helper()
	for _, seeding := range []bool{false, true} {
		if n := allocs(create(), seeding); n > 0 {
			t.Errorf("%g allocations in a round of 1,000 peers; seeding: %t", n, seeding)
		}
	}
}
