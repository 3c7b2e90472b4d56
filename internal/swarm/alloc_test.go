package swarm

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// pump is a peer that answers every request, through the doors as reader,
// writer and worker use them.
type pump struct {
	n    *node
	p    PeerID
	data []byte
	out  Out
	step Step
	msgs []peerwire.Message
	job  Job
}

func newPump(t testing.TB, l int64, pieceLength int64) *pump {
	layout, err := metainfo.NewLayout(pieceLength, []metainfo.File{{Path: []string{"f"}, Length: l}})
	require.NoError(t, err)
	// Nobody looks at what a pump sends: neither data nor sums are worth the time.
	data := make([]byte, l)
	n := newNodeOf(t, Content{Layout: layout, Sums: make([]byte, 20*layout.NumPieces())}, 64<<20)
	u := &pump{n: n, p: n.join(1, true), data: data}
	require.NoError(t, n.feed(u.p, peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	n.g.ExtHandshake(u.p, peerwire.ExtHandshake{ReqQ: 1024}, n.now, &n.eff)
	return u
}

// ask takes what is asked now and makes the answers ready.
func (u *pump) ask() {
	u.msgs = u.msgs[:0]
	for u.n.g.Fill(u.p, u.n.now, 64, &u.out) {
		b := u.out.Control
		for len(b) > 0 {
			var m peerwire.Message
			k, _ := u.n.limits.Next(b, &m)
			if m.ID == peerwire.MsgRequest {
				u.msgs = append(u.msgs, u.n.block(piece.Block{Piece: m.Index, Begin: m.Begin, Length: m.Length}, u.data))
			}
			b = b[k:]
		}
	}
}

// land hands in up to n of the messages and returns the rest.
func (u *pump) land(rest []peerwire.Message, n int) []peerwire.Message {
	u.step.Reset()
	k, err := u.n.g.Batch(u.p, u.n.now, rest[:min(n, len(rest))], &u.step)
	if err != nil || k == 0 {
		panic("the pump is stuck")
	}
	u.n.g.Landed(u.step.Claims, u.n.now, &u.step.Effects)
	return rest[k:]
}

func (u *pump) work() bool {
	if !u.n.g.NextJob(&u.job) {
		return false
	}
	u.n.g.JobDone(&u.job, Result{OK: true}, u.n.now, &u.step.Effects)
	return true
}

// turn answers what is asked now; it reports how many blocks that was.
func (u *pump) turn() int {
	u.ask()
	for rest := u.msgs; len(rest) > 0; {
		rest = u.land(rest, 16)
		for u.work() {
		}
	}
	return len(u.msgs)
}

// TestNoAllocsPerBlock: claim, landing, verification, requests and haves
// allocate nothing in the steady state: the least of several rounds is zero.
// (Now and then a table of the picker or the log of haves grows to twice its
// size; no round of a thousand blocks needs more than a few of these.)
func TestNoAllocsPerBlock(t *testing.T) {
	for _, length := range []int64{256 << 10, 1 << 20, 4 << 20} {
		t.Run(fmt.Sprintf("piece=%dKiB", length>>10), func(t *testing.T) {
			u := newPump(t, 512<<20, length)
			for range 12 {
				u.turn()
			}
			blocks, least, most := 0, math.Inf(1), 0.0
			for range 8 {
				allocs := testing.AllocsPerRun(1, func() { blocks = u.turn() })
				least, most = min(least, allocs), max(most, allocs)
			}
			require.Greater(t, blocks, 200)
			require.Zero(t, least)
			require.LessOrEqual(t, most, 4.0)
		})
	}
}

// TestNoAllocsByDoor looks at each door of the hot path alone.
func TestNoAllocsByDoor(t *testing.T) {
	u := newPump(t, 512<<20, 256<<10)
	for range 12 { // all blocks of a round, then all jobs: as many slabs as below
		u.ask()
		for rest := u.msgs; len(rest) > 0; {
			rest = u.land(rest, 16)
		}
		for u.work() {
		}
	}
	sample := func(f func()) float64 { // the least: growth of tables apart
		least := math.Inf(1)
		for range 4 {
			least = min(least, testing.AllocsPerRun(1, f))
		}
		return least
	}
	u.ask()
	rest := u.msgs
	require.Zero(t, sample(func() { rest = u.land(rest, 16) }), "Batch and Landed")
	require.Zero(t, sample(func() {
		if !u.work() {
			t.Fatal("no job")
		}
	}), "NextJob and JobDone")
	for len(rest) > 0 {
		rest = u.land(rest, 16)
	}
	for u.work() {
	}
	require.Zero(t, sample(u.ask), "Fill")
	require.Zero(t, sample(func() {
		for range 100 {
			u.step.Reset()
			u.n.now = u.n.now.Add(time.Millisecond)
			u.n.g.Tick(u.n.now, &u.step.Effects)
		}
	}), "Tick")
}

// TestNoAllocsUpload: a request queued and handed to the writer.
func TestNoAllocsUpload(t *testing.T) {
	l, data := flat(t, 64<<10, 1<<20)
	n := newNode(t, l, data, 16<<20)
	n.have(data)
	p := n.join(1, true)
	require.NoError(t, n.feed(p, peerwire.Message{ID: peerwire.MsgHaveNone}, peerwire.Message{ID: peerwire.MsgInterested}))
	n.sent(p)
	var st Step
	var out Out
	msgs := make([]peerwire.Message, 64)
	for i := range msgs {
		msgs[i] = peerwire.Message{ID: peerwire.MsgRequest, Index: uint32(i / 4), Begin: uint32(i % 4 << 14), Length: 1 << 14}
	}
	blocks := 0
	require.Zero(t, testing.AllocsPerRun(20, func() {
		st.Reset()
		if _, err := n.g.Batch(p, n.now, msgs, &st); err != nil {
			panic(err)
		}
		blocks = 0
		for n.g.Fill(p, n.now, 64, &out) {
			blocks += len(out.Run)
		}
		n.now = n.now.Add(time.Millisecond)
		n.g.Tick(n.now, &st.Effects)
	}))
	require.Equal(t, 64, blocks)
}

func BenchmarkBlock(b *testing.B) {
	for _, tc := range []struct {
		name   string
		length int64
	}{{"piece=256KiB", 256 << 10}, {"piece=1MiB", 1 << 20}, {"piece=4MiB", 4 << 20}} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			var u *pump
			for b.Loop() {
				if n == 0 {
					b.StopTimer()
					u = newPump(b, 512<<20, tc.length)
					n = u.turn()
					b.StartTimer()
				}
				if n--; n == 0 {
					n = u.turn()
				}
			}
			b.SetBytes(piece.BlockSize)
		})
	}
}
