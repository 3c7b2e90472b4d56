package choke

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var bundled = map[string]func() Strategy{
	"titfortat":   NewTitForTat,
	"seeding":     NewSeeding,
	"roundrobin":  NewRoundRobin,
	"bytebalance": func() Strategy { return NewByteBalance(ByteBalance{}) },
	"everyone":    NewUnchokeEveryone,
	"default":     Default,
}

// crowd makes a round with n peers of all kinds.
func crowd(rng *rand.Rand, n int, firstID PeerID) *Round {
	r := &Round{
		Now:         time.Unix(1_700_000_000, 0),
		Rand:        rand.New(rand.NewPCG(rng.Uint64(), 0)),
		PieceLength: 1 << 20,
	}
	for i := range n {
		r.Peers = append(r.Peers, someone(rng, firstID+PeerID(i)))
	}
	return r
}

func someone(rng *rand.Rand, id PeerID) Peer {
	p := Peer{
		ID:         id,
		Addr:       netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(id >> 16), byte(id >> 8), byte(id)}), 1),
		SinceBlock: -1,
		Interested: rng.IntN(3) > 0,
		Seed:       rng.IntN(10) == 0,
		UploadOnly: rng.IntN(10) == 0,
		Snubbed:    rng.IntN(10) == 0,
	}
	if rng.IntN(2) == 0 {
		p.DownRate20 = rng.Int64N(1 << 20)
		p.UpRate20 = rng.Int64N(1 << 20)
		p.Uploaded = rng.Int64N(2 << 20)
	}
	return p
}

// Random histories: whatever happens, decisions keep to the rules, and the same seed leads to the same ones.
func TestStrategies_KeepToTheRules(t *testing.T) {
	for name, create := range bundled {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(25) {
				history(t, create, seed)
			}
		})
	}
}

func history(t *testing.T, create func() Strategy, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	r := crowd(rng, rng.IntN(60), 1)
	next := PeerID(1000)
	one, two := create(), create()
	for round := range 80 {
		r.Now = r.Now.Add(time.Duration(rng.Int64N(int64(20 * time.Second))))
		r.Slots = max(rng.IntN(10)-2, 0)
		r.Seeding = round > 40
		r.UploadLimit = rng.Int64N(3) << 18
		r.Peers = slices.DeleteFunc(r.Peers, func(Peer) bool { return rng.IntN(15) == 0 })
		for range rng.IntN(5) {
			r.Peers = append(r.Peers, someone(rng, next))
			next++
		}
		rng.Shuffle(len(r.Peers), func(i, j int) { r.Peers[i], r.Peers[j] = r.Peers[j], r.Peers[i] })
		s := rng.Uint64()
		r.Rand = rand.New(rand.NewPCG(s, 0))
		d := one.Choose(r)
		r.Rand = rand.New(rand.NewPCG(s, 0))
		require.Equal(t, d, two.Choose(r), "the same input, another decision")

		named := make(map[PeerID]bool)
		for _, c := range d.Unchoke {
			require.False(t, named[c.Peer], "named twice")
			named[c.Peer] = true
			require.NotEmpty(t, c.Why)
			if _, limits := one.(*byteBalance); !limits {
				require.Zero(t, c.MaxRate)
			}
		}
		require.Zero(t, d.Again)
		served, want := 0, 0
		for i := range r.Peers {
			p := &r.Peers[i]
			if eligible(p) {
				want++
			}
			p.Unchoked = named[p.ID]
			delete(named, p.ID)
			if p.Unchoked {
				require.False(t, p.Seed)
				if p.Interested {
					served++
				}
			}
		}
		require.Empty(t, named, "not in the round")
		if _, all := one.(*everyone); r.Slots > 0 && !all {
			require.Equal(t, min(want, r.Slots), served, "as many as there are slots")
		}
	}
}

// Nobody who wants something waits for ever, however badly it does.
func TestStrategies_EverybodyHasATurn(t *testing.T) {
	for name, create := range bundled {
		t.Run(name, func(t *testing.T) {
			const n = 50
			s := create()
			r := crowd(rand.New(rand.NewPCG(1, 2)), 0, 1)
			r.Seeding = name == "seeding"
			for id := range PeerID(n) {
				p := Peer{ID: id + 1, Interested: true, Uploaded: 2 << 20}
				if id < 5 {
					p.DownRate20, p.UpRate20 = 1<<20, 1<<20
				}
				r.Peers = append(r.Peers, p)
			}
			had := make(map[PeerID]bool)
			r.Slots = 4
			for range n * 3 { // 50 peers, 30 s each
				for _, c := range s.Choose(r).Unchoke {
					had[c.Peer] = true
				}
				unchoke(r, s.Choose(r))
				r.Now = r.Now.Add(10 * time.Second)
			}
			require.Len(t, had, n)
		})
	}
}

func unchoke(r *Round, d Decision) {
	for i := range r.Peers {
		p := &r.Peers[i]
		p.Unchoked = slices.ContainsFunc(d.Unchoke, func(c Choice) bool { return c.Peer == p.ID })
	}
}

// BEP 3: new connections are three times as likely to be the next optimistic unchoke as anywhere else in the rotation.
func TestC11_NewConnectionsThreeTimesAsLikely(t *testing.T) {
	const waiting, runs = 7, 20_000
	rng := rand.New(rand.NewPCG(3, 4))
	places := make([]int, waiting+1)
	for range runs {
		r := crowd(rng, 0, 1)
		var o rotation
		for id := range PeerID(waiting) {
			r.Peers = append(r.Peers, Peer{ID: id + 1, Interested: true})
			o.begin(r)
		}
		r.Peers = append(r.Peers, Peer{ID: 99, Interested: true})
		o.begin(r)
		places[slices.Index(o.queue, 99)]++
	}
	share := float64(runs) / (waiting + 3)
	require.InDelta(t, 3*share, places[0], 0.1*share*3)
	for _, n := range places[1:] {
		require.InDelta(t, share, n, 0.1*share)
	}
}

func TestStrategies_ForgetPeersThatAreGone(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	tft, seed := &titForTat{}, newSeeding()
	for i := range 50 {
		r := crowd(rng, 100, PeerID(i*100+1))
		for _, s := range []Strategy{tft, seed} {
			s.Choose(r)
		}
		for _, o := range []*rotation{&tft.rotation, &seed.rotation} {
			require.Len(t, o.queue, 100)
			require.Len(t, o.index, 100)
			require.LessOrEqual(t, len(o.turns), seedingSlots)
			require.LessOrEqual(t, cap(o.queue), 256)
		}
	}
	empty := crowd(rng, 0, 1)
	require.Empty(t, tft.Choose(empty).Unchoke)
	require.Empty(t, seed.Choose(empty).Unchoke)
	require.Empty(t, tft.queue)
	require.Empty(t, tft.turns)
}

// A round that names a peer twice is a mistake of the caller; nothing grows because of it.
func TestStrategies_SurviveDoubledPeers(t *testing.T) {
	for name, create := range bundled {
		t.Run(name, func(t *testing.T) {
			s := create()
			r := crowd(rand.New(rand.NewPCG(1, 2)), 0, 1)
			r.Peers = []Peer{{ID: 1, Interested: true, Unchoked: true}, {ID: 1, Interested: true, Unchoked: true}, {ID: 0, Interested: true}}
			for range 10 {
				require.Len(t, s.Choose(r).Unchoke, 2)
				r.Now = r.Now.Add(10 * time.Second)
			}
		})
	}
}

func TestNoAllocsChoose(t *testing.T) {
	for name, create := range bundled {
		t.Run(name, func(t *testing.T) {
			s := create()
			r := crowd(rand.New(rand.NewPCG(8, 9)), 1000, 1)
			r.Seeding = name == "seeding"
			choose := func() {
				unchokeFast(r, s.Choose(r))
				r.Now = r.Now.Add(10 * time.Second)
			}
			for range 10 {
				choose()
			}
			require.Zero(t, testing.AllocsPerRun(100, choose))
		})
	}
}

// unchokeFast does what unchoke does, for crowds whose peers are numbered from 1 on.
func unchokeFast(r *Round, d Decision) {
	for i := range r.Peers {
		r.Peers[i].Unchoked = false
	}
	for _, c := range d.Unchoke {
		r.Peers[c.Peer-1].Unchoked = true
	}
}

// When the clock is set back by a year, turns do not last a year.
func TestStrategies_ClockGoesBack(t *testing.T) {
	for name, create := range bundled {
		if name == "everyone" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := create()
			r := crowd(rand.New(rand.NewPCG(1, 2)), 0, 1)
			r.Slots = 1
			r.Peers = []Peer{{ID: 1, Interested: true}, {ID: 2, Interested: true}}
			first := s.Choose(r).Unchoke[0].Peer
			r.Peers[first-1].Unchoked = true
			r.Now = r.Now.AddDate(-1, 0, 0)
			require.NotEqual(t, first, s.Choose(r).Unchoke[0].Peer)
		})
	}
}

// With equal rates, nobody is exchanged for the sake of it.
func TestTitForTat_EqualsStay(t *testing.T) {
	s := NewTitForTat()
	r := crowd(rand.New(rand.NewPCG(1, 2)), 0, 1)
	for id := range PeerID(20) {
		r.Peers = append(r.Peers, Peer{ID: id + 1, Interested: true, DownRate20: 1000})
	}
	fast := func() (ids []PeerID) {
		d := s.Choose(r)
		for _, c := range d.Unchoke {
			if c.Why == WhyFast {
				ids = append(ids, c.Peer)
			}
		}
		unchoke(r, d)
		r.Now = r.Now.Add(10 * time.Second)
		slices.Sort(ids)
		return ids
	}
	first := fast()
	require.Len(t, first, 3)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		rng.Shuffle(len(r.Peers), func(i, j int) { r.Peers[i], r.Peers[j] = r.Peers[j], r.Peers[i] })
		now := fast()
		kept := 0
		for _, id := range now {
			if slices.Contains(first, id) {
				kept++
			}
		}
		require.GreaterOrEqual(t, kept, 2, "an equal optimistic peer may take one place, not more")
		first = now
	}
}

// A seed whose peers can take different amounts: the capacity goes to those that take the most, and one is exchanged
// each 30 s at most.
func TestC4_SeedTurnsSlowly(t *testing.T) {
	s := NewSeeding()
	r := crowd(rand.New(rand.NewPCG(1, 2)), 0, 1)
	r.Seeding = true
	r.Slots = 4
	const n = 30
	for id := range PeerID(n) {
		r.Peers = append(r.Peers, Peer{ID: id + 1, Interested: true, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}), 1)})
	}
	var changes int
	for round := range 3 * 120 { // an hour
		before := make([]bool, n)
		for i := range r.Peers {
			before[i] = r.Peers[i].Unchoked
		}
		unchoke(r, s.Choose(r))
		for i := range r.Peers {
			p := &r.Peers[i]
			if p.Unchoked && !before[i] && round > 3 {
				changes++
			}
			p.UpRate20, p.UnchokedFor = 0, 0
			if p.Unchoked {
				p.UpRate20 = int64(p.ID) * 10_000 // what it can take
				p.Uploaded += p.UpRate20 * 10
				p.UnchokedFor += 10 * time.Second
			}
		}
		r.Now = r.Now.Add(10 * time.Second)
	}
	require.LessOrEqual(t, changes, 120)
	require.Greater(t, changes, 60, "but it does turn")
	for id := PeerID(n - 2); id <= n; id++ {
		require.True(t, r.Peers[id-1].Unchoked, "the fastest three")
	}
	for _, p := range r.Peers {
		require.GreaterOrEqual(t, p.Uploaded, r.PieceLength, "everybody got a piece")
	}
}

func TestReason_String(t *testing.T) {
	for r, want := range map[Reason]string{Tick: "tick", Asked: "asked", SlotFree: "slot free", Reciprocate: "reciprocate", Started: "started", 99: "reason 99"} {
		require.Equal(t, want, r.String())
	}
}

func TestPeers(t *testing.T) {
	require.Equal(t, Decision{Unchoke: []Choice{{Peer: 3}, {Peer: 1}}}, Peers(3, 1))
	require.Empty(t, Peers().Unchoke)
}

func BenchmarkChoose(b *testing.B) {
	for _, name := range []string{"titfortat", "seeding", "roundrobin", "bytebalance", "everyone"} {
		for _, n := range []int{50, 1000} {
			b.Run(fmt.Sprintf("strategy=%s/peers=%d", name, n), func(b *testing.B) {
				s := bundled[name]()
				r := crowd(rand.New(rand.NewPCG(8, 9)), n, 1)
				r.Seeding = name == "seeding"
				b.ReportAllocs()
				for b.Loop() {
					unchokeFast(r, s.Choose(r))
					r.Now = r.Now.Add(10 * time.Second)
				}
			})
		}
	}
}
