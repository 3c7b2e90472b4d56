package client_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/peerwire"
)

const kib = 1 << 10

// senders lets actors in that want something and send at these rates; those
// that send nothing choke us and have nothing.
func (s *stage) senders(rates ...int64) (cast []*actor) {
	for i, rate := range rates {
		r := role{fast: i%2 == 0, interested: true, sends: rate}
		if rate > 0 {
			r.has, r.unchokes = allBut(i), true
		}
		cast = append(cast, s.enter(ip4(1, byte(i)), r))
	}
	return cast
}

// The three that send the fastest have a slot each, the fourth is optimistic,
// and a faster one that wants nothing is unchoked beside them; when it wants
// something, the slowest gives way.
func TestC1_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := leeching(t, 26<<20, 64<<10, client.Config{UploadSlots: 4})
		cast := s.senders(24*kib, 21*kib, 18*kib, 12*kib, 9*kib, 0)
		idle := s.enter(ip4(2, 1), role{has: allBut(9), unchokes: true, sends: 20 * kib})
		slow := s.enter(ip4(2, 2), role{has: allBut(8), unchokes: true, sends: 6 * kib})
		time.Sleep(2 * time.Minute)
		require.Contains(t, s.about(idle).Why, choke.WhyFastIdle)
		require.Contains(t, s.about(cast[0]).Why, choke.WhyFast+": sends")
		require.Contains(t, s.about(cast[3]).Why+s.about(cast[4]).Why, "slots full (4): sends")
		for at := 50 * time.Second; at < 2*time.Minute; at += time.Second {
			now := free(at, cast)
			require.Len(t, now, 4, "at %v", at)
			require.Equal(t, []int{0, 1, 2}, now[:3], "at %v", at)
			require.True(t, idle.unchoked(at), "at %v", at)
			require.False(t, slow.unchoked(at), "at %v", at)
		}

		asks := s.now()
		idle.say(peerwire.Message{ID: peerwire.MsgInterested})
		time.Sleep(time.Minute)
		turns := 0
		for at := asks + 11*time.Second; at < s.now(); at += time.Second {
			now := free(at, append(cast, idle))
			require.Len(t, now, 4, "at %v", at)
			require.Subset(t, now, []int{0, 1, 6}, "at %v", at)
			if slices.Contains(now, 2) { // as everybody else, in its turn
				turns++
			}
		}
		require.LessOrEqual(t, turns, 31)
	})
}

// One slot moves on every 30 s through all connections that want something,
// whether they ever sent anything or not, and in the same order again.
func TestC2_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := leeching(t, 20<<20, 64<<10, client.Config{UploadSlots: 4})
		cast := s.senders(20*kib, 18*kib, 16*kib, 0, 0, 0, 0, 0)
		bored := s.enter(ip4(2, 1), role{})
		time.Sleep(6 * time.Minute)
		require.Empty(t, bored.stints())
		var order []int
		var turns []stint
		for at := time.Minute; at < 6*time.Minute; at += time.Second {
			now := free(at, cast)
			require.Len(t, now, 4, "at %v", at)
			require.Equal(t, []int{0, 1, 2}, now[:3], "at %v", at)
			if k := len(order); k == 0 || order[k-1] != now[3] {
				order = append(order, now[3])
				for _, st := range cast[now[3]].stints() {
					if st.from <= at && at < st.to {
						turns = append(turns, st)
					}
				}
			}
		}
		t.Log(order, turns)
		require.GreaterOrEqual(t, len(order), 10)
		for i, st := range turns[:len(turns)-1] {
			require.InDelta(t, 30, st.length().Seconds(), 1.1)
			require.InDelta(t, 0, (turns[i+1].from - st.to).Seconds(), 0.1, "the next one has it at once")
			if i >= 5 {
				require.Equal(t, order[i-5], order[i], "each of five once in 150 s")
			}
		}
		require.ElementsMatch(t, []int{3, 4, 5, 6, 7}, order[:5])
	})
}

// A peer that we reciprocate with stops sending. It keeps its slot for 60 s,
// since nobody else sends; then it goes to one more optimistic unchoke, until
// the peer sends again.
func TestC3_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := leeching(t, 20<<20, 64<<10, client.Config{UploadSlots: 4})
		cast := s.senders(20*kib, 18*kib, 16*kib, 0, 0, 0, 0)
		waiting := cast[3:]
		time.Sleep(61 * time.Second)
		require.Equal(t, []int{0, 1, 2}, free(s.now(), cast)[:3])

		stopped := s.now()
		cast[0].pace(0)
		time.Sleep(85 * time.Second)
		for at := stopped; at < stopped+60*time.Second; at += time.Second {
			require.True(t, cast[0].unchoked(at), "after %v", at-stopped)
			require.Len(t, free(at, waiting), 1, "after %v", at-stopped)
		}
		lost := never
		for _, st := range cast[0].stints() {
			if st.from <= stopped && stopped < st.to {
				lost = st.to - stopped
			}
		}
		t.Log("choked after", lost)
		require.InDelta(t, 66, lost.Seconds(), 6, "the round after 60 s")
		snubbed := func(at time.Duration) { // its own turn may come too
			now := free(at, cast)
			require.Len(t, now, 4)
			require.Subset(t, now, []int{1, 2})
		}
		for at := stopped + lost + time.Second; at < s.now(); at += time.Second {
			snubbed(at)
			require.Len(t, free(at, append(waiting, cast[0])), 2, "two optimistic ones")
		}
		if info := s.about(cast[0]); info.Choking {
			require.Contains(t, info.Why, "snubbed: has sent nothing for a minute")
		}

		cast[0].pace(20 * kib)
		time.Sleep(45 * time.Second)
		require.Equal(t, []int{0, 1, 2}, free(s.now(), cast)[:3])
		require.Len(t, free(s.now(), waiting), 1)
	})
}

// A peer that has choked us unchokes us right before a round, too late to be
// judged in it or in the next one. 15 s later it sends faster than two of those
// that are unchoked: it gets a slot at once, and the slowest loses its.
func TestC6_Conduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := leeching(t, 24<<20, 64<<10, client.Config{UploadSlots: 4})
		cast := s.senders(30*kib, 27*kib, 15*kib, 0, 0, 0, 0)
		late := s.enter(ip4(2, 1), role{has: allBut(9), interested: true, sends: 21 * kib})
		time.Sleep(65 * time.Second)
		moved := func() bool { // another has its turn for less than a second
			for _, a := range cast[3:] {
				if st := a.stints(); len(st) > 0 && st[len(st)-1].to == never && s.now()-st[len(st)-1].from < time.Second {
					return true
				}
			}
			return false
		}
		until(t, s.tor, 5*time.Minute, "somebody else's turn begins", moved)
		time.Sleep(9 * time.Second)
		require.False(t, late.unchoked(s.now()))
		unchokes := s.now()
		late.say(peerwire.Message{ID: peerwire.MsgUnchoke})
		time.Sleep(17 * time.Second)
		st := late.stints()
		require.NotEmpty(t, st)
		from := st[len(st)-1].from - unchokes
		t.Log("unchoked after", from)
		require.InDelta(t, 15.5, from.Seconds(), 0.6)
		require.Contains(t, s.about(late).Why, choke.WhyReciprocates)
		last := cast[2].stints()
		require.InDelta(t, from.Seconds(), (last[len(last)-1].to - unchokes).Seconds(), 0.1, "the slowest gives way in the same round")
		require.Equal(t, []int{0, 1}, free(s.now(), cast)[:2])
		require.Len(t, free(s.now(), cast), 3)
	})
}

// A rounds is a strategy that notes when it is called, and passes on.
type rounds struct {
	choke.Strategy
	began time.Time
	mu    sync.Mutex
	ticks []time.Time
	slots []int
}

func (r *rounds) Choose(round *choke.Round) choke.Decision {
	r.mu.Lock()
	if round.Why == choke.Tick && time.Since(r.began) > time.Second { // not those for newcomers
		r.ticks = append(r.ticks, round.Now)
		r.slots = append(r.slots, round.Slots)
	}
	r.mu.Unlock()
	return r.Strategy.Choose(round)
}

// Without a word from the program: a round each 10 s, and four uploads.
func TestC11_RoundsAndSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rounds{Strategy: choke.Default(), began: time.Now()}
		s := leeching(t, 1<<20, 64<<10, client.Config{Choker: func() choke.Strategy { return r }})
		cast := s.senders(0, 0, 0, 0, 0, 0, 0)
		time.Sleep(10 * time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		require.InDelta(t, 60, len(r.ticks), 3)
		for i, at := range r.ticks[1:] {
			require.InDelta(t, 10, at.Sub(r.ticks[i]).Seconds(), 1)
			require.Equal(t, 4, r.slots[i+1])
		}
		for at := 10 * time.Second; at < 10*time.Minute; at += time.Second {
			require.Len(t, free(at, cast), 4, "at %v", at)
		}
	})
}

// Of nine that wait for one slot, each would be the next as often as the
// others. A newcomer is so three times as often: 3 of 12.
func TestC11_NewcomersConduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const joins = 400
		s := leeching(t, 1<<20, 64<<10, client.Config{UploadSlots: 1})
		cast := s.senders(0, 0, 0, 0, 0, 0, 0, 0, 0)
		rnd := rand.New(rand.NewPCG(3, 1))
		time.Sleep(time.Minute)
		next := 0
		for i := range joins {
			turns := 0
			for _, a := range cast {
				turns += len(a.stints())
			}
			a := s.enter(ip4(byte(2+i/200), byte(i%200)), role{interested: true})
			chosen := func() bool {
				n := len(a.stints())
				for _, a := range cast {
					n += len(a.stints())
				}
				return n > turns
			}
			for !chosen() {
				time.Sleep(time.Second)
			}
			if len(a.stints()) > 0 {
				next++
			}
			a.leave()
			time.Sleep(time.Duration(rnd.IntN(5)) * time.Second)
		}
		t.Logf("%d of %d newcomers were the next", next, joins)
		require.InDelta(t, joins*3/12, next, joins*0.09)
	})
}
