package discover

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var t0 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func list() *Candidates {
	return NewCandidates(Backoff{Lost: 15 * time.Second, Refused: time.Minute}, rand.New(rand.NewPCG(1, 2)))
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestAddRefusesWhatNobodyIsReachedAt(t *testing.T) {
	c := list()
	for _, s := range []string{"0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "10.0.0.1:0", "[::]:1", "[ff02::1]:1"} {
		require.False(t, c.Add(Candidate{Addr: ap(s), Origin: OriginTracker}), s)
	}
	require.False(t, c.Add(Candidate{}))
	require.True(t, c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker}))
	require.False(t, c.Add(Candidate{Addr: ap("[::ffff:10.0.0.1]:1"), Origin: OriginTracker}), "the same in IPv6 clothes")
	require.Equal(t, 1, c.Len())
}

func TestListIsBounded(t *testing.T) {
	c := list()
	for i := range 3 * maxCandidates {
		c.Add(Candidate{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1), Origin: OriginTracker})
	}
	require.Equal(t, maxCandidates, c.Len())
	require.True(t, c.Add(Candidate{Addr: ap("11.0.0.1:1"), Origin: OriginManual}), "what the user names is always taken")
}

// TestW6_Backoff: a refused address waits longer than a lost one, longer with
// each failure, and never zero; one that the user named comes back soon.
func TestW6_Backoff(t *testing.T) {
	for _, tc := range []struct {
		name   string
		origin Origin
		result Result
		first  time.Duration
		grows  bool
	}{
		{"refused", OriginTracker, Refused, time.Minute, true},
		{"lost", OriginTracker, Lost, 15 * time.Second, false},
		{"refused, the user's", OriginManual, Refused, time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := list()
			now := t0
			c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: tc.origin})
			want := tc.first
			for range 4 {
				k, ok, _ := c.Next(now, false)
				require.True(t, ok)
				_, ok, next := c.Next(now, false)
				require.False(t, ok, "it is being dialled")
				require.Zero(t, next)
				c.Ended(k.Addr, tc.result, now)
				_, ok, next = c.Next(now, false)
				require.False(t, ok)
				require.GreaterOrEqual(t, next.Sub(now), want/2)
				require.LessOrEqual(t, next.Sub(now), 3*want/2)
				now = next
				if tc.grows {
					want *= 2
				}
			}
		})
	}
}

func TestW13_SeedsAreNotDialledWhenComplete(t *testing.T) {
	c := list()
	c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker})
	k, _, _ := c.Next(t0, true)
	c.Ended(k.Addr, WasSeed, t0)
	_, ok, next := c.Next(t0.Add(time.Hour), true)
	require.False(t, ok)
	require.Zero(t, next)
	_, ok, _ = c.Next(t0.Add(time.Hour), false)
	require.True(t, ok, "useful while we are not")
}

func TestUselessAndBanned(t *testing.T) {
	c := list()
	c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker})
	k, _, _ := c.Next(t0, false)
	c.Ended(k.Addr, Useless, t0)
	_, ok, _ := c.Next(t0.Add(24*time.Hour), false)
	require.False(t, ok, "ourselves: never again")

	c.Add(Candidate{Addr: ap("10.0.0.2:1"), Origin: OriginTracker})
	c.Ban(netip.MustParseAddr("10.0.0.2"))
	require.True(t, c.Banned(netip.MustParseAddr("::ffff:10.0.0.2")))
	require.False(t, c.Add(Candidate{Addr: ap("10.0.0.2:7"), Origin: OriginTracker}))
	require.Equal(t, 1, c.Len())
}

func TestEveryAddressGetsItsTurn(t *testing.T) {
	c := list()
	for i := range byte(5) {
		c.Add(Candidate{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i + 1}), 1), Origin: OriginTracker})
	}
	seen := map[netip.AddrPort]bool{}
	for range 5 {
		k, ok, _ := c.Next(t0, false)
		require.True(t, ok)
		seen[k.Addr] = true
		c.Ended(k.Addr, Lost, t0.Add(-time.Hour)) // at once dialable again
	}
	require.Len(t, seen, 5)
}

// TestW6_OnlyWhatWeDialled: a peer that connected to us is not dialled when it
// goes, unless a tracker names it too; nor is it while it is connected.
func TestW6_OnlyWhatWeDialled(t *testing.T) {
	c := list()
	here, told := ap("10.0.0.1:1"), ap("10.0.0.2:1")
	for _, a := range []netip.AddrPort{here, told} {
		c.Busy(Candidate{Addr: a, Origin: OriginIncoming})
	}
	c.Add(Candidate{Addr: told, Origin: OriginTracker})
	_, ok, _ := c.Next(t0, false)
	require.False(t, ok)
	c.Ended(here, Lost, t0)
	c.Ended(told, Lost, t0)
	k, ok, _ := c.Next(t0.Add(time.Hour), false)
	require.True(t, ok)
	require.Equal(t, told, k.Addr)
	_, ok, _ = c.Next(t0.Add(time.Hour), false)
	require.False(t, ok)
}

// Peers that came to us and peers that never answered make room for new ones.
func TestFullListTakesNewPeers(t *testing.T) {
	c := list()
	addr := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 1)
	}
	for i := range maxCandidates {
		c.Busy(Candidate{Addr: addr(i), Origin: OriginIncoming})
	}
	require.False(t, c.Add(Candidate{Addr: ap("11.0.0.1:1"), Origin: OriginTracker}), "all are connected")
	c.Ended(addr(7), Lost, t0)
	require.True(t, c.Add(Candidate{Addr: ap("11.0.0.1:1"), Origin: OriginTracker}))
	k, ok, _ := c.Next(t0, false)
	require.True(t, ok)
	require.Equal(t, ap("11.0.0.1:1"), k.Addr)
	for range 3 {
		c.Ended(k.Addr, Refused, t0)
	}
	require.True(t, c.Add(Candidate{Addr: ap("11.0.0.2:1"), Origin: OriginTracker}), "in the place of one that failed again and again")
	require.Equal(t, maxCandidates, c.Len())
}

// A wait that stands for never is no short one, nor one that overflows.
func TestLongestBackoff(t *testing.T) {
	c := NewCandidates(Backoff{Lost: math.MaxInt64, Refused: math.MaxInt64}, rand.New(rand.NewPCG(1, 2)))
	c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker})
	for range 10 {
		c.Ended(ap("10.0.0.1:1"), Refused, t0)
		_, ok, next := c.Next(t0, false)
		require.False(t, ok)
		require.True(t, next.After(t0.Add(24*time.Hour)))
	}
}

// A peer that has a new id since it was restarted is known by it.
func TestNewIDOfAnAddress(t *testing.T) {
	c := list()
	old, young := [20]byte{1}, [20]byte{2}
	c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker, ID: &old})
	k, _, _ := c.Next(t0, false)
	c.Ended(k.Addr, Useless, t0)
	c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker, ID: &old})
	_, ok, _ := c.Next(t0, false)
	require.False(t, ok, "useless")
	c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker, ID: &young})
	k, ok, _ = c.Next(t0, false)
	require.True(t, ok)
	require.Equal(t, &young, k.ID)
}

func TestOnlyOf(t *testing.T) {
	c := list()
	c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginManual})
	c.Add(Candidate{Addr: ap("10.0.0.2:1"), Origin: OriginTracker})
	c.OnlyOf(OriginTracker)
	require.Equal(t, 1, c.Len())
	k, ok, _ := c.Next(t0, false)
	require.True(t, ok)
	require.Equal(t, ap("10.0.0.2:1"), k.Addr)
	require.True(t, c.Add(Candidate{Addr: ap("10.0.0.1:1"), Origin: OriginTracker}), "it is new again")
}
