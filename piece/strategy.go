package piece

import "fmt"

// Strategy is the order in which pieces are begun: a rule of one's own in the
// place of rarest first. Set it with [Order.SetStrategy].
//
// Rank is piece i's place: lower is sooner, equal ranks are drawn at random,
// a negative rank counts as 0. It depends on its arguments and on constants
// alone, as ranks are kept: it is called for a piece when one more or one less
// peer has it, and for all pieces when peers with many pieces or seeds come or
// go, or [Order.Refresh] is called. It runs inside of the picker and so must
// be quick, and must not call it. If it panics, rarest first takes over and
// [Order.Fault] says why.
//
// What stays outside of a strategy: priorities and deadlines, which are the
// user's; that what was begun is finished (see [Strict]); the endgame.
type Strategy interface {
	Rank(i int, v View) int32
}

// Strict is a power that a Strategy may have. One whose Strict returns true is
// followed to the letter: a piece that was begun is preferred among pieces of
// equal rank only, and there is no special rule for seeders and slow peers.
type Strict interface{ Strict() bool }

// View is what a Strategy is told about a piece.
type View struct {
	Peers  int   // how many connected peers have it, seeds among them
	Seeds  int   // how many connected peers have everything
	Had    int   // how many pieces we have; may be some pieces behind
	Pieces int   // in the torrent
	Size   int64 // of the piece, in bytes
}

// StrategyFunc makes a function a Strategy.
type StrategyFunc func(i int, v View) int32

// Rank calls f.
func (f StrategyFunc) Rank(i int, v View) int32 { return f(i, v) }

// RarestFirst is the default: the piece that the fewest peers have, but any
// piece until we have one (P1, P2). It has a path of its own, quicker than any
// other strategy's.
type RarestFirst struct{}

// Rank is how many peers have the piece.
func (RarestFirst) Rank(_ int, v View) int32 { return int32(v.Peers) }

// RandomOrder begins pieces in random order.
type RandomOrder struct{}

// Rank is the same for all pieces.
func (RandomOrder) Rank(int, View) int32 { return 0 }

// InOrder is sequential mode: the first piece with something to ask for, to
// the letter. Pieces are begun ahead only as far as requests go, so that the
// partials are those that blocks are under way to.
type InOrder struct{}

// Rank is the piece's number.
func (InOrder) Rank(i int, _ View) int32 { return int32(i) }

// Strict is true.
func (InOrder) Strict() bool { return true }

var (
	_ Strategy = RarestFirst{}
	_ Strategy = RandomOrder{}
	_ Strategy = InOrder{}
	_ Strict   = InOrder{}
	_ Strategy = StrategyFunc(nil)
)

// strategyError is a strategy's panic.
func strategyError(s Strategy, cause any) error {
	return fmt.Errorf("piece: strategy %T panicked: %v", s, cause)
}
