package piece

import (
	"fmt"
	"testing"
	"time"
)

// crowd is a torrent with peers of all kinds: seeds, peers with half, with few.
func crowd(pieces, peers int) (*Picker, []*Asker) {
	rnd := newRand(1)
	p := NewPicker(even{pieces, 64 * BlockSize}, rnd)
	p.SetHave(0)
	askers := make([]*Asker, peers)
	for k := range askers {
		a := &Asker{ID: PeerID(k+1)<<32 | 1}
		if k%10 == 0 {
			p.AddSeed()
		} else {
			a.Has = NewBitfield(pieces)
			share := []int{3, 20, 50, 80, 97}[k%5]
			for i := range pieces {
				if rnd.IntN(100) < share {
					a.Has.Set(i)
				}
			}
			p.AddPeer(a.Has)
		}
		askers[k] = a
	}
	return p, askers
}

// benchmarkPick is a block's way through the picker: chosen, received, and its
// piece had; an operation is a block. Every asker has a pipeline of 32.
func benchmarkPick(b *testing.B, pieces, peers, n int, setUp func(o Order)) {
	p, askers := crowd(pieces, peers)
	setUp(p.Order())
	queues := make([][]Block, len(askers))
	for k, a := range askers {
		queues[k] = p.Next(a, 32, nil)
		a.Rate = int64(k+1) << 14
	}
	dst := make([]Block, 0, n)
	b.ReportAllocs()
	b.ResetTimer()
	for done, k := 0, 0; done < b.N; k = (k + 1) % len(askers) {
		a, q := askers[k], queues[k]
		for _, bl := range q[:min(n, len(q))] {
			p.Receive(a.ID, bl)
			if i := int(bl.Piece); p.Complete(i) {
				p.SetHave(i)
				p.AddHave(i)
			}
		}
		rest := copy(q, q[min(n, len(q)):])
		a.Open = rest
		dst = p.Next(a, n, dst[:0])
		queues[k] = append(q[:rest], dst...)
		done += n
		if p.NumNeeded() < pieces/10 {
			b.StopTimer()
			for i := 1; i < pieces; i++ {
				p.ClearHave(i)
			}
			b.StartTimer()
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, size := range []struct{ pieces, peers int }{{1000, 50}, {10000, 100}, {100000, 200}, {1000000, 200}} {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprintf("pieces=%d/peers=%d/n=%d/rule=rarest", size.pieces, size.peers, n), func(b *testing.B) {
				benchmarkPick(b, size.pieces, size.peers, n, func(Order) {})
			})
		}
	}
	for _, r := range rules {
		b.Run("pieces=100000/peers=200/n=1/rule="+r.name, func(b *testing.B) {
			benchmarkPick(b, 100000, 200, 1, r.setUp)
		})
	}
}

// rules are other orders than rarest first, at 100,000 pieces.
var rules = []struct {
	name  string
	setUp func(o Order)
}{
	{"priorities", func(o Order) {
		o.SetPriority(20000, 30000, 6)
		o.SetPriority(60000, 80000, 2)
	}},
	{"order", func(o Order) { o.SetStrategy(InOrder{}) }},
	{"random", func(o Order) { o.SetStrategy(RandomOrder{}) }},
	{"finish", func(o Order) {
		o.SetFinish(FinishLog, []File{{0, 50000, 64 * BlockSize, 50000 * 64 * BlockSize}, {50000, 100000, 64 * BlockSize, 50000 * 64 * BlockSize}})
	}},
	{"deadlines", func(o Order) {
		window := make([]Deadline, 64)
		for k := range window {
			window[k] = Deadline{1000 + k, time.Duration(k+1) * time.Hour}
		}
		o.SetDeadlines(window)
	}},
}

// BenchmarkEndgame is a block received in the endgame and the next chosen,
// with its cancels.
func BenchmarkEndgame(b *testing.B) {
	const pieces, peers, pipeline = 200, 200, 64
	b.Run(fmt.Sprintf("blocks=%d/peers=%d", pieces*64, peers), func(b *testing.B) {
		var p *Picker
		queues := make([][]Block, peers)
		ids := make([]PeerID, 0, peers)
		dst := make([]Block, 0, 1)
		k := 0
		for b.Loop() {
			if p == nil || p.NumNeeded() == 0 {
				p = NewPicker(even{pieces, 64 * BlockSize}, newRand(1))
				for k := range queues {
					queues[k] = p.Next(&Asker{ID: PeerID(k)}, pipeline, queues[k][:0])
				}
			}
			for len(queues[k]) == 0 {
				k = (k + 1) % peers
			}
			bl := queues[k][0]
			queues[k] = queues[k][1:]
			if p.Receive(PeerID(k), bl) {
				ids = p.Askers(ids[:0], bl)
				for _, id := range ids {
					p.Release(id, bl)
				}
				if p.Complete(int(bl.Piece)) {
					p.SetHave(int(bl.Piece))
				}
			}
			dst = p.Next(&Asker{ID: PeerID(k)}, 1, dst[:0])
			queues[k] = append(queues[k], dst...)
			k = (k + 1) % peers
		}
	})
}

// BenchmarkBarren asks for a peer that has nothing we need.
func BenchmarkBarren(b *testing.B) {
	b.Run("pieces=100000/peers=200", func(b *testing.B) {
		p, _ := crowd(100000, 200)
		a := &Asker{ID: 7, Has: setOf(100000, 0)}
		for b.Loop() {
			p.Next(a, 1, nil)
		}
	})
}

func BenchmarkHave(b *testing.B) {
	have := func(b *testing.B, pieces int, setUp func(o Order)) {
		p, askers := crowd(pieces, 200)
		setUp(p.Order())
		p.Next(askers[0], 1, nil)
		rnd := newRand(2)
		which := make([]int, 1<<16)
		for k := range which {
			which[k] = rnd.IntN(pieces)
		}
		b.ReportAllocs()
		for k := 0; b.Loop(); k++ {
			i := which[k%len(which)]
			if k/len(which)%2 == 0 {
				p.AddHave(i)
			} else {
				p.DropHave(i)
			}
		}
	}
	for _, pieces := range []int{1000, 10000, 100000, 1000000} {
		b.Run(fmt.Sprintf("pieces=%d/peers=200/rule=rarest", pieces), func(b *testing.B) { have(b, pieces, func(Order) {}) })
	}
	for _, r := range rules[:3] {
		b.Run("pieces=100000/peers=200/rule="+r.name, func(b *testing.B) { have(b, 100000, r.setUp) })
	}
}

// BenchmarkPriority is a file's priority changed, and the order computed anew.
func BenchmarkPriority(b *testing.B) {
	const pieces = 100000
	b.Run(fmt.Sprintf("pieces=%d/peers=200", pieces), func(b *testing.B) {
		p, _ := crowd(pieces, 200)
		b.ReportAllocs()
		for k := 0; b.Loop(); k++ {
			p.Order().SetPriority(10000, 60000, 1+uint8(k%7))
			p.avail.sorted()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pieces, "ns/piece")
	})
}

// BenchmarkPeerJoin is a peer coming and going; order=sorted with a pick behind
// each, which sorts the pieces anew.
func BenchmarkPeerJoin(b *testing.B) {
	join := func(b *testing.B, pieces, share int, sorted bool, setUp func(o Order)) {
		p, _ := crowd(pieces, 200)
		setUp(p.Order())
		rnd := newRand(3)
		has := NewBitfield(pieces)
		for i := range pieces {
			if rnd.IntN(100) < share {
				has.Set(i)
			}
		}
		b.ReportAllocs()
		for b.Loop() {
			p.AddPeer(has)
			if sorted {
				p.avail.sorted()
			}
			p.RemovePeer(has)
			if sorted {
				p.avail.sorted()
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2/float64(pieces), "ns/piece")
	}
	for _, pieces := range []int{1000, 10000, 100000, 1000000} {
		b.Run(fmt.Sprintf("pieces=%d/peers=200/has=50%%/order=counted", pieces), func(b *testing.B) {
			join(b, pieces, 50, false, func(Order) {})
		})
	}
	b.Run("pieces=100000/peers=200/has=100%/order=counted", func(b *testing.B) { join(b, 100000, 100, false, func(Order) {}) })
	b.Run("pieces=100000/peers=200/has=50%/order=sorted", func(b *testing.B) { join(b, 100000, 50, true, func(Order) {}) })
	b.Run("pieces=100000/peers=200/has=50%/order=sorted/rule=priorities", func(b *testing.B) {
		join(b, 100000, 50, true, rules[0].setUp)
	})
}

// BenchmarkNew is a torrent opened and its first block chosen.
func BenchmarkNew(b *testing.B) {
	for _, pieces := range []int{1000, 2 << 20} {
		b.Run(fmt.Sprintf("pieces=%d", pieces), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NewPicker(even{pieces, BlockSize}, newRand(1)).Next(&Asker{ID: 1}, 1, nil)
			}
		})
	}
}
