package swarm

import (
	"bytes"
	"crypto/sha1"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// contentOf makes a layout with the hashes of data, which covers the whole
// address space.
func contentOf(t testing.TB, layout *metainfo.Layout, data []byte) Content {
	t.Helper()
	var sums []byte
	for i := range layout.NumPieces() {
		off := layout.Offset(i, 0)
		s := sha1.Sum(data[off : off+layout.PieceSize(i)])
		sums = append(sums, s[:]...)
	}
	return Content{Layout: layout, Sums: sums}
}

func random(n int64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func flat(t testing.TB, pieceLength, length int64) (*metainfo.Layout, []byte) {
	t.Helper()
	l, err := metainfo.NewLayout(pieceLength, []metainfo.File{{Path: []string{"f"}, Length: length}})
	require.NoError(t, err)
	return l, random(length)
}

// node is a swarm with a disk in memory and no network.
type node struct {
	t      testing.TB
	g      *Guarded
	now    time.Time
	layout *metainfo.Layout
	disk   []byte
	slow   bool // jobs are done only when work is called
	eff    Effects
	events []Event
	drops  []Drop
	wakes  map[PeerID]bool
	bans   []netip.Addr
	limits peerwire.Limits
}

func newNode(t testing.TB, l *metainfo.Layout, data []byte, memory int64) *node {
	return newNodeOf(t, contentOf(t, l, data), memory)
}

func newNodeOf(t testing.TB, c Content, memory int64) *node {
	n := &node{t: t, now: epoch, layout: c.Layout, disk: make([]byte, c.Layout.End()), wakes: make(map[PeerID]bool)}
	n.limits.Pieces = c.Layout.NumPieces()
	n.g = Guard(Config{ID: [20]byte{1}, Rand: rand.New(rand.NewPCG(1, 2)), Pool: block.NewPool(memory), Now: epoch})
	n.g.SetContent(c, n.now, &n.eff)
	n.g.Start(n.now, &n.eff)
	n.carry(&n.eff)
	return n
}

// have makes the node complete.
func (n *node) have(data []byte) {
	copy(n.disk, data)
	all := piece.NewBitfield(n.layout.NumPieces())
	for i := range n.layout.NumPieces() {
		all.Set(i)
	}
	n.g.Check(nil, all, n.now, &n.eff)
	n.carry(&n.eff)
	n.g.Start(n.now, &n.eff)
	n.carry(&n.eff)
}

func (n *node) carry(eff *Effects) {
	for _, id := range eff.Wake {
		n.wakes[id] = true
	}
	n.events = append(n.events, eff.Events...)
	n.drops = append(n.drops, eff.Drop...)
	n.bans = append(n.bans, eff.Bans...)
	rechoke, starved := eff.Rechoke, eff.Starved
	eff.Reset()
	if rechoke {
		r := choke.Round{Now: n.now, Rand: rand.New(rand.NewPCG(3, 4))}
		num := n.g.Snapshot(&r, n.now)
		d := choke.Decision{}
		for _, p := range r.Peers {
			if p.Interested {
				d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID})
			}
		}
		var e Effects
		n.g.Apply(num, d, n.now, &e)
		n.carry(&e)
	}
	if starved {
		var e Effects
		n.g.Evict(SlabSize, n.now, &e)
		n.carry(&e)
	}
	if !n.slow {
		for n.work() {
		}
	}
}

// work does one job as a disk worker would.
func (n *node) work() bool {
	var j Job
	if !n.g.NextJob(&j) {
		return false
	}
	var e Effects
	n.g.JobDone(&j, n.do(&j), n.now, &e)
	n.carry(&e)
	return true
}

func (n *node) do(j *Job) Result {
	on := n.disk[j.Addr : j.Addr+j.Size]
	each := func(mask uint64, f func(a, b int)) {
		for k := 0; k*piece.BlockSize < int(j.Size); k++ {
			if mask&(1<<k) != 0 {
				f(k*piece.BlockSize, min((k+1)*piece.BlockSize, int(j.Size)))
			}
		}
	}
	switch j.Kind {
	case JobEvict:
		each(j.Mem, func(a, b int) { copy(on[a:b], j.Buf[a:b]) })
	case JobVerify:
		buf := make([]byte, j.Size)
		copy(buf, on)
		each(j.Mem, func(a, b int) { copy(buf[a:b], j.Buf[a:b]) })
		if j.Digest == nil {
			if sha1.Sum(buf) != j.Sum {
				return Result{}
			}
		} else if j.Digest.Write(buf); j.Last && !bytes.Equal(j.Digest.Sum(nil), j.Sum[:]) {
			return Result{}
		}
		copy(on, buf)
	case JobCheck:
		return Result{OK: sha1.Sum(on) == j.Sum}
	}
	return Result{OK: true}
}

func (n *node) join(i byte, fast bool) PeerID {
	n.t.Helper()
	id := Identity{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 1), ID: [20]byte{9, i}, Fast: fast}
	p, err := n.g.Join(id, nil, n.now, &n.eff)
	require.NoError(n.t, err)
	n.carry(&n.eff)
	return p
}

// feed hands messages in as a reader does.
func (n *node) feed(p PeerID, msgs ...peerwire.Message) error {
	var st Step
	for len(msgs) > 0 {
		st.Reset()
		k, err := n.g.Batch(p, n.now, msgs, &st)
		for _, c := range st.Claims {
			copy(c.Dst, c.Src)
		}
		n.g.Landed(st.Claims, n.now, &st.Effects)
		stuck := k == 0 && st.Starved && n.slow
		n.carry(&st.Effects)
		if err != nil {
			return err
		}
		if stuck {
			require.True(n.t, n.work(), "no memory, and no job that would bring some")
		}
		msgs = msgs[k:]
	}
	return nil
}

// sent returns what the node wants to send to p.
func (n *node) sent(p PeerID) (msgs []peerwire.Message) {
	n.t.Helper()
	var out Out
	for n.g.Fill(p, n.now, 64, &out) {
		b := bytes.Clone(out.Control)
		for len(b) > 0 {
			var m peerwire.Message
			k, err := n.limits.Next(b, &m)
			require.NoError(n.t, err)
			require.NotZero(n.t, k)
			msgs = append(msgs, m)
			b = b[k:]
		}
		for _, u := range out.Run {
			off := n.layout.Offset(int(u.Piece), int64(u.Begin))
			msgs = append(msgs, peerwire.Message{ID: peerwire.MsgPiece, Index: u.Piece, Begin: u.Begin, Length: u.Length, Data: n.disk[off : off+int64(u.Length)]})
		}
		n.g.Sent(p, n.now, int64(out.Bytes))
	}
	delete(n.wakes, p)
	return msgs
}

func (n *node) tick(d time.Duration) {
	n.now = n.now.Add(d)
	n.g.Tick(n.now, &n.eff)
	n.carry(&n.eff)
}

// exchange moves messages between two nodes until there are none.
func exchange(t testing.TB, a *node, pa PeerID, b *node, pb PeerID) {
	t.Helper()
	for range 100000 {
		ma := a.sent(pa)
		require.NoError(t, b.feed(pb, ma...))
		mb := b.sent(pb)
		require.NoError(t, a.feed(pa, mb...))
		if len(ma)+len(mb) == 0 {
			return
		}
	}
	t.Fatal("they never stop")
}

func (n *node) kinds(p PeerID) (ids []peerwire.ID) {
	for _, m := range n.sent(p) {
		ids = append(ids, m.ID)
	}
	return ids
}

func asked(msgs []peerwire.Message) (blocks []piece.Block) {
	for _, m := range msgs {
		if m.ID == peerwire.MsgRequest {
			blocks = append(blocks, piece.Block{Piece: m.Index, Begin: m.Begin, Length: m.Length})
		}
	}
	return blocks
}

// block answers a request from data.
func (n *node) block(b piece.Block, data []byte) peerwire.Message {
	off := n.layout.Offset(int(b.Piece), int64(b.Begin))
	return peerwire.Message{ID: peerwire.MsgPiece, Index: b.Piece, Begin: b.Begin, Length: b.Length, Data: data[off : off+int64(b.Length)]}
}

// TestDownload runs a torrent from a complete swarm to an empty one, over
// layouts of every kind: the hand-made aligned one has short pieces inside.
func TestDownload(t *testing.T) {
	aligned := func(t *testing.T) (*metainfo.Layout, []byte) {
		l, err := metainfo.NewAlignedLayout(32<<10, []metainfo.File{
			{Path: []string{"a"}, Length: 100_000}, {Path: []string{"b"}, Length: 1}, {Path: []string{"c"}}, {Path: []string{"d"}, Length: 70_000},
		})
		require.NoError(t, err)
		require.Less(t, l.PieceSize(3), l.PieceLength(), "a short piece in the middle")
		return l, random(l.End())
	}
	for _, tc := range []struct {
		name string
		make func(t *testing.T) (*metainfo.Layout, []byte)
		fast bool
	}{
		{"one slab a piece", func(t *testing.T) (*metainfo.Layout, []byte) { return flat(t, 256<<10, 3<<20+77) }, true},
		{"several slabs a piece", func(t *testing.T) (*metainfo.Layout, []byte) { return flat(t, 3<<20, 13<<20+1) }, true},
		{"W14: pieces smaller than a block", func(t *testing.T) (*metainfo.Layout, []byte) { return flat(t, 256, 22169) }, false},
		{"BEP 52: aligned", aligned, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, data := tc.make(t)
			seed, leech := newNode(t, l, data, 64<<20), newNode(t, l, data, 64<<20)
			seed.have(data)
			ps, pl := seed.join(1, tc.fast), leech.join(2, tc.fast)
			exchange(t, seed, ps, leech, pl)
			st := leech.g.Stats(leech.now)
			require.Equal(t, st.Pieces, st.NumHave)
			require.Zero(t, st.Left)
			require.Equal(t, l.Length(), st.Counters.Downloaded)
			require.Equal(t, l.Length(), st.Counters.Verified)
			require.Equal(t, l.Length(), seed.g.Stats(seed.now).Counters.Uploaded)
			require.Zero(t, st.Counters.Wasted)
			require.Zero(t, leech.g.s.pool.Used(), "all memory is returned")
			for i := range l.NumPieces() {
				off := l.Offset(i, 0)
				require.Equal(t, data[off:off+l.PieceSize(i)], leech.disk[off:off+l.PieceSize(i)])
			}
			require.Equal(t, Completed, leech.events[len(leech.events)-1].Kind)
			require.Contains(t, leech.drops, Drop{pl, ErrBothSeeds}, "W5")
		})
	}
}

// TestNoStallWithinTheBudget: pieces of 16 MiB, a budget of 16 MiB, and 49 of
// 50 peers stop in the middle of a piece. Slabs are evicted, nothing waits for
// ever, and the memory never passes the budget.
func TestNoStallWithinTheBudget(t *testing.T) {
	const memory = 16 << 20
	l, data := flat(t, 16<<20, 64<<20)
	n := newNode(t, l, data, memory)
	n.slow = true
	var peers []PeerID
	for i := range 50 {
		p := n.join(byte(i), true)
		require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke}))
		peers = append(peers, p)
	}
	for _, p := range peers[1:] { // each sends a few blocks, then nothing any more
		for _, b := range asked(n.sent(p))[:3] {
			require.NoError(t, n.feed(p, n.block(b, data)))
		}
	}
	for turn := 0; n.g.Stats(n.now).Left > 0; turn++ {
		require.Less(t, turn, 100_000, "%+v", n.g.Stats(n.now))
		wanted := asked(n.sent(peers[0]))
		for _, b := range wanted {
			require.NoError(t, n.feed(peers[0], n.block(b, data)))
		}
		n.work()
		require.LessOrEqual(t, n.g.s.pool.Used(), int64(memory))
		if len(wanted) == 0 {
			n.tick(time.Second)
			for _, p := range peers[1:] {
				n.sent(p)
			}
		}
	}
	require.LessOrEqual(t, n.g.s.pool.Peak(), int64(memory))
	require.Equal(t, data, n.disk)
}

// TestP4_EndgameCancels: what is left is wanted of every peer, and taken back
// from the others when it comes.
func TestP4_EndgameCancels(t *testing.T) {
	l, data := flat(t, 32<<10, 64<<10)
	n := newNode(t, l, data, 16<<20)
	a, b := n.join(1, false), n.join(2, false)
	for _, p := range []PeerID{a, b} {
		require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0xc0}}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	}
	fromA, fromB := asked(n.sent(a)), asked(n.sent(b))
	require.Len(t, fromA, 4)
	require.ElementsMatch(t, fromA, fromB)
	for _, q := range fromA {
		require.NoError(t, n.feed(a, n.block(q, data)))
	}
	require.Zero(t, n.g.Stats(n.now).Left)
	cancelled := 0
	for _, m := range n.sent(b) {
		if m.ID == peerwire.MsgCancel {
			cancelled++
		}
	}
	require.Equal(t, 4, cancelled)
	require.NoError(t, n.feed(b, n.block(fromA[0], data)), "it crossed our cancel")
	require.EqualValues(t, piece.BlockSize, n.g.Stats(n.now).Counters.Wasted)
}

// TestW3_ChokeFreesRequests, with BEP 6 and without.
func TestW3_ChokeFreesRequests(t *testing.T) {
	l, data := flat(t, 16<<10, 64<<10)
	for _, fast := range []bool{false, true} {
		n := newNode(t, l, data, 16<<20)
		a, b := n.join(1, fast), n.join(2, fast)
		require.NoError(t, n.feed(a, peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0xf0}}, peerwire.Message{ID: peerwire.MsgUnchoke}))
		wanted := asked(n.sent(a))
		require.Len(t, wanted, 4)
		require.NoError(t, n.feed(a, peerwire.Message{ID: peerwire.MsgChoke}))
		st := n.g.Peers(nil, n.now)
		if !fast {
			require.Zero(t, st[0].Open, "a choke without BEP 6 clears what is wanted")
		} else {
			require.Equal(t, 4, st[0].Open, "with BEP 6 nothing is implied")
			for _, q := range wanted[:2] {
				require.NoError(t, n.feed(a, peerwire.Message{ID: peerwire.MsgReject, Index: q.Piece, Begin: q.Begin, Length: q.Length}))
			}
			require.Equal(t, 2, n.g.Peers(nil, n.now)[0].Open)
			n.tick(31 * time.Second)
			require.Zero(t, n.g.Peers(nil, n.now)[0].Open, "the rejects are not waited for longer")
		}
		require.NoError(t, n.feed(b, peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0xf0}}, peerwire.Message{ID: peerwire.MsgUnchoke}))
		require.ElementsMatch(t, wanted, asked(n.sent(b)))
	}
}

// TestP6_SnubbedPeer: who owes blocks for 22 s loses them to others, is wanted
// for one at a time, and is trusted again when one comes.
func TestP6_SnubbedPeer(t *testing.T) {
	l, data := flat(t, 64<<10, 1<<20)
	n := newNode(t, l, data, 16<<20)
	p := n.join(1, true)
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	require.Len(t, asked(n.sent(p)), startDepth)
	n.tick(21 * time.Second)
	require.False(t, n.g.Peers(nil, n.now)[0].Snubbed)
	n.g.Hold(p, true, n.now)
	n.tick(time.Hour)
	require.False(t, n.g.Peers(nil, n.now)[0].Snubbed, "we did not read: its clock stood still")
	n.g.Hold(p, false, n.now)
	n.tick(2 * time.Second)
	require.True(t, n.g.Peers(nil, n.now)[0].Snubbed)
	again := asked(n.sent(p))
	require.Len(t, again, 1)
	require.NoError(t, n.feed(p, n.block(again[0], data)))
	require.False(t, n.g.Peers(nil, n.now)[0].Snubbed)
}

// TestHashFailureBlames: one source is banned at once; of several none, and
// the piece comes from one of them alone the next time.
func TestHashFailureBlames(t *testing.T) {
	l, data := flat(t, 32<<10, 32<<10)
	n := newNode(t, l, data, 16<<20)
	bad := bytes.Repeat([]byte{0xaa}, len(data))
	liar, honest := n.join(1, true), n.join(2, true)
	for _, p := range []PeerID{liar, honest} {
		require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke}))
		n.sent(p)
	}
	b0, b1 := piece.Block{Length: 16 << 10}, piece.Block{Begin: 16 << 10, Length: 16 << 10}
	require.NoError(t, n.feed(liar, n.block(b0, bad)))
	require.NoError(t, n.feed(honest, n.block(b1, data)))
	require.Equal(t, 1, n.g.Stats(n.now).Counters.HashFails)
	require.Empty(t, n.bans)
	require.Zero(t, n.g.Stats(n.now).NumHave)

	wanted := asked(n.sent(liar))
	if len(wanted) == 0 {
		t.Fatal("nothing is wanted again")
	}
	require.Empty(t, asked(n.sent(honest)), "from one at a time")
	for _, q := range []piece.Block{b0, b1} {
		require.NoError(t, n.feed(liar, n.block(q, bad)))
	}
	require.Equal(t, []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, 1})}, n.bans)
	require.Contains(t, n.drops, Drop{liar, ErrBadData})
	n.g.Leave(liar, n.now, &n.eff)
	n.carry(&n.eff)
	for _, q := range asked(n.sent(honest)) {
		require.NoError(t, n.feed(honest, n.block(q, data)))
	}
	require.Zero(t, n.g.Stats(n.now).Left)
}

// TestHostileMessages: what drops the peer, and what is only ignored.
func TestHostileMessages(t *testing.T) {
	l, data := flat(t, 32<<10, 100_000) // 4 pieces, the last short
	for name, tc := range map[string]struct {
		msg  peerwire.Message
		fast bool
		drop bool
	}{
		"RW10 have out of range":         {peerwire.Message{ID: peerwire.MsgHave, Index: 4}, false, true},
		"RW10 have far out of range":     {peerwire.Message{ID: peerwire.MsgHave, Index: 1<<32 - 1}, false, true},
		"RW9 spare bits":                 {peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0xff}}, false, true},
		"RW9 bitfield too long":          {peerwire.Message{ID: peerwire.MsgBitfield, Data: []byte{0, 0}}, false, true},
		"RW12 request out of range":      {peerwire.Message{ID: peerwire.MsgRequest, Index: 4, Length: 1}, false, true},
		"RW12 request overflows":         {peerwire.Message{ID: peerwire.MsgRequest, Begin: 1<<32 - 1, Length: 1<<32 - 1}, false, true},
		"RW12 request of nothing":        {peerwire.Message{ID: peerwire.MsgRequest}, false, true},
		"RW13 request too long":          {peerwire.Message{ID: peerwire.MsgRequest, Length: 128<<10 + 1}, false, true},
		"RW14 request while choked":      {peerwire.Message{ID: peerwire.MsgRequest, Length: 1}, false, false},
		"RX10 fast without agreement":    {peerwire.Message{ID: peerwire.MsgHaveAll}, false, true},
		"RX10 reject of nothing":         {peerwire.Message{ID: peerwire.MsgReject, Length: 1}, true, true},
		"RX10 allowed fast out of range": {peerwire.Message{ID: peerwire.MsgAllowedFast, Index: 99}, true, true},
		"RW18 unasked block":             {peerwire.Message{ID: peerwire.MsgPiece, Length: 16 << 10, Data: data[:16<<10]}, false, false},
		"RW18 unasked block, BEP 6":      {peerwire.Message{ID: peerwire.MsgPiece, Length: 16 << 10, Data: data[:16<<10]}, true, true},
		"RW18 block too short":           {peerwire.Message{ID: peerwire.MsgPiece, Length: 10, Data: data[:10]}, false, true},
		"RW18 block at odd offset":       {peerwire.Message{ID: peerwire.MsgPiece, Begin: 1, Length: 16 << 10, Data: data[:16<<10]}, false, true},
		"RW18 block behind the end":      {peerwire.Message{ID: peerwire.MsgPiece, Index: 3, Begin: 16 << 10, Length: 16 << 10, Data: data[:16<<10]}, false, true},
		"RW16 cancel of nothing":         {peerwire.Message{ID: peerwire.MsgCancel, Length: 1}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, l, data, 16<<20)
			p := n.join(1, tc.fast)
			err := n.feed(p, tc.msg)
			if tc.drop {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
			}
			n.g.Leave(p, n.now, &n.eff)
			n.carry(&n.eff)
			for i := range 4 {
				require.Zero(t, n.g.s.picker.Availability(i))
			}
		})
	}
}

// TestWriteErrorBlamesNobody: the piece is missing again, the torrent has a
// fault, nothing more is asked; after Start it goes on.
func TestWriteErrorBlamesNobody(t *testing.T) {
	l, data := flat(t, 16<<10, 32<<10)
	n := newNode(t, l, data, 16<<20)
	n.slow = true
	p := n.join(1, true)
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	wanted := asked(n.sent(p))
	require.NoError(t, n.feed(p, n.block(wanted[0], data)))
	var j Job
	require.True(t, n.g.NextJob(&j))
	n.g.JobDone(&j, Result{OK: true, Err: bytes.ErrTooLarge}, n.now, &n.eff)
	n.carry(&n.eff)
	require.Equal(t, Faulted, n.events[len(n.events)-1].Kind)
	require.Empty(t, n.drops)
	require.NoError(t, n.feed(p, n.block(wanted[1], data)), "what is on its way is no offence")
	require.Empty(t, asked(n.sent(p)))
	require.Zero(t, n.g.Stats(n.now).NumHave)
	n.g.Start(n.now, &n.eff)
	n.carry(&n.eff)
	n.slow = false
	for _, q := range asked(n.sent(p)) {
		require.NoError(t, n.feed(p, n.block(q, data)))
	}
	require.Zero(t, n.g.Stats(n.now).Left)
}

// TestDuplicateConnections: of two connections to one peer, both sides keep
// the same one.
func TestDuplicateConnections(t *testing.T) {
	l, data := flat(t, 16<<10, 32<<10)
	n := newNode(t, l, data, 16<<20) // its id begins with 1
	id := Identity{Addr: netip.MustParseAddrPort("10.0.0.9:1"), ID: [20]byte{9}}
	_, err := n.g.Join(id, nil, n.now, &n.eff)
	require.NoError(t, err)
	_, err = n.g.Join(id, nil, n.now, &n.eff)
	require.ErrorIs(t, err, ErrDuplicate, "the same direction: the older stays")
	id.Outgoing = true
	_, err = n.g.Join(id, nil, n.now, &n.eff)
	require.ErrorIs(t, err, ErrDuplicate, "the other has the higher id: its own dial stays")
	id.ID = [20]byte{0, 5}
	id.Outgoing = false
	old, err := n.g.Join(id, nil, n.now, &n.eff)
	require.NoError(t, err)
	id.Outgoing = true
	_, err = n.g.Join(id, nil, n.now, &n.eff)
	require.NoError(t, err, "ours is higher: our dial stays")
	require.Contains(t, n.eff.Drop, Drop{old, ErrDuplicate})
}

// TestW10_FirstMessage and the haves that follow (W12).
func TestW10_FirstMessage(t *testing.T) {
	l, data := flat(t, 16<<10, 64<<10)
	empty, full := newNode(t, l, data, 16<<20), newNode(t, l, data, 16<<20)
	full.have(data)
	require.Empty(t, empty.kinds(empty.join(1, false)), "nothing without BEP 6")
	require.Equal(t, []peerwire.ID{peerwire.MsgHaveNone}, empty.kinds(empty.join(2, true)))
	require.Equal(t, []peerwire.ID{peerwire.MsgBitfield}, full.kinds(full.join(1, false)))
	require.Equal(t, []peerwire.ID{peerwire.MsgHaveAll}, full.kinds(full.join(2, true)))
}
