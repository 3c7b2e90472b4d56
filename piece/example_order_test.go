package piece_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed1734be99/starling/piece"
)

// begun prints the pieces of blocks in the order in which they were chosen.
func begun(bs []piece.Block) {
	var pieces []uint32
	for _, b := range bs {
		pieces = append(pieces, b.Piece)
	}
	fmt.Println(slices.Compact(pieces))
}

// A torrent of two files: pieces 0 to 4, and 4 to 9. Piece 4 has bytes of both.
// The second file is wanted first, the first one not at all at the moment.
func ExampleOrder_SetPriority() {
	p := piece.NewPicker(layout(10), rand.New(rand.NewPCG(1, 2)))
	o := p.Order()
	o.SetPriority(0, 5, piece.NotWanted)
	o.SetPriority(4, 10, piece.TopPriority) // the higher one of two files counts
	fmt.Println("needed", p.NumNeeded())

	o.SetPriority(0, 4, piece.LowestPriority) // wanted, when there is nothing else
	o.SetPriority(9, 10, piece.NormalPriority)
	got := p.Next(&piece.Asker{ID: 1}, 20, nil)
	fmt.Println("before the last five:", got[10].Piece)
	// Output:
	// needed 6
	// before the last five: 9
}

// Sequential mode.
func ExampleInOrder() {
	p := piece.NewPicker(layout(5), rand.New(rand.NewPCG(1, 2)))
	p.Order().SetStrategy(piece.InOrder{})
	begun(p.Next(&piece.Asker{ID: 1}, 10, nil))
	// Output:
	// [0 1 2 3 4]
}

// A rule of one's own: the ends of the torrent first, where containers of
// films keep their index, then the rarest.
func ExampleStrategy() {
	ends := piece.StrategyFunc(func(i int, v piece.View) int32 {
		if i == 0 || i == v.Pieces-1 {
			return 0
		}
		return int32(1 + v.Peers)
	})
	p := piece.NewPicker(layout(5), rand.New(rand.NewPCG(1, 2)))
	p.Order().SetStrategy(ends)
	common := piece.NewBitfield(5)
	common.Set(1)
	common.Set(3)
	p.AddPeer(common)
	begun(p.Next(&piece.Asker{ID: 1}, 6, nil))
	// Output:
	// [4 0 2]
}

// Somebody reads from piece 2 on, one piece a second.
func ExampleOrder_SetDeadlines() {
	p := piece.NewPicker(layout(50), rand.New(rand.NewPCG(1, 2)))
	p.Order().SetDeadlines([]piece.Deadline{
		{Piece: 2, At: 10 * time.Second},
		{Piece: 3, At: 11 * time.Second},
		{Piece: 4, At: 12 * time.Second},
	})
	quick := &piece.Asker{ID: 1, Now: 9 * time.Second, Rate: 1 << 20}
	slow := &piece.Asker{ID: 2, Now: 9 * time.Second, Rate: 8 << 10} // 2 s a block
	begun(p.Next(quick, 1, nil))
	begun(p.Next(slow, 1, nil)) // what it can send in time
	begun(p.Next(quick, 4, nil))
	// Output:
	// [2]
	// [3]
	// [2 3 4]
}

// A seed that has to send each piece but once.
func ExampleSuperSeed() {
	s := piece.NewSuperSeed(100, rand.New(rand.NewPCG(1, 2)))
	one, other := piece.NewBitfield(100), piece.NewBitfield(100)
	s.Join(1, one)
	s.Join(2, other)
	i, _ := s.Reveal(1, one) // tell peer 1 that we have it; it asks for it

	one.Set(i) // peer 1 says that it has got it
	s.Seen(nil, 1, i)
	_, more := s.Reveal(1, one)
	fmt.Println("another at once:", more)

	other.Set(i) // peer 2 has it from peer 1
	for _, id := range s.Seen(nil, 2, i) {
		_, more = s.Reveal(id, one)
		fmt.Println("another for peer", id, more)
	}
	fmt.Println("left", s.Left())
	// Output:
	// another at once: false
	// another for peer 1 true
	// left 99
}
