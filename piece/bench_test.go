package piece

import (
	"fmt"
	"testing"
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

// BenchmarkPick is a block's way through the picker: chosen, received, and its
// piece had; an operation is a block. Every asker has a pipeline of 32.
func BenchmarkPick(b *testing.B) {
	for _, size := range []struct{ pieces, peers int }{{1000, 50}, {100000, 200}} {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprintf("pieces=%d/peers=%d/n=%d", size.pieces, size.peers, n), func(b *testing.B) {
				p, askers := crowd(size.pieces, size.peers)
				queues := make([][]Block, len(askers))
				for k, a := range askers {
					queues[k] = p.Next(a, 32, nil)
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
					dst = p.Next(a, n, dst[:0])
					queues[k] = append(q[:rest], dst...)
					done += n
					if p.NumNeeded() < size.pieces/10 {
						b.StopTimer()
						for i := 1; i < size.pieces; i++ {
							p.ClearHave(i)
						}
						b.StartTimer()
					}
				}
			})
		}
	}
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
	b.Run("pieces=100000/peers=200", func(b *testing.B) {
		p, askers := crowd(100000, 200)
		p.Next(askers[0], 1, nil)
		rnd := newRand(2)
		which := make([]int, 1<<16)
		for k := range which {
			which[k] = rnd.IntN(100000)
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
	})
}

// BenchmarkPeerJoin is a peer coming and going; rank=sorted with a pick behind
// each, which sorts the pieces anew.
func BenchmarkPeerJoin(b *testing.B) {
	const pieces = 100000
	for _, sorted := range []bool{false, true} {
		name := "counted"
		if sorted {
			name = "sorted"
		}
		for _, share := range []int{50, 100} {
			b.Run(fmt.Sprintf("pieces=%d/peers=200/has=%d%%/order=%s", pieces, share, name), func(b *testing.B) {
				p, _ := crowd(pieces, 200)
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
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2/pieces, "ns/piece")
			})
		}
	}
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
