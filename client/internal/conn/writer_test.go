package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

var interested = peerwire.Message{ID: peerwire.MsgInterested}

// requests for n adjacent blocks from a piece on.
func requests(from, n int, pieceLength uint32) (msgs []peerwire.Message) {
	for i := range uint32(n) {
		at := uint32(from)*pieceLength + i*piece.BlockSize
		msgs = append(msgs, peerwire.Message{ID: peerwire.MsgRequest, Index: at / pieceLength, Begin: at % pieceLength, Length: piece.BlockSize})
	}
	return msgs
}

// TestRunsOfAdjacentBlocks: what is asked for in order is read with one read
// a run, over the ends of pieces too, and runs grow while the peer takes them
// quickly. What is not adjacent is another run.
func TestRunsOfAdjacentBlocks(t *testing.T) {
	const pieceLength, blocks = 64 << 10, 140
	data := random(200 * piece.BlockSize)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, pieceLength, int64(len(data)), data)
		copy(r.disk, data)
		r.complete()
		here, there := pair(t, simnet.New(simnet.Options{Window: 8 << 20}))
		_, ended := r.run(here, true)
		f := newFar(there)
		_, err := there.Write(stream(interested))
		require.NoError(t, err)
		_, err = f.await(peerwire.MsgUnchoke)
		require.NoError(t, err)
		asked := requests(0, blocks, pieceLength)
		asked = append(asked, requests(40, 3, pieceLength)...) // elsewhere
		_, err = there.Write(stream(asked...))
		require.NoError(t, err)
		for _, q := range asked {
			m, err := f.await(peerwire.MsgPiece)
			require.NoError(t, err)
			require.Equal(t, [2]uint32{q.Index, q.Begin}, [2]uint32{m.Index, m.Begin}, "in the order they were asked for")
			at := int(q.Index)*pieceLength + int(q.Begin)
			require.Equal(t, data[at:at+piece.BlockSize], m.Data)
		}
		synctest.Wait()
		var runs []int
		for _, n := range r.reads {
			runs = append(runs, n/piece.BlockSize)
		}
		t.Logf("blocks read at once: %v", runs)
		require.Equal(t, []int{4, 8, 16, 32, 64, 16, 3}, runs)
		require.EqualValues(t, len(asked)*piece.BlockSize, r.stats().Counters.Uploaded)
		require.Zero(t, r.env.Send.Used())
		there.Close()
		<-ended
		r.wg.Wait()
	})
}

// TestReadErrorGivesRejects: what can't be read is rejected to who understands
// that (BEP 6), and told to the torrent; the connection lives.
func TestReadErrorGivesRejects(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, fast := range []bool{true, false} {
		t.Run(fmt.Sprintf("fast=%v", fast), func(t *testing.T) {
			data := random(20 * piece.BlockSize)
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 64<<10, int64(len(data)), data)
				copy(r.disk, data)
				r.complete()
				here, there := pair(t, simnet.New(simnet.Options{}))
				c, ended := r.run(here, fast)
				f := newFar(there)
				there.Write(stream(interested))
				_, err := f.await(peerwire.MsgUnchoke)
				require.NoError(t, err)
				r.fail = broken
				asked := requests(0, 3, 64<<10)
				there.Write(stream(asked...))
				synctest.Wait()
				r.fail = nil
				require.Equal(t, []error{broken}, r.faults)
				require.NoError(t, c.reason)
				there.Write(stream(requests(1, 1, 64<<10)...))
				var ids []peerwire.ID
				for len(ids) == 0 || ids[len(ids)-1] != peerwire.MsgPiece {
					m, err := f.next()
					require.NoError(t, err)
					ids = append(ids, m.ID)
					if m.ID == peerwire.MsgReject {
						q := asked[len(ids)-1]
						require.Equal(t, q.Begin, m.Begin)
						require.Equal(t, q.Length, m.Length)
					}
				}
				rejects := slices.Repeat([]peerwire.ID{peerwire.MsgReject}, 3)
				if !fast {
					rejects = nil
				}
				require.Equal(t, append(rejects, peerwire.MsgPiece), ids)
				require.Zero(t, r.env.Send.Used())
				there.Close()
				<-ended
				r.wg.Wait()
			})
		})
	}
}

// TestPeerThatDoesNotRead: after two minutes of a write that does not move
// the connection ends, and its buffer comes back.
func TestPeerThatDoesNotRead(t *testing.T) {
	data := random(64 * piece.BlockSize)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 64<<10, int64(len(data)), data)
		copy(r.disk, data)
		r.complete()
		here, there := pair(t, simnet.New(simnet.Options{Window: 20000}))
		_, ended := r.run(here, true)
		f := newFar(there)
		there.Write(stream(interested))
		_, err := f.await(peerwire.MsgUnchoke)
		require.NoError(t, err)
		there.Write(stream(requests(0, 64, 64<<10)...))
		synctest.Wait()
		require.LessOrEqual(t, r.env.Send.Used(), int64(firstRun*piece.BlockSize))
		from := time.Now()
		require.ErrorIs(t, <-ended, errWriteTimeout)
		require.Equal(t, writeTimeout, time.Since(from))
		r.wg.Wait()
		require.Zero(t, r.env.Send.Used())
		there.Close()
	})
}

// TestControlBeforeBlocks (W9): a message of ours is not held up by what is
// queued.
func TestControlBeforeBlocks(t *testing.T) {
	data := random(400 * piece.BlockSize)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 64<<10, int64(len(data)), data)
		copy(r.disk, data)
		r.complete()
		here, there := pair(t, simnet.New(simnet.Options{Window: 100 << 10}))
		_, ended := r.run(here, true)
		f := newFar(there)
		there.Write(stream(interested))
		_, err := f.await(peerwire.MsgUnchoke)
		require.NoError(t, err)
		there.Write(stream(requests(0, 300, 64<<10)...))
		synctest.Wait()                                                                     // the window is full, most of it still queued
		there.Write(stream(peerwire.Message{ID: peerwire.MsgRequest, Index: 99, Length: 5}, // answered last
			peerwire.Message{ID: peerwire.MsgCancel, Index: 70, Length: piece.BlockSize})) // answered by a reject
		synctest.Wait()
		before := 0
		for {
			m, err := f.next()
			require.NoError(t, err)
			if m.ID == peerwire.MsgReject {
				break
			}
			before++
		}
		t.Logf("%d blocks came before the control message, of 300 queued", before)
		require.LessOrEqual(t, before, 3*firstRun, "the run under way, and no more")
		there.Close()
		<-ended
		r.wg.Wait()
	})
}

// sink is a connection that takes everything.
type sink struct {
	net.Conn
	bytes int64
}

func (s *sink) Write(b []byte) (int, error)      { s.bytes += int64(len(b)); return len(b), nil }
func (s *sink) Close() error                     { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// served is a rig that has everything, and a peer that is unchoked.
func served(t testing.TB) (*rig, *Conn, *sink) {
	r := newRig(t, 256<<10, 64<<20, nil)
	r.inline = true
	r.complete()
	s := new(sink)
	c := r.join(s, true)
	var st swarm.Step
	_, err := r.env.Swarm.Batch(c.ID(), time.Now(), []peerwire.Message{interested}, &st)
	require.NoError(t, err)
	r.carry(&st.Effects, c)
	return r, c, s
}

// TestNoAllocsWriter: taking requests, reading a run and sending it allocate
// nothing in the steady state.
func TestNoAllocsWriter(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	r, c, s := served(t)
	const blocks = 64
	msgs := requests(0, blocks, 256<<10)
	var st swarm.Step
	turn := func() {
		st.Reset()
		if n, err := r.env.Swarm.Batch(c.ID(), time.Now(), msgs, &st); n != blocks || err != nil {
			panic(fmt.Sprint(n, err))
		}
		r.carry(&st.Effects, c)
	}
	for range 20 {
		turn()
	}
	before := s.bytes
	allocs := testing.AllocsPerRun(100, turn)
	require.EqualValues(t, 101*blocks*(piece.BlockSize+peerwire.PieceHeaderLen), s.bytes-before)
	t.Logf("%.4f allocations a block", allocs/blocks)
	if !raceEnabled {
		require.Less(t, allocs/blocks, 0.02)
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, n := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("run=%d", n), func(b *testing.B) {
			r, c, _ := served(b)
			msgs := requests(0, n, 256<<10)
			var st swarm.Step
			b.SetBytes(int64(n) * piece.BlockSize)
			b.ReportAllocs()
			for b.Loop() {
				st.Reset()
				if _, err := r.env.Swarm.Batch(c.ID(), time.Now(), msgs, &st); err != nil {
					b.Fatal(err)
				}
				r.carry(&st.Effects, c)
			}
		})
	}
}

var _ io.ReaderAt = (*rig)(nil)
