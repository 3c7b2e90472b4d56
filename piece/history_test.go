package piece

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sizeList is a layout made by hand.
type sizeList []int64

func (s sizeList) NumPieces() int        { return len(s) }
func (s sizeList) PieceSize(i int) int64 { return s[i] }

// even is n pieces of one size.
type even struct {
	n    int
	size int64
}

func (e even) NumPieces() int      { return e.n }
func (e even) PieceSize(int) int64 { return e.size }

// history lives a random life and compares picker and twin after every step.
type history struct {
	t    testing.TB
	rnd  *rand.Rand
	p    *Picker
	m    *naive
	ids  []PeerID
	next PeerID
	log  []string
	now  time.Duration
}

func newHistory(t testing.TB, seed uint64, sizes Sizes) *history {
	h := &history{t: t, rnd: rand.New(rand.NewPCG(seed, 1))}
	h.p = NewPicker(sizes, rand.New(rand.NewPCG(seed, 2)))
	h.m = newNaive(sizes)
	return h
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

// must ends the test with the last steps.
func (h *history) must(err error) {
	h.t.Helper()
	if err == nil {
		return
	}
	for _, l := range h.log[max(0, len(h.log)-30):] {
		h.t.Log(l)
	}
	h.t.Fatal(err)
}

func (h *history) same() {
	h.t.Helper()
	p, m := h.p, h.m
	h.must(p.check())
	eq := func(what string, got, want any) {
		if got != want {
			h.must(fmt.Errorf("%s: picker %v, twin %v", what, got, want))
		}
	}
	eq("needed", p.NumNeeded(), m.count(m.needs))
	eq("had", p.NumHave(), m.count(func(i int) bool { return m.pieces[i].have }))
	eq("partials", p.Partials(), m.count(m.partial))
	eq("endgame", p.Endgame(), m.endgame())
	for i := range m.pieces {
		eq(fmt.Sprint("availability ", i), p.Availability(i), m.availability(i))
		eq(fmt.Sprint("needs ", i), p.Needs(i), m.needs(i))
		eq(fmt.Sprint("wanted ", i), p.Wanted(i), m.pieces[i].wanted)
		eq(fmt.Sprint("complete ", i), p.Complete(i), m.whole(i))
		for k, b := range m.pieces[i].blocks {
			got := p.Askers(nil, m.block(i, k))
			slices.Sort(got)
			want := slices.Sorted(slices.Values(b.askers))
			if !slices.Equal(got, want) {
				h.must(fmt.Errorf("askers of %v: picker %v, twin %v", m.block(i, k), got, want))
			}
		}
	}
}

func (h *history) anyPiece() int { return h.rnd.IntN(len(h.m.pieces)) }

func (h *history) anyPeer() (PeerID, bool) {
	if len(h.ids) == 0 {
		return 0, false
	}
	return h.ids[h.rnd.IntN(len(h.ids))], true
}

// anyAsked is a request that is open, of id.
func (h *history) asked(id PeerID) []Block {
	var all []Block
	for i := range h.m.pieces {
		for k, b := range h.m.pieces[i].blocks {
			if slices.Contains(b.askers, id) {
				all = append(all, h.m.block(i, k))
			}
		}
	}
	return all
}

func (h *history) anyBlock() Block {
	i := h.anyPiece()
	b := h.m.block(i, h.rnd.IntN(len(h.m.pieces[i].blocks)))
	switch h.rnd.IntN(20) {
	case 0:
		b.Begin++
	case 1:
		b.Length--
	case 2:
		b.Begin += uint32(len(h.m.pieces[i].blocks)) * BlockSize
	case 3:
		b.Piece = uint32(len(h.m.pieces)) + h.rnd.Uint32N(1<<31)
	case 4:
		b.Piece, b.Begin = 1<<32-1, 1<<32-BlockSize
	}
	return b
}

func (h *history) join() {
	h.next++
	id := h.next
	h.ids = append(h.ids, id)
	if h.rnd.IntN(5) == 0 {
		h.note("seed %d joins", id)
		h.m.peers[id] = nil
		h.p.AddSeed()
		return
	}
	has := NewBitfield(len(h.m.pieces))
	share := h.rnd.IntN(5)
	for i := range h.m.pieces {
		if h.rnd.IntN(4) < share || share == 0 && h.rnd.IntN(100) == 0 {
			has.Set(i)
		}
	}
	h.note("peer %d joins with %x", id, has.Bytes())
	h.m.peers[id] = has
	h.p.AddPeer(has)
}

func (h *history) leave(id PeerID) {
	h.note("peer %d leaves", id)
	for _, b := range h.asked(id) {
		h.m.release(id, b)
		h.m.settle(int(b.Piece))
		h.p.Release(id, b)
	}
	if has := h.m.peers[id]; has == nil {
		h.p.RemoveSeed()
	} else {
		h.p.RemovePeer(has)
	}
	delete(h.m.peers, id)
	h.ids = slices.DeleteFunc(h.ids, func(x PeerID) bool { return x == id })
}

// few are some pieces, not all of which there are.
func (h *history) few() []uint32 {
	l := []uint32{}
	for range h.rnd.IntN(4) {
		l = append(l, uint32(h.rnd.IntN(len(h.m.pieces)+1)))
	}
	return l
}

// asker is id as it may be asked.
func (h *history) asker(id PeerID) *Asker {
	h.now += time.Duration(h.rnd.IntN(100)) * time.Millisecond
	a := &Asker{ID: id, Has: h.m.peers[id], Slow: h.rnd.IntN(8) == 0, Now: h.now}
	a.Open = len(h.asked(id))
	switch h.rnd.IntN(8) {
	case 0:
		a.Only = h.few()
	case 1:
		a.Suggested = h.few()
	case 2:
		a.Run = 1 + h.rnd.IntN(64)
	case 3:
		a.Duplicates = h.rnd.IntN(4) - 1
	case 4:
		a.Delay = time.Second
	}
	if h.rnd.IntN(4) > 0 {
		a.Rate = 1 << h.rnd.IntN(24)
	}
	return a
}

func (h *history) ask(id PeerID) {
	a := &call{Asker: h.asker(id)}
	h.m.rates[id] = a.Rate
	if len(h.m.due) > 0 {
		h.m.best = max(h.m.best-h.m.best>>8, a.Rate)
	}
	n := 1 + h.rnd.IntN(1<<h.rnd.IntN(6))
	got := h.p.Next(a.Asker, n, []Block{{Piece: 7}})
	h.note("next n %d %+v: %v", n, *a.Asker, got[1:])
	require.Equal(h.t, Block{Piece: 7}, got[0])
	got = got[1:]
	for _, b := range got {
		h.must(h.m.took(a, b))
	}
	for i := range h.m.pieces {
		h.m.settle(i)
	}
	if len(got) > n {
		h.must(fmt.Errorf("%d blocks instead of %d", len(got), n))
	}
	if len(got) < n {
		h.must(h.m.nothing(a))
	}
}

func (h *history) receive(id PeerID, b Block) {
	want := h.m.receive(id, b)
	h.m.settle(int(b.Piece))
	got := h.p.Receive(id, b)
	h.note("receive %d %v: %v", id, b, got)
	if got != want {
		h.must(fmt.Errorf("receive %v: picker %v, twin %v", b, got, want))
	}
}

// step does one random thing.
func (h *history) step() {
	id, some := h.anyPeer()
	i := h.anyPiece()
	switch r := h.rnd.IntN(100); {
	case r < 4 || !some:
		if len(h.ids) < 12 {
			h.join()
		}
	case r < 6:
		h.leave(id)
	case r < 12:
		if has := h.m.peers[id]; has != nil && !has.Has(i) {
			h.note("have %d %d", id, i)
			has.Set(i)
			h.p.AddHave(i)
		}
	case r < 13:
		if has := h.m.peers[id]; has != nil && has.Has(i) {
			h.note("lost %d %d", id, i)
			has.Clear(i)
			h.p.DropHave(i)
		}
	case r < 50:
		h.ask(id)
	case r < 80:
		if all := h.asked(id); len(all) > 0 {
			h.receive(id, all[h.rnd.IntN(len(all))])
		}
	case r < 82:
		h.receive(id, h.anyBlock())
	case r < 88:
		b := h.anyBlock()
		if all := h.asked(id); len(all) > 0 && r < 87 {
			b = all[h.rnd.IntN(len(all))]
		}
		h.note("release %d %v", id, b)
		h.m.release(id, b)
		h.m.settle(int(b.Piece))
		h.p.Release(id, b)
	case r < 96:
		h.outcome(i)
	case r < 97:
		h.reorder()
	case r < 98:
		w := h.rnd.IntN(3) > 0
		h.note("wanted %d %v", i, w)
		if pc := &h.m.pieces[i]; pc.wanted != w {
			pc.wanted = w
			h.m.settle(i)
		}
		h.p.SetWanted(i, w)
	default:
		h.note("clear %d", i)
		h.m.pieces[i].have = false
		h.p.ClearHave(i)
	}
}

// reorder sets something of the order.
func (h *history) reorder() {
	n := len(h.m.pieces)
	o := h.p.Order()
	switch h.rnd.IntN(4) {
	case 0:
		from, to, priority := h.rnd.IntN(n+1)-1, h.rnd.IntN(n+2), uint8(h.rnd.IntN(10))
		if h.rnd.IntN(4) == 0 {
			from, to, priority = 0, n, NormalPriority
		}
		h.note("priority %d-%d %d", from, to, priority)
		o.SetPriority(from, to, priority)
		for i := max(from, 0); i < min(to, n); i++ {
			pc := &h.m.pieces[i]
			if pc.wanted = priority > 0; pc.wanted {
				pc.priority = min(priority, 7)
				h.m.settle(i)
			}
		}
	case 1:
		of := []Strategy{nil, RarestFirst{}, RandomOrder{}, InOrder{}, StrategyFunc(func(i int, v View) int32 {
			return int32(i%3-v.Peers+2*v.Seeds) + int32(v.Size%5)
		})}
		s := of[h.rnd.IntN(len(of))]
		h.note("strategy %T", s)
		o.SetStrategy(s)
		if h.m.strategy = s; s == (Strategy)(RarestFirst{}) {
			h.m.strategy = nil
		}
	case 2:
		h.m.how, h.m.files = Finish(h.rnd.IntN(4)), h.anyFiles()
		if len(h.m.files) == 0 {
			h.m.how = FinishNone
		}
		h.note("finish %d %v", h.m.how, h.m.files)
		o.SetFinish(h.m.how, h.m.files)
	case 3:
		h.m.due = nil
		for _, i := range h.rnd.Perm(n)[:h.rnd.IntN(min(n, 6)+1)] {
			h.m.due = append(h.m.due, Deadline{i, h.now + time.Duration(h.rnd.IntN(8000)-500)*time.Millisecond})
		}
		slices.SortFunc(h.m.due, func(x, y Deadline) int { return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.Piece, y.Piece)) })
		if len(h.m.due) == 0 {
			h.m.best = 0
		}
		h.note("deadlines %v", h.m.due)
		o.SetDeadlines(append(h.m.due, Deadline{n, 0}, Deadline{-1, 0}))
	}
}

// anyFiles are files one behind the other, as in a torrent.
func (h *history) anyFiles() (l []File) {
	n := len(h.m.pieces)
	for i, used := 0, int64(0); i < n; {
		f := File{From: i}
		f.Head = 1 + h.rnd.Int64N(h.m.sizes.PieceSize(i)-used)
		f.Length = f.Head
		used += f.Head
		if used == h.m.sizes.PieceSize(i) {
			i, used = i+1, 0
			for i < n && h.rnd.IntN(4) > 0 {
				size := h.m.sizes.PieceSize(i)
				used = 1 + h.rnd.Int64N(size)
				if f.Length += used; used < size {
					break
				}
				i, used = i+1, 0
			}
		}
		f.To = i
		if used > 0 {
			f.To++
		}
		if h.rnd.IntN(8) > 0 { // some are not told
			l = append(l, f)
		}
	}
	return l
}

// outcome ends pieces that are whole, and now and then others.
func (h *history) outcome(i int) {
	if h.rnd.IntN(10) > 0 {
		i = slices.IndexFunc(h.m.pieces, func(pc naivePiece) bool {
			return pc.begun && !slices.ContainsFunc(pc.blocks, func(b naiveBlock) bool { return !b.received })
		})
		if i < 0 {
			return
		}
	}
	if h.rnd.IntN(3) > 0 {
		h.note("have it %d", i)
		h.m.setHave(i)
		h.p.SetHave(i)
		return
	}
	alone := h.rnd.IntN(2) == 0
	h.note("fail %d %v", i, alone)
	h.m.fail(i, alone)
	h.m.settle(i)
	h.p.Fail(i, alone)
}

// finish shows that nothing is stuck: when everybody has left, one seed is
// enough to get all that is wanted.
func (h *history) finish() {
	for len(h.ids) > 0 {
		h.leave(h.ids[0])
	}
	h.same()
	h.p.AddSeed()
	h.p.Order().SetDeadlines(nil)
	h.m.due = nil
	a := &Asker{ID: 1 << 40}
	h.m.peers[a.ID] = nil
	blocks := 0
	for i := range h.m.pieces {
		blocks += len(h.m.pieces[i].blocks)
	}
	for range blocks + len(h.m.pieces) {
		for i := range h.m.pieces {
			if h.p.Complete(i) {
				h.m.setHave(i)
				h.p.SetHave(i)
			}
		}
		for _, b := range h.p.Next(a, 1, nil) {
			h.must(h.m.took(&call{Asker: a}, b))
			h.m.settle(int(b.Piece))
			h.receive(a.ID, b)
		}
	}
	if h.p.NumNeeded() > 0 {
		h.must(fmt.Errorf("%d pieces never came", h.p.NumNeeded()))
	}
	h.same()
}

// anySizes are those of a small torrent, of odd pieces; every eighth has more.
func anySizes(seed uint64) sizeList {
	rnd := rand.New(rand.NewPCG(seed, 3))
	sizes := make(sizeList, 1+rnd.IntN(24))
	if seed%8 == 7 {
		sizes = make(sizeList, 64*(3+rnd.IntN(2))+rnd.IntN(2))
	}
	for i := range sizes {
		switch rnd.IntN(3) {
		case 0:
			sizes[i] = 1 + rnd.Int64N(BlockSize*3)
		case 1:
			sizes[i] = BlockSize * (1 + rnd.Int64N(4))
		default:
			sizes[i] = 1 + rnd.Int64N(256)
		}
	}
	if rnd.IntN(4) == 0 {
		sizes[0] = BlockSize*70 + 5
	}
	return sizes
}

func live(t testing.TB, seed uint64, steps int) {
	if seed%8 == 7 {
		steps /= 4
	}
	h := newHistory(t, seed, anySizes(seed))
	h.note("seed %d", seed)
	for range steps {
		h.step()
		h.same()
	}
	h.finish()
}

func TestTwinAgrees(t *testing.T) {
	lives := uint64(80)
	if testing.Short() {
		lives = 24
	}
	for seed := range lives {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			live(t, seed, 500)
		})
	}
}

// script is randomness that is read from bytes, two for a number, as long as
// there are some: the fuzzer's hold on a history.
type script struct {
	rest []byte
	then rand.Source
}

func (s *script) Uint64() uint64 {
	x := s.then.Uint64()
	if len(s.rest) < 2 {
		return x
	}
	x = x>>16 | uint64(s.rest[0])<<56 | uint64(s.rest[1])<<48
	s.rest = s.rest[2:]
	return x
}

func FuzzHistory(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(7), []byte("a history, of which every two letters are a decision"))
	f.Add(uint64(3), bytes.Repeat([]byte{2, 0, 200, 9, 90, 40}, 60))
	f.Fuzz(func(t *testing.T, seed uint64, decisions []byte) {
		h := newHistory(t, seed, anySizes(seed))
		h.rnd = rand.New(&script{decisions, rand.NewPCG(seed, 4)})
		for range min(len(decisions)/4, 300) + 50 {
			h.step()
			h.same()
		}
		h.finish()
	})
}
