package choketest

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
)

type check struct {
	name   string
	unless Exemption
	run    func(t require.TestingT, create func() choke.Strategy)
}

var checks = []check{
	{name: "decisions", run: decisions},
	{name: "forgets", run: forgets},
	{name: "midflight", run: midflight},
	{name: "deterministic", run: deterministic},
	{name: "copies", run: copies},
	{name: "fast", run: fast},
	{name: "odd", run: odd},
	{name: "alone", unless: MayStarve, run: alone},
	{name: "slots", unless: IgnoresSlots, run: slots},
}

// decisions plays busy torrents, and looks at every decision.
func decisions(t require.TestingT, create func() choke.Strategy) {
	for seed := range uint64(20) {
		w := newWorld(seed, int(seed)*4)
		s := create()
		for round := range uint64(60) {
			w.seeding = round > 40
			w.limit = int64(seed%3) << 18
			w.slots = int(round+seed) % 6
			d := ask(t, s, w.round(round))
			lawful(t, w, d)
			w.obey(d, w.step())
			w.churn()
		}
	}
}

// forgets lets 180,000 peers come and go, 600 at a time.
func forgets(t require.TestingT, create func() choke.Strategy) {
	const rounds, each = 300, 600
	s := create()
	w := newWorld(1, 0)
	r := &choke.Round{Rand: w.rng, Slots: 4, PieceLength: pieceLength}
	var before uint64
	for round := range rounds {
		r.Now = begin.Add(time.Duration(round) * tick)
		r.Peers = r.Peers[:0]
		for i := range each {
			w.last++
			p := choke.Peer{ID: w.last, Interested: true, SinceBlock: -1, Connected: tick, Addr: addrOf(w.last)}
			if i%2 == 0 {
				p.DownRate20, p.UpRate20, p.Downloaded = int64(i), int64(i), int64(i)
			}
			r.Peers = append(r.Peers, p)
		}
		ask(t, s, r)
		if round == rounds/5 {
			before = heap()
		}
	}
	grown := int64(heap() - before)
	runtime.KeepAlive(s)
	require.Lessf(t, grown, int64(1<<20), "peers that are gone are remembered: %d bytes for %d of them", grown, rounds*4/5*each)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// midflight begins where another strategy was at work.
func midflight(t require.TestingT, create func() choke.Strategy) {
	for seed := range uint64(20) {
		w := newWorld(seed, 40)
		var other choke.Strategy = choke.NewTitForTat()
		if seed%2 == 0 {
			other = choke.NewUnchokeEveryone()
		}
		for round := range 5 + seed {
			w.obey(other.Choose(w.round(round)), tick)
		}
		w.seeding = seed%3 == 0
		w.why = choke.Reason(seed % 5)
		s := create()
		for round := range uint64(20) {
			d := ask(t, s, w.round(round))
			lawful(t, w, d)
			w.obey(d, tick)
		}
	}
}

// deterministic asks two of them the same, again and again.
func deterministic(t require.TestingT, create func() choke.Strategy) {
	for seed := range uint64(10) {
		w := newWorld(seed, 60)
		one, two := create(), create()
		for round := range uint64(50) {
			w.seeding = round > 30
			d := kept(ask(t, one, w.round(round)))
			require.Equal(t, d, kept(ask(t, two, w.round(round))), "the same rounds and the same randomness, another decision")
			w.obey(d, w.step())
			w.churn()
		}
	}
}

// copies gives one strategy rounds of its own, and another one the same piece of memory over and over, which is
// overwritten as soon as it has answered.
func copies(t require.TestingT, create func() choke.Strategy) {
	for seed := range uint64(10) {
		w := newWorld(seed, 60)
		one, two := create(), create()
		var r choke.Round
		src := &mortal{Source: rand.NewPCG(0, 0)}
		for round := range uint64(40) {
			d := kept(ask(t, one, w.round(round)))
			fresh := w.round(round)
			peers := append(r.Peers[:0], fresh.Peers...)
			r = *fresh
			r.Peers = peers
			old := src
			src = &mortal{Source: rand.NewPCG(round, 0x524e44)}
			r.Rand = rand.New(src)
			answer := ask(t, two, &r)
			src.dead = true
			scribble(&r)
			require.Equal(t, d, kept(answer), "the decision depends on the memory of a round that is over")
			require.False(t, old.touched, "Round.Rand was used after the round")
			w.obey(d, w.step())
			w.churn()
		}
	}
}

// mortal is a source of randomness that notices when it is used too long.
type mortal struct {
	rand.Source
	dead, touched bool
}

func (m *mortal) Uint64() uint64 {
	m.touched = m.touched || m.dead
	return m.Source.Uint64()
}

// scribble overwrites all that belongs to the caller.
func scribble(r *choke.Round) {
	all := r.Peers[:cap(r.Peers)]
	for i := range all {
		all[i] = choke.Peer{ID: choke.PeerID(i + 1), Interested: i%2 == 0, Unchoked: true, DownRate20: int64(i) << 30, Seed: i%3 == 0}
	}
	*r = choke.Round{Peers: all, Now: begin.AddDate(50, 0, 0), Slots: 1 << 20, Seeding: !r.Seeding, Rand: rand.New(rand.NewPCG(0, 0))}
}

// fast asks about a thousand peers.
func fast(t require.TestingT, create func() choke.Strategy) {
	for _, seeding := range []bool{false, true} {
		w := newWorld(3, 1000)
		w.seeding = seeding
		s := create()
		for round := range uint64(5) {
			d := ask(t, s, w.round(round))
			w.obey(d, tick)
		}
	}
}

// alone looks whether somebody is ever served when there is nobody else to serve.
func alone(t require.TestingT, create func() choke.Strategy) {
	for _, seeding := range []bool{false, true} {
		for _, slots := range []int{0, 1, 4} {
			for _, before := range []int{0, 30} { // who were there and have gone
				w := newWorld(5, before)
				w.seeding, w.slots = seeding, slots
				s := create()
				for round := range uint64(10) {
					w.obey(ask(t, s, w.round(round)), tick)
				}
				w.peers = w.peers[:0]
				w.join()
				p := &w.peers[0]
				p.Interested, p.Seed, p.UploadOnly = true, false, false
				served := false
				for round := range uint64(60) {
					d := ask(t, s, w.round(round))
					served = served || len(d.Unchoke) > 0
					w.obey(d, tick)
					p.Interested, p.DownRate20, p.UnchokesUs = true, 0, false
				}
				require.Truef(t, served, "interested, alone, and never unchoked in ten minutes; seeding: %t, slots: %d", seeding, slots)
			}
		}
	}
}

// slots counts how many are served.
func slots(t require.TestingT, create func() choke.Strategy) {
	for seed := range uint64(20) {
		w := newWorld(seed, 40)
		s := create()
		for round := range uint64(40) {
			w.slots = 1 + int(round/8+seed)%6
			w.seeding = seed%2 == 0
			d := ask(t, s, w.round(round))
			served := 0
			for i := range w.peers {
				p := &w.peers[i]
				if p.Interested && slices.ContainsFunc(d.Unchoke, func(c choke.Choice) bool { return c.Peer == p.ID }) {
					served++
				}
			}
			require.LessOrEqual(t, served, w.slots, "more interested peers are unchoked than there are slots")
			w.obey(d, w.step())
			w.churn()
		}
	}
}

// allocs counts the allocations of a warm round of a thousand peers.
func allocs(s choke.Strategy, seeding bool) float64 {
	const n, warm = 1000, 64
	w := newWorld(7, n)
	r := &choke.Round{Rand: w.rng, Slots: 4, PieceLength: pieceLength, Seeding: seeding, UploadLimit: 1 << 20, Now: begin}
	round := func() {
		r.Peers = append(r.Peers[:0], w.peers...)
		d := s.Choose(r)
		for i := range w.peers {
			p := &w.peers[i]
			p.Unchoked = false
			p.DownRate20, p.DownRate60 = 0, 0
			if speed := w.speed[p.ID]; speed > 0 {
				p.DownRate20 = speed + w.rng.Int64N(speed)
				p.DownRate60 = p.DownRate20
				p.Downloaded += p.DownRate20
			}
		}
		for _, c := range d.Unchoke {
			p := &w.peers[c.Peer-1] // nobody leaves
			p.Unchoked = true
			p.UnchokedFor += tick
			p.UpRate20 = 10_000
			p.Uploaded += 100_000
		}
		r.Now = r.Now.Add(tick)
	}
	for range warm {
		round()
	}
	return testing.AllocsPerRun(100, round)
}
