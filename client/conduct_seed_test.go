package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
)

// takers lets actors in that take at these rates, one a second.
func (s *stage) takers(rates ...int64) (cast []*actor) {
	for i, rate := range rates {
		cast = append(cast, s.enter(ip4(1, byte(i)), role{fast: i%2 == 0, interested: true, takes: rate}))
		time.Sleep(time.Second)
	}
	return cast
}

// unchokes counts the unchokes of a cast between two times, and the most of
// them at once.
func unchokes(cast []*actor, from, to time.Duration) (n, most int) {
	at := make(map[time.Duration]int)
	for _, a := range cast {
		for _, st := range a.stints() {
			if from <= st.from && st.from < to {
				n++
				at[st.from.Round(time.Second)]++
				most = max(most, at[st.from.Round(time.Second)])
			}
		}
	}
	return n, most
}

// A seed's slots but one stay with those that take the most. The one goes
// through the others, so that one is exchanged each 30 s, not four each round.
func TestC4_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seeding(t, 1<<20, 64<<10, client.Config{UploadSlots: 4})
		cast := s.takers(5*kib, 10*kib, 15*kib, 20*kib, 40*kib, 50*kib, 60*kib)
		time.Sleep(4 * time.Minute)
		from := s.now()
		require.Contains(t, s.about(cast[6]).Why, "fast: takes")
		var turns [4]int
		s.watch(4*time.Minute, cast, func(at time.Duration, who []int) {
			require.Len(t, who, 4, "at %v", at)
			require.Equal(t, []int{4, 5, 6}, who[1:], "at %v", at)
			turns[who[0]]++
		})
		n, most := unchokes(cast, from, s.now())
		t.Log("seconds of the slow ones:", turns, "unchokes:", n)
		for _, sec := range turns {
			require.InDelta(t, 60, sec, 1, "each of four")
		}
		require.InDelta(t, 8, n, 1)
		require.Equal(t, 1, most)
	})
}

// The round robin gives everybody the same time, however fast he is, and
// passes on two of four slots in a round at most.
func TestC4_RoundRobinConduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minutes = 7
		s := seeding(t, 1<<20, 64<<10, client.Config{UploadSlots: 4, Choker: choke.NewRoundRobin})
		cast := s.takers(5*kib, 10*kib, 15*kib, 20*kib, 40*kib, 50*kib, 60*kib)
		time.Sleep(time.Minute)
		from := s.now()
		turns := make([]int, len(cast))
		s.watch(minutes*time.Minute, cast, func(at time.Duration, who []int) {
			require.Len(t, who, 4, "at %v", at)
			for _, i := range who {
				turns[i]++
			}
		})
		n, most := unchokes(cast, from, s.now())
		t.Log("seconds of each:", turns, "unchokes:", n, "at once:", most)
		for _, sec := range turns {
			require.InDelta(t, minutes*60*4/7, sec, 31)
		}
		require.InDelta(t, minutes*60*4/30, n, 2, "turns of 30 s")
		require.LessOrEqual(t, most, 2)
	})
}

// A newcomer has a whole piece before it is choked, though that takes it two
// turns. Of two connections from one address only the first one has: the
// second's turn is as long as any other.
func TestC5_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const piece = 1 << 20
		s := seeding(t, 4*piece, piece, client.Config{UploadSlots: 2})
		fast := s.enter(ip4(1, 1), role{interested: true, takes: 150 * kib})
		time.Sleep(45 * time.Second) // it has a slot of its own now
		slow := role{interested: true, takes: 16 * kib}
		twins := []*actor{s.enter(ip4(1, 2), slow), s.enter(ip4(1, 2), slow)}
		other := s.enter(ip4(1, 3), slow)
		time.Sleep(5 * time.Minute)
		require.True(t, fast.unchoked(s.now()))
		first := func(a *actor) stint {
			st := a.stints()
			require.NotEmpty(t, st)
			return st[0]
		}
		check := func(a *actor) {
			st := first(a)
			t.Logf("turn of %v, %d KiB", st.length(), a.received(st.to)>>10)
			require.GreaterOrEqual(t, a.received(st.to), int64(piece))
			require.InDelta(t, 70, st.length().Seconds(), 16, "64 s and no more than a round")
		}
		check(other)
		if first(twins[0]).from > first(twins[1]).from {
			twins[0], twins[1] = twins[1], twins[0]
		}
		check(twins[0])
		require.InDelta(t, 36, first(twins[1]).length().Seconds(), 16, "a usual turn, and what the line held")
		require.Less(t, twins[1].received(first(twins[1]).to), int64(piece))
	})
}

// A connection swallows 256 KiB at once and then hardly anything. Over its
// turn that is more than the others take, but it earns it no slot.
func TestC9_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seeding(t, 1<<20, 64<<10, client.Config{UploadSlots: 3})
		cast := s.takers(7*kib, 6*kib)
		time.Sleep(3 * time.Minute) // what their lines swallowed is out
		sponge := s.enter(ip4(2, 1), role{fast: true, interested: true, takes: kib / 2, depth: 32})
		waiting := s.enter(ip4(2, 2), role{interested: true, takes: kib / 2})
		time.Sleep(10 * time.Minute)
		for at := 3 * time.Minute; at < s.now(); at += time.Second {
			require.Equal(t, []int{0, 1}, free(at, cast), "at %v", at)
		}
		require.NotEmpty(t, sponge.stints())
		require.NotEmpty(t, waiting.stints())
	})
}
