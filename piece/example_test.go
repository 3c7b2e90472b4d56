package piece_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/seed1734be99/starling/piece"
)

// layout is a torrent of pieces of 32 KiB; metainfo.Layout is one from life.
type layout int

func (l layout) NumPieces() int      { return int(l) }
func (l layout) PieceSize(int) int64 { return 32 << 10 }

// A piece's life: chosen, asked for, received, hashed, had.
func Example() {
	p := piece.NewPicker(layout(3), rand.New(rand.NewPCG(1, 2)))
	peer := &piece.Asker{ID: 1, Has: piece.NewBitfield(3)}
	peer.Has.Set(2)
	p.AddPeer(peer.Has)

	for _, b := range p.Next(peer, 8, nil) {
		fmt.Println("request", b)
		// Send the request; when its answer comes:
		p.Receive(peer.ID, b)
	}
	if p.Complete(2) {
		p.SetHave(2) // once it is hashed and written; else Fail
	}
	fmt.Println("have", p.NumHave(), "need", p.NumNeeded())
	// Output:
	// request 2:0+16384
	// request 2:16384+16384
	// have 1 need 2
}

// In the endgame a block is asked of several peers. When it arrives the others
// are sent cancels.
func ExamplePicker_Askers() {
	p := piece.NewPicker(layout(1), rand.New(rand.NewPCG(1, 2)))
	p.AddSeed()
	p.AddSeed()
	first := p.Next(&piece.Asker{ID: 1}, 2, nil)
	p.Next(&piece.Asker{ID: 2}, 2, nil)
	fmt.Println("endgame", p.Endgame())

	b := first[0]
	fmt.Println("first", p.Receive(2, b))
	for _, id := range p.Askers(nil, b) {
		fmt.Println("cancel", b, "at", id)
		p.Release(id, b)
	}
	// Output:
	// endgame true
	// first true
	// cancel 0:0+16384 at 1
}

// A bitfield message is checked before it is kept.
func ExampleFromWire() {
	b, err := piece.FromWire([]byte{0xa0}, 3)
	fmt.Println(b.Has(0), b.Has(1), b.Has(2), err)
	_, err = piece.FromWire([]byte{0xa1}, 3)
	fmt.Println(err)
	// Output:
	// true false true <nil>
	// piece: bad bitfield: spare bits are set
}

func ExampleBitfield_CountAndNot() {
	theirs, ours := piece.NewBitfield(10), piece.NewBitfield(10)
	theirs.Set(3)
	theirs.Set(7)
	ours.Set(7)
	fmt.Println(theirs.CountAndNot(ours), "to want")
	// Output: 1 to want
}
