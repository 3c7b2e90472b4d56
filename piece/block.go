package piece

import "fmt"

// PeerID names a peer of one torrent: a slot and a generation in 64 bits,
// never used again for another peer.
type PeerID uint64

// BlockSize is the length in bytes of every block but the last of a piece.
// BEP 3 leaves it open; all current clients use 16 KiB and drop connections
// that ask for more than 128 KiB.
const BlockSize = 16 << 10

// Block is a part of a piece, as requests name it. Begin is a multiple of
// [BlockSize]; Length is BlockSize, or less at the end of a piece.
type Block struct{ Piece, Begin, Length uint32 }

// String gives "piece:begin+length".
func (b Block) String() string { return fmt.Sprintf("%d:%d+%d", b.Piece, b.Begin, b.Length) }

// Sizes tells how many pieces there are and how long each is, in bytes: at
// least 1 and less than 4 GiB. The answers never change. *metainfo.Layout is
// one; with aligned layouts (BEP 52) short pieces may stand anywhere.
type Sizes interface {
	NumPieces() int
	PieceSize(i int) int64
}
