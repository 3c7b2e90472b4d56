package piece

import "math/rand/v2"

// ranking keeps items 0 to n-1 sorted by a small number, their rank, so that
// an item whose rank changes by one moves with one swap. Within a rank the
// order means nothing: it is drawn while looking (see draw), so ties are
// random without any shuffling beforehand.
type ranking struct {
	order []int32 // items, by rank
	pos   []int32 // pos[order[k]] == k
	start []int32 // rank r holds order[start[r]:start[r+1]]; the last entry is n
}

// build sorts anew, given each item's rank and the highest of these.
func (r *ranking) build(n int, top int32, rank func(i int) int32) {
	if cap(r.order) < n {
		r.order, r.pos = make([]int32, n), make([]int32, n)
	}
	r.order, r.pos = r.order[:n], r.pos[:n]
	if cap(r.start) < int(top)+2 {
		r.start = make([]int32, top+2, top+2+16)
	}
	r.start = r.start[:top+2]
	clear(r.start)
	// pos holds the ranks until the places are known.
	for i := range n {
		k := rank(i)
		r.pos[i] = k
		r.start[k]++
	}
	at := int32(0)
	for k, c := range r.start {
		r.start[k] = at
		at += c
	}
	// Filling moves every start to the next one's place; then shift back.
	for i, k := range r.pos {
		at := r.start[k]
		r.start[k]++
		r.order[at], r.pos[i] = int32(i), at
	}
	copy(r.start[1:], r.start[:top+1])
	r.start[0] = 0
}

// top is the highest rank there may be items of.
func (r *ranking) top() int { return len(r.start) - 2 }

// up moves item i from rank from to the next one.
func (r *ranking) up(i, from int32) {
	if int(from) == r.top() {
		r.start = append(r.start, int32(len(r.order)))
	}
	r.start[from+1]--
	r.swap(r.pos[i], r.start[from+1])
}

// down moves item i from rank from, at least 1, to the one below.
func (r *ranking) down(i, from int32) {
	r.swap(r.pos[i], r.start[from])
	r.start[from]++
}

// move moves item i over any distance, a step per rank.
func (r *ranking) move(i, from, to int32) {
	for ; from < to; from++ {
		r.up(i, from)
	}
	for ; from > to; from-- {
		r.down(i, from)
	}
}

func (r *ranking) swap(a, b int32) {
	x, y := r.order[a], r.order[b]
	r.order[a], r.order[b] = y, x
	r.pos[y], r.pos[x] = a, b
}

// draw puts a random item of order[s:k+1] at k and returns it. Called with k
// going down from the end of a rank to its start s it yields every item once,
// in an order as random as a shuffle; up may be called for the item drawn.
func (r *ranking) draw(s, k int32, rnd *rand.Rand) int32 {
	if s < k {
		r.swap(k, s+rnd.Int32N(k-s+1))
	}
	return r.order[k]
}
