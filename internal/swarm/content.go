package swarm

import (
	"math/rand/v2"

	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// Content is what the info dictionary adds: sizes and hashes. Sums holds 20
// bytes a piece.
type Content struct {
	Layout *metainfo.Layout
	Sums   []byte
}

// content is what is to be downloaded. It is nil and empty until the metadata
// is known.
type content struct {
	layout *metainfo.Layout
	sums   []byte
	picker *piece.Picker
}

func (c *content) set(x Content, rnd *rand.Rand) {
	c.layout, c.sums = x.Layout, x.Sums
	c.picker = piece.NewPicker(x.Layout, rnd)
}

func (c *content) sum(i int) (h metainfo.Hash) {
	copy(h[:], c.sums[i*20:])
	return h
}

// validBlock reports whether b is a block as we cut pieces.
func (c *content) validBlock(b piece.Block) bool {
	if int64(b.Piece) >= int64(c.layout.NumPieces()) || b.Begin%piece.BlockSize != 0 || b.Length == 0 {
		return false
	}
	left := c.layout.PieceSize(int(b.Piece)) - int64(b.Begin)
	return left > 0 && int64(b.Length) == min(left, piece.BlockSize)
}

// checkIndex refuses a message about a piece that the torrent does not have
// (RW10, RX10).
func (c *content) checkIndex(m *peerwire.Message) error {
	if c.layout != nil && int64(m.Index) >= int64(c.layout.NumPieces()) {
		return protocolError(m.ID, "piece %d of %d", m.Index, c.layout.NumPieces())
	}
	return nil
}
