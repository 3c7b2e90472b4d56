package swarm

import (
	"testing"

	"github.com/stretchr/testify/require"

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
	layout, data := flat(t, pieceLength, l)
	n := newNode(t, layout, data, 64<<20)
	u := &pump{n: n, p: n.join(1, true), data: data}
	require.NoError(t, n.feed(u.p, peerwire.Message{ID: peerwire.MsgHaveAll}, peerwire.Message{ID: peerwire.MsgUnchoke}))
	n.g.ExtHandshake(u.p, peerwire.ExtHandshake{ReqQ: 1024}, n.now, &n.eff)
	return u
}

// turn answers what is asked now; it reports how many blocks that was.
func (u *pump) turn() int {
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
	for rest := u.msgs; len(rest) > 0; {
		u.step.Reset()
		k, err := u.n.g.Batch(u.p, u.n.now, rest[:min(16, len(rest))], &u.step)
		if err != nil || k == 0 {
			panic("the pump is stuck")
		}
		u.n.g.Landed(u.step.Claims, u.n.now, &u.step.Effects)
		rest = rest[k:]
		for u.n.g.NextJob(&u.job) {
			u.n.g.JobDone(&u.job, Result{OK: true}, u.n.now, &u.step.Effects)
		}
	}
	return len(u.msgs)
}

// TestNoAllocsPerBlock: claim, landing, verification, requests and haves
// allocate nothing in the steady state.
func TestNoAllocsPerBlock(t *testing.T) {
	u := newPump(t, 512<<20, 256<<10)
	for range 12 {
		u.turn()
	}
	blocks := 0
	allocs := testing.AllocsPerRun(20, func() { blocks = u.turn() })
	require.Greater(t, blocks, 200)
	require.Less(t, allocs/float64(blocks), 0.01, "%v allocations in %d blocks", allocs, blocks)
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
