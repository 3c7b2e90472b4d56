package conn

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// TestC8_NothingIsForgotten: peers ask in random portions and cancel some of
// it, while the limits that they share come, change and go. Every request is
// answered once, by a block or a reject (BEP 6), and in the end no writer is
// left and nobody stands in line.
func TestC8_NothingIsForgotten(t *testing.T) {
	const peers, each = 6, 120
	data := random(4 << 20)
	rates := []int64{0, 0, 30 << 10, 300 << 10, 3 << 20}
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var torrent, whole Gate
				var own PeerLimits
				var rigs []*rig
				var wg sync.WaitGroup
				answered := make([]int, peers)
				for i := range peers {
					r := newRig(t, 256<<10, int64(len(data)), data)
					copy(r.disk, data)
					r.complete()
					r.env.Up, r.env.Peers = [2]*Gate{&torrent, &whole}, &own
					rigs = append(rigs, r)
					near, other := net.Pipe()
					_, ended := r.run(near, true)
					wg.Go(func() {
						answered[i] = greedy(other, rand.New(rand.NewPCG(seed, uint64(i))), each)
						other.Close()
						<-ended
					})
				}
				rnd := rand.New(rand.NewPCG(seed, 99))
				for range 40 {
					time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
					switch rate := rates[rnd.IntN(len(rates))]; rnd.IntN(3) {
					case 0:
						torrent.Set(rate)
					case 1:
						whole.Set(rate)
					default:
						own.Set(rate, rate)
					}
				}
				wg.Wait()
				for i, r := range rigs {
					r.wg.Wait()
					require.Equal(t, each, answered[i])
					require.Zero(t, r.env.Send.Used())
				}
				require.Empty(t, torrent.line)
				require.Empty(t, whole.line)
				require.Empty(t, own.conns)
			})
		})
	}
}

// greedy makes so many requests, and returns how many were answered within ten
// minutes.
func greedy(nc net.Conn, rnd *rand.Rand, requests int) (answers int) {
	f := newFar(nc)
	go nc.Write(stream(interested))
	if _, err := f.await(peerwire.MsgUnchoke); err != nil {
		return 0
	}
	go func() {
		for asked := 0; asked < requests; {
			var msgs []peerwire.Message
			for range min(1+rnd.IntN(20), requests-asked) {
				m := request(asked/16%16, asked%16)
				if rnd.IntN(8) == 0 {
					m.Length = 2 * piece.BlockSize
					m.Begin = min(m.Begin, 14*piece.BlockSize)
				}
				msgs = append(msgs, m)
				if rnd.IntN(4) == 0 {
					msgs = append(msgs, cancelOf(m))
				}
				asked++
			}
			if _, err := nc.Write(stream(msgs...)); err != nil {
				return
			}
			if rnd.IntN(3) == 0 {
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
			}
		}
	}()
	nc.SetReadDeadline(time.Now().Add(10 * time.Minute))
	for answers < requests {
		m, err := f.next()
		if err != nil {
			return answers
		}
		if m.ID == peerwire.MsgPiece || m.ID == peerwire.MsgReject {
			answers++
		}
	}
	return answers
}

// TestC8_WhoDoesNotReadLosesItsPlace: a peer at the head of a limit's line has
// control to take, and does not read: the others go on.
func TestC8_WhoDoesNotReadLosesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := random(4 << 20)
		var whole Gate
		whole.Set(64 << 10)
		meet := func() (nc net.Conn, f *far, ended <-chan error) {
			r := newRig(t, 256<<10, int64(len(data)), data)
			copy(r.disk, data)
			r.complete()
			r.env.Up = [2]*Gate{nil, &whole}
			near, other := net.Pipe()
			_, ended = r.run(near, true)
			f = newFar(other)
			go other.Write(stream(interested))
			_, err := f.await(peerwire.MsgUnchoke)
			require.NoError(t, err)
			return other, f, ended
		}
		ask := func(nc net.Conn, piece int) {
			var msgs []peerwire.Message
			for k := range 16 {
				msgs = append(msgs, request(piece, k))
			}
			go nc.Write(stream(msgs...))
		}
		bad, fromBad, badEnded := meet()
		good, fromGood, goodEnded := meet()
		ask(bad, 0)
		for range 2 { // then its writer waits for the limit
			_, err := fromBad.await(peerwire.MsgPiece)
			require.NoError(t, err)
		}
		go bad.Write(stream(cancelOf(request(0, 15)))) // which is answered by a reject, that nobody reads
		synctest.Wait()
		began := time.Now()
		ask(good, 1)
		for range 8 {
			_, err := fromGood.await(peerwire.MsgPiece)
			require.NoError(t, err)
		}
		require.Less(t, time.Since(began), 4*time.Second, "128 KiB at 64 KiB/s")
		bad.Close()
		good.Close()
		<-badEnded
		<-goodEnded
	})
}

// TestC8_ARaisedPaceEndsAWait: the choking strategy lets a peer have more than
// before, while its writer waits for the old rate.
func TestC8_ARaisedPaceEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := random(1 << 20)
		r := newRig(t, 256<<10, int64(len(data)), data)
		copy(r.disk, data)
		r.complete()
		near, other := net.Pipe()
		_, ended := r.run(near, true)
		f := newFar(other)
		go other.Write(stream(interested))
		_, err := f.await(peerwire.MsgUnchoke)
		require.NoError(t, err)
		r.pace(200)
		var msgs []peerwire.Message
		for k := range 16 {
			msgs = append(msgs, request(0, k))
		}
		go other.Write(stream(msgs...))
		var last atomic.Int64 // in nanoseconds, when a block came
		go func() {
			for m, err := f.next(); err == nil; m, err = f.next() {
				if m.ID == peerwire.MsgPiece {
					last.Store(time.Now().UnixNano())
				}
			}
		}()
		time.Sleep(time.Second)
		r.pace(0)
		raised := time.Now()
		time.Sleep(10 * time.Minute)
		require.Less(t, time.Unix(0, last.Load()).Sub(raised), time.Second)
		other.Close()
		<-ended
	})
}

// pace makes a choking round that unchokes everybody, each at a rate.
func (r *rig) pace(rate int64) {
	round := choke.Round{Now: time.Now(), Rand: rand.New(rand.NewPCG(3, 4))}
	n := r.env.Swarm.Snapshot(&round, round.Now)
	var d choke.Decision
	for _, p := range round.Peers {
		d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID, MaxRate: rate})
	}
	var eff swarm.Effects
	r.env.Swarm.Apply(n, d, time.Now(), &eff)
	r.carry(&eff, nil)
}
