package piece

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Bitfield is a set of the pieces 0 to Len()-1. Its bytes are those of the
// wire: the high bit of the first byte is piece 0, spare bits at the end are
// zero (BEP 3, "bitfield"). Indices out of range are never in the set and
// ignored when added. Not safe for concurrent use.
type Bitfield struct {
	bits  []byte // padded with zeros to a multiple of 8 bytes
	n     int
	count int
}

// NewBitfield returns an empty set for n pieces.
func NewBitfield(n int) *Bitfield {
	n = max(n, 0)
	return &Bitfield{bits: make([]byte, (n+63)/64*8), n: n}
}

// FromWire copies the payload of a bitfield message for a torrent of n pieces.
// The error, [ErrBitfield], is a reason to drop the peer: the length is wrong
// or a spare bit is set (BEP 3). Nothing is allocated before that is checked.
func FromWire(b []byte, n int) (*Bitfield, error) {
	if n < 0 || len(b) != (n+7)/8 {
		return nil, fmt.Errorf("%w: %d bytes for %d pieces", ErrBitfield, len(b), n)
	}
	if n%8 != 0 && b[len(b)-1]<<(n%8) != 0 {
		return nil, fmt.Errorf("%w: spare bits are set", ErrBitfield)
	}
	f := NewBitfield(n)
	copy(f.bits, b)
	for k := range f.words() {
		f.count += bits.OnesCount64(f.word(k))
	}
	return f, nil
}

// Len is the number of pieces, in the set or not.
func (b *Bitfield) Len() int { return b.n }

// Count is the number of pieces in the set, in constant time.
func (b *Bitfield) Count() int { return b.count }

// All tells whether every piece is in the set.
func (b *Bitfield) All() bool { return b.count == b.n }

// inRange tells whether there is a piece i.
func (b *Bitfield) inRange(i int) bool { return uint(i) < uint(b.n) }

// Has tells whether piece i is in the set.
func (b *Bitfield) Has(i int) bool {
	return b.inRange(i) && b.bits[uint(i)/8]&(0x80>>(uint(i)%8)) != 0
}

// Set adds piece i.
func (b *Bitfield) Set(i int) {
	if b.inRange(i) && !b.Has(i) {
		b.bits[uint(i)/8] |= 0x80 >> (uint(i) % 8)
		b.count++
	}
}

// Clear takes piece i out.
func (b *Bitfield) Clear(i int) {
	if b.Has(i) {
		b.bits[uint(i)/8] &^= 0x80 >> (uint(i) % 8)
		b.count--
	}
}

// Bytes is the payload of a bitfield message. It aliases the set: read only,
// and valid until the set changes.
func (b *Bitfield) Bytes() []byte { return b.bits[: (b.n+7)/8 : (b.n+7)/8] }

// Clone returns a copy that shares nothing.
func (b *Bitfield) Clone() *Bitfield {
	c := NewBitfield(b.n)
	copy(c.bits, b.bits)
	c.count = b.count
	return c
}

// CountAndNot is the number of pieces in b that are not in o.
func (b *Bitfield) CountAndNot(o *Bitfield) int {
	c := 0
	for k := range b.words() {
		w := b.word(k)
		if k < o.words() {
			w &^= o.word(k)
		}
		c += bits.OnesCount64(w)
	}
	return c
}

// fill adds every piece.
func (b *Bitfield) fill() {
	for i := range b.n / 8 {
		b.bits[i] = 0xff
	}
	b.count = b.n / 8 * 8
	for i := b.count; i < b.n; i++ {
		b.Set(i)
	}
}

// words is the number of words of 64 pieces.
func (b *Bitfield) words() int { return len(b.bits) / 8 }

// word gives pieces 64*k to 64*k+63, the first in the highest bit.
func (b *Bitfield) word(k int) uint64 { return binary.BigEndian.Uint64(b.bits[8*k:]) }
