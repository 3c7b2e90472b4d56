package swarm

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// actor is a peer of a world: it remembers what it is asked for, and does
// what the dice say.
type actor struct {
	id      PeerID
	addr    netip.Addr
	fast    bool
	liar    bool
	chokes  bool // us
	said    bool
	writer  bool // ours to it
	doomed  bool // the swarm wants it closed
	owes    []piece.Block
	inbox   []peerwire.Message // what the swarm had no memory for
	holding bool
}

// world is one node and its peers, readers, writers, workers and clock, each
// of them as late as the dice say.
type world struct {
	*node
	rnd     *rand.Rand
	data    []byte
	actors  []*actor
	claims  [][]Claim // being copied
	jobs    []Job     // with workers
	rounds  []uint64  // choking rounds under way
	foreign [][]byte  // memory that others have
	banned  map[netip.Addr]bool
	out     Out
}

func newWorld(t testing.TB, l *metainfo.Layout, data []byte, memory int64, seed uint64) *world {
	w := &world{node: newNode(t, l, data, memory), rnd: rand.New(rand.NewPCG(seed, 1)), data: data, banned: map[netip.Addr]bool{}}
	w.slow = true
	return w
}

func (w *world) one(n int) bool { return w.rnd.IntN(n) == 0 }

func (w *world) find(id PeerID) *actor {
	for _, a := range w.actors {
		if a.id == id {
			return a
		}
	}
	return nil
}

// act carries effects out, but for what takes time.
func (w *world) act(eff *Effects) {
	for _, id := range eff.Wake {
		if a := w.find(id); a != nil {
			require.False(w.t, a.writer, "two writers for one peer")
			a.writer = true
		}
	}
	for _, d := range eff.Drop {
		if a := w.find(d.Peer); a != nil {
			a.doomed = true
		}
	}
	for _, b := range eff.Bans {
		w.banned[b] = true
	}
	if eff.Rechoke {
		var r choke.Round
		w.rounds = append(w.rounds, w.g.Snapshot(&r, w.now))
		require.LessOrEqual(w.t, len(w.rounds), 1, "one round at a time")
	}
	w.events = append(w.events, eff.Events...)
	eff.Reset()
}

func (w *world) join() {
	a := &actor{addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + w.rnd.IntN(9))}), fast: !w.one(3), liar: w.one(4), chokes: true}
	id := Identity{Addr: netip.AddrPortFrom(a.addr, 1), Fast: a.fast, Outgoing: w.one(2), ID: [20]byte{9, byte(w.rnd.IntN(40))}}
	if w.banned[a.addr] || len(w.actors) >= 8 {
		return
	}
	var eff Effects
	p, err := w.g.Join(id, nil, w.now, &eff)
	if err == nil {
		a.id = p
		w.actors = append(w.actors, a)
	}
	w.act(&eff)
}

func (w *world) leave(a *actor) {
	w.actors = slices.DeleteFunc(w.actors, func(x *actor) bool { return x == a })
	var eff Effects
	w.g.Leave(a.id, w.now, &eff)
	w.act(&eff)
}

// say hands messages to the swarm as a reader does; the claims land later.
func (w *world) say(a *actor, msgs ...peerwire.Message) {
	a.inbox = append(a.inbox, msgs...)
	if len(a.inbox) == 0 {
		return
	}
	var st Step
	k, err := w.g.Batch(a.id, w.now, a.inbox, &st)
	if len(st.Claims) > 0 {
		w.claims = append(w.claims, slices.Clone(st.Claims))
	}
	a.inbox = slices.Clone(a.inbox[k:])
	w.act(&st.Effects)
	if err != nil {
		w.leave(a)
	}
}

// listen is the writer: it takes what is to be sent to a.
func (w *world) listen(a *actor) {
	if !a.writer {
		return
	}
	if !w.g.Fill(a.id, w.now, 1+w.rnd.IntN(8), &w.out) {
		a.writer = false
		return
	}
	for b := w.out.Control; len(b) > 0; {
		var m peerwire.Message
		k, err := w.limits.Next(b, &m)
		require.NoError(w.t, err)
		b = b[k:]
		q := piece.Block{Piece: m.Index, Begin: m.Begin, Length: m.Length}
		switch m.ID {
		case peerwire.MsgRequest:
			switch {
			case !a.chokes || !a.fast && w.one(2): // one that was on its way counts, after a quick unchoke
				a.owes = append(a.owes, q)
			case a.fast:
				a.inbox = append(a.inbox, peerwire.Message{ID: peerwire.MsgReject, Index: q.Piece, Begin: q.Begin, Length: q.Length})
			}
		case peerwire.MsgCancel:
			if i := slices.Index(a.owes, q); i >= 0 {
				a.owes = slices.Delete(a.owes, i, i+1)
				if a.fast {
					a.inbox = append(a.inbox, peerwire.Message{ID: peerwire.MsgReject, Index: q.Piece, Begin: q.Begin, Length: q.Length})
				}
			}
		}
	}
	for _, u := range w.out.Run {
		off := w.layout.Offset(int(u.Piece), int64(u.Begin))
		require.Equal(w.t, w.data[off:off+int64(u.Length)], w.disk[off:off+int64(u.Length)], "served what is not verified")
	}
	w.g.Sent(a.id, w.now, int64(w.out.Bytes))
}

// answer sends blocks that a owes, in any order, and sometimes bad ones.
func (w *world) answer(a *actor, most int) {
	for range 1 + w.rnd.IntN(most) {
		if len(a.owes) == 0 || !slices.Contains(w.actors, a) {
			return
		}
		i := w.rnd.IntN(min(len(a.owes), 5))
		m := w.block(a.owes[i], w.data)
		if a.liar && w.one(6) {
			m.Data = make([]byte, len(m.Data))
		}
		a.owes = slices.Delete(a.owes, i, i+1)
		w.say(a, m)
		if w.one(30) && slices.Contains(w.actors, a) {
			w.say(a, m) // a duplicate
		}
	}
}

// misbehave sends one message of any kind.
func (w *world) misbehave(a *actor) {
	i := uint32(w.rnd.IntN(w.layout.NumPieces()))
	switch w.rnd.IntN(10) {
	case 0, 1:
		w.say(a, peerwire.Message{ID: peerwire.MsgHave, Index: i})
	case 2:
		b := piece.NewBitfield(w.layout.NumPieces())
		for k := range b.Len() {
			if !w.one(3) {
				b.Set(k)
			}
		}
		w.say(a, peerwire.Message{ID: peerwire.MsgBitfield, Data: b.Bytes()})
	case 3:
		a.chokes = true
		var msgs []peerwire.Message
		if a.fast && !w.one(4) { // the others forget to reject
			for _, q := range a.owes {
				msgs = append(msgs, peerwire.Message{ID: peerwire.MsgReject, Index: q.Piece, Begin: q.Begin, Length: q.Length})
			}
		}
		a.owes = nil
		w.say(a, append([]peerwire.Message{{ID: peerwire.MsgChoke}}, msgs...)...)
	case 4:
		if a.fast && len(a.owes) > 0 {
			q := a.owes[0]
			a.owes = a.owes[1:]
			w.say(a, peerwire.Message{ID: peerwire.MsgReject, Index: q.Piece, Begin: q.Begin, Length: q.Length})
		}
	case 5:
		w.say(a, peerwire.Message{ID: peerwire.MsgInterested})
	case 6:
		w.say(a, peerwire.Message{ID: peerwire.MsgNotInterested})
	case 7, 8:
		n := uint32(min(w.layout.PieceSize(int(i)), piece.BlockSize))
		w.say(a, peerwire.Message{ID: peerwire.MsgRequest, Index: i, Length: n})
		if w.one(3) && slices.Contains(w.actors, a) {
			w.say(a, peerwire.Message{ID: peerwire.MsgCancel, Index: i, Length: n})
		}
	case 9:
		if a.fast {
			w.say(a, peerwire.Message{ID: peerwire.MsgAllowedFast, Index: i})
		}
	}
}

func (w *world) land() {
	if len(w.claims) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.claims))
	for _, c := range w.claims[i] {
		copy(c.Dst, c.Src)
	}
	var eff Effects
	w.g.Landed(w.claims[i], w.now, &eff)
	w.claims = slices.Delete(w.claims, i, i+1)
	w.act(&eff)
}

func (w *world) takeJob() {
	var j Job
	if len(w.jobs) < 3 && w.g.NextJob(&j) {
		w.jobs = append(w.jobs, j)
	}
}

// endJob does a job's work and hands in the result; the work is as late as
// can be, so that a write that comes too late shows.
func (w *world) endJob(mayFail bool) {
	if len(w.jobs) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.jobs))
	j := w.jobs[i]
	w.jobs = slices.Delete(w.jobs, i, i+1)
	res := w.do(&j)
	if mayFail && j.Kind != JobCheck && w.one(60) {
		res = Result{OK: true, Err: errors.New("the disk failed")}
	}
	var eff Effects
	w.g.JobDone(&j, res, w.now, &eff)
	w.act(&eff)
}

func (w *world) decide() {
	if len(w.rounds) == 0 {
		return
	}
	var d choke.Decision
	for _, a := range w.actors {
		if !w.one(3) {
			d.Unchoke = append(d.Unchoke, choke.Choice{Peer: choke.PeerID(a.id)})
		}
	}
	n := w.rounds[0]
	w.rounds = w.rounds[1:]
	var eff Effects
	w.g.Apply(n, d, w.now, &eff)
	w.act(&eff)
}

// life pauses, starts, checks, and lends memory to others.
func (w *world) life() {
	var eff Effects
	switch w.rnd.IntN(12) {
	case 0:
		w.g.Pause(ErrNotRunning, &eff)
	case 1:
		if w.one(12) {
			if w.one(2) {
				w.g.Pause(ErrRecheck, &eff)
			}
			all := make([]uint32, w.layout.NumPieces())
			for i := range all {
				all[i] = uint32(i)
			}
			w.g.Check(all, nil, w.now, &eff)
		}
	case 2, 3:
		if b := w.g.s.pool.Get(1<<(10+w.rnd.IntN(10)), 1<<20); b != nil {
			w.foreign = append(w.foreign, b)
		}
	case 4, 5, 6:
		if n := len(w.foreign); n > 0 {
			w.g.s.pool.Put(w.foreign[n-1])
			w.foreign = w.foreign[:n-1]
		}
	case 7:
		w.g.Evict(1<<20, w.now, &eff)
	default:
		w.g.Start(w.now, &eff)
	}
	w.act(&eff)
}

func (w *world) step() {
	switch k := w.rnd.IntN(100); {
	case k < 4:
		w.join()
	case k < 10:
		w.land()
	case k < 22:
		w.land()
		w.takeJob()
	case k < 32:
		w.endJob(true)
	case k < 36:
		w.life()
	case k < 38:
		w.decide()
	case k < 44:
		d := time.Duration(w.rnd.Int64N(int64(3 * time.Second)))
		if w.one(20) {
			d += 25 * time.Second
		}
		w.now = w.now.Add(d)
		var eff Effects
		w.g.Tick(w.now, &eff)
		w.act(&eff)
	case len(w.actors) == 0:
	default:
		a := w.actors[w.rnd.IntN(len(w.actors))]
		switch {
		case a.doomed && w.one(4) || w.one(150):
			w.leave(a)
		case w.one(15):
			a.holding = !a.holding
			w.g.Hold(a.id, a.holding, w.now)
		case a.holding:
		case len(a.inbox) > 0 && w.one(2):
			w.say(a)
		case !a.said && w.one(2):
			a.said = true
			if w.one(2) && a.fast {
				w.say(a, peerwire.Message{ID: peerwire.MsgHaveAll})
			}
		case a.chokes && w.one(2):
			a.chokes = false
			w.say(a, peerwire.Message{ID: peerwire.MsgUnchoke})
		case w.one(6):
			w.misbehave(a)
		case k < 72:
			w.listen(a)
		default:
			w.answer(a, 8)
		}
	}
}

// check compares everything that is kept in two places, and counts afresh
// what is counted.
func (w *world) check() {
	w.checkMemory()
	w.checkRequests()
	w.checkHaves()
	for _, a := range w.actors {
		p := w.g.s.members.get(a.id)
		require.NotNil(w.t, p)
		require.Equal(w.t, a.writer, p.out.writing)
		require.True(w.t, a.writer || len(p.out.control) == 0 && p.out.queued() == 0, "a lost wake-up")
	}
}

func (w *world) checkMemory() {
	r := &w.g.s.receiving
	used := map[*landing]bool{}
	pins := map[*slab]int{}
	busy := map[*slab]bool{}
	for i, l := range r.landings {
		require.Equal(w.t, i, l.piece)
		require.False(w.t, l.dead)
		used[l] = true
	}
	for _, claims := range w.claims {
		for _, c := range claims {
			used[c.land] = true
			pins[&c.land.slabs[c.slab]]++
		}
	}
	mark := func(l *landing, k int) {
		if l != nil {
			used[l] = true
			require.False(w.t, busy[&l.slabs[k]], "two jobs for one slab")
			busy[&l.slabs[k]] = true
		}
	}
	for _, j := range w.jobs {
		mark(j.land, j.slab)
	}
	for _, q := range w.g.s.jobs.q[w.g.s.jobs.head:] {
		mark(q.land, q.slab)
	}
	held := int64(0)
	for l := range used {
		for k := range l.slabs {
			sl := &l.slabs[k]
			held += int64(cap(sl.buf))
			require.Equal(w.t, pins[sl], sl.pins)
			require.Equal(w.t, busy[sl], sl.busy)
			if !l.dead {
				require.Equal(w.t, sl.pins, bits.OnesCount64(sl.taken)-bits.OnesCount64(sl.mem|sl.disk))
				require.True(w.t, sl.mem == 0 || sl.buf != nil)
			}
		}
	}
	for _, b := range w.foreign {
		held += int64(cap(b))
	}
	require.Equal(w.t, held, w.g.s.pool.Used(), "memory")
	require.LessOrEqual(w.t, w.g.s.pool.Peak(), w.g.s.pool.Limit())
	idle := map[*landing]bool{}
	for _, l := range r.idle {
		require.False(w.t, idle[l] || used[l], "idle and used, or idle twice")
		idle[l] = true
	}
	if w.g.s.mode == Paused && len(w.claims) == 0 && w.g.s.jobs.working == 0 && w.g.s.jobs.head == len(w.g.s.jobs.q) {
		for l := range used {
			for k := range l.slabs {
				require.Nil(w.t, l.slabs[k].buf, "a paused torrent holds memory")
			}
		}
	}
	require.Equal(w.t, len(w.jobs), w.g.s.jobs.working)
}

func (w *world) checkRequests() {
	s := w.g.s
	open := map[piece.Block][]PeerID{}
	for p := range s.members.all {
		for _, q := range p.req.open[p.req.head:] {
			require.NotContains(w.t, open[q.b], p.id)
			open[q.b] = append(open[q.b], p.id)
		}
	}
	for i := range w.layout.NumPieces() {
		for at := int64(0); at < w.layout.PieceSize(i); at += piece.BlockSize {
			b := piece.Block{Piece: uint32(i), Begin: uint32(at), Length: uint32(min(w.layout.PieceSize(i)-at, piece.BlockSize))}
			if got, want := s.picker.Askers(nil, b), open[b]; len(got)+len(want) > 0 {
				require.ElementsMatch(w.t, want, got, "%v", b)
			}
		}
	}
}

func (w *world) checkHaves() {
	s := w.g.s
	have := int64(0)
	for i := range w.layout.NumPieces() {
		avail := 0
		for p := range s.members.all {
			if p.has.has(i) {
				avail++
			}
		}
		require.Equal(w.t, avail, s.picker.Availability(i))
		if s.picker.Have().Has(i) {
			off, size := w.layout.Offset(i, 0), w.layout.PieceSize(i)
			require.Equal(w.t, w.data[off:off+size], w.disk[off:off+size], "piece %d", i)
			require.Nil(w.t, s.receiving.landings[i])
			have += size
		}
	}
	require.Equal(w.t, have, s.total.Have)
	require.Len(w.t, s.having.log, s.picker.NumHave())
	for p := range s.members.all {
		want := 0
		for i := range w.layout.NumPieces() {
			if p.has.has(i) && s.picker.Needs(i) {
				want++
			}
		}
		require.Equal(w.t, want, p.want, "W11")
		if s.mode == Running {
			require.Equal(w.t, want > 0, p.wire.interested, "W11")
		}
	}
}

// finish sends everybody away; one honest seed must do then.
func (w *world) finish() {
	for len(w.actors) > 0 {
		w.leave(w.actors[0])
	}
	for _, b := range w.foreign {
		w.g.s.pool.Put(b)
	}
	w.foreign = nil
	seed := &actor{fast: true, addr: netip.AddrFrom4([4]byte{10, 0, 1, 1})}
	for turn := 0; w.g.Stats(w.now).Left > 0 || w.g.s.mode != Running; turn++ {
		require.Less(w.t, turn, 5000, "stalled: %+v", w.g.Stats(w.now))
		var eff Effects
		if w.g.s.mode != Running || w.g.s.fault != nil {
			w.g.Start(w.now, &eff)
			w.act(&eff)
		}
		if len(w.actors) == 0 {
			p, err := w.g.Join(Identity{Addr: netip.AddrPortFrom(seed.addr, 1), ID: [20]byte{8}, Fast: true}, nil, w.now, &eff)
			require.NoError(w.t, err)
			*seed = actor{id: p, fast: true, addr: seed.addr}
			w.actors = append(w.actors, seed)
			w.act(&eff)
			w.say(seed, peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke})
		}
		for seed.writer {
			w.listen(seed)
		}
		w.answer(seed, 16)
		if len(w.actors) > 0 {
			w.say(seed)
		}
		for len(w.claims) > 0 {
			w.land()
		}
		w.takeJob()
		w.endJob(false)
		w.decide()
		if len(seed.owes) == 0 {
			w.now = w.now.Add(time.Second)
			w.g.Tick(w.now, &eff)
			w.act(&eff)
		}
		w.check()
		require.False(w.t, w.banned[seed.addr], "the honest one is banned")
	}
	require.Equal(w.t, w.data, w.disk)
	for len(w.jobs) > 0 || w.g.s.jobs.head < len(w.g.s.jobs.q) {
		w.takeJob()
		w.endJob(false)
	}
	require.Zero(w.t, w.g.s.pool.Used())
	require.Empty(w.t, w.g.s.receiving.landings)
}

// TestRandomHistories drives a node with peers, workers and a user that do
// anything at any time, and checks after each step that all its books agree.
func TestRandomHistories(t *testing.T) {
	seeds := 8
	if testing.Short() {
		seeds = 2
	}
	for _, tc := range []struct {
		name           string
		pieces, length int64
		memory         int64
		steps          int
	}{
		{"small", 50_000, 1_700_000, 3 << 20, 2000},
		{"slabs", 5<<19 + 16384, 10 << 20, 9 << 20, 2000},
		{"tight", 1 << 20, 6 << 20, 5 << 20, 2000},
	} {
		l, err := metainfo.NewLayout(tc.pieces/16384*16384, []metainfo.File{{Path: []string{"f"}, Length: tc.length}})
		require.NoError(t, err)
		data := random(tc.length)
		for seed := range uint64(seeds) {
			t.Run(fmt.Sprintf("%s/seed=%d", tc.name, seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, l, data, tc.memory, seed)
				for range tc.steps {
					w.step()
					w.check()
				}
				w.finish()
			})
		}
	}
}
