package piece

import "math/bits"

// blockSet is a set of the blocks of a piece.
type blockSet struct {
	words []uint64
	n     int32
	low   int32 // no word below has a block
}

// reset empties s and makes room for n blocks.
func (s *blockSet) reset(n int32) {
	w := int(n+63) / 64
	if cap(s.words) < w {
		s.words = make([]uint64, w)
	}
	s.words, s.n, s.low = s.words[:w], 0, 0
	clear(s.words)
}

// fill adds the blocks below n to the empty set.
func (s *blockSet) fill(n int32) {
	for k := range n / 64 {
		s.words[k] = ^uint64(0)
	}
	if n%64 != 0 {
		s.words[n/64] = 1<<(n%64) - 1
	}
	s.n = n
}

func (s *blockSet) has(k int32) bool { return s.words[k/64]&(1<<(k%64)) != 0 }

func (s *blockSet) add(k int32) {
	if !s.has(k) {
		s.words[k/64] |= 1 << (k % 64)
		s.n++
		s.low = min(s.low, k/64)
	}
}

func (s *blockSet) remove(k int32) {
	if s.has(k) {
		s.words[k/64] &^= 1 << (k % 64)
		s.n--
	}
}

// next is the first block at k or behind it, or -1.
func (s *blockSet) next(k int32) int32 {
	if s.n == 0 {
		return -1
	}
	for s.words[s.low] == 0 {
		s.low++
	}
	k = max(k, s.low*64)
	for w := k / 64; int(w) < len(s.words); w++ {
		word := s.words[w]
		if w == k/64 {
			word &= ^uint64(0) << (k % 64)
		}
		if word != 0 {
			return w*64 + int32(bits.TrailingZeros64(word))
		}
	}
	return -1
}

// last is the last block, or -1.
func (s *blockSet) last() int32 {
	for w := len(s.words) - 1; w >= 0 && s.n > 0; w-- {
		if s.words[w] != 0 {
			return int32(w*64 + bits.Len64(s.words[w]) - 1)
		}
	}
	return -1
}
