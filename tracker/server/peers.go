package server

import (
	"math/bits"
	"math/rand/v2"
)

// key is a peer's address and port as compact lists write them: 6 bytes for
// IPv4 (BEP 23), 18 for IPv6 (BEP 7).
type key interface{ [6]byte | [18]byte }

// record is what is kept of a peer: 12 bytes, or 24 for IPv6, without pointers.
type record[K key] struct {
	heard   uint32 // second of the server's clock
	key     K
	partial bool // a leech that has all it wants (BEP 21)
}

// list is a swarm's peers of one family: the leeches first, then the seeds, each
// in no order. So both are counted, and drawn from, without a look at anybody.
type list[K key] struct {
	records []record[K]
	ids     [][20]byte // beside the records; nil if ids are not kept
	index   index      // where a key is; nil while searching is as quick
	leeches uint32
	partial uint32 // of the leeches
}

const (
	indexFrom  = 64 // peers from which there is an index
	indexUntil = 32 // and below which it is dropped
)

func (l *list[K]) seeds() int { return len(l.records) - int(l.leeches) }

// find returns where a peer is, or -1.
func (l *list[K]) find(k K) int {
	if l.index != nil {
		_, at := lookup(l.index, l.records, k)
		return at
	}
	for i := range l.records {
		if l.records[i].key == k {
			return i
		}
	}
	return -1
}

// put adds a peer, or brings one up to date, and returns where it is. at is where
// find says it is. Either all calls have an id, or none: then it is nil.
func (l *list[K]) put(at int, k K, id *[20]byte, seed, partial bool, now uint32) int {
	if at < 0 {
		at = l.add(k, id != nil)
	}
	if id != nil {
		l.ids[at] = *id
	}
	switch wasSeed := at >= int(l.leeches); {
	case seed && !wasSeed:
		l.setPartial(at, false)
		l.leeches--
		l.swap(at, int(l.leeches))
		at = int(l.leeches)
	case !seed && wasSeed:
		l.swap(at, int(l.leeches))
		at = int(l.leeches)
		l.leeches++
	}
	if !seed {
		l.setPartial(at, partial)
	}
	l.records[at].heard = now
	return at
}

// add appends a seed and returns where it is.
func (l *list[K]) add(k K, withID bool) int {
	at := len(l.records)
	if at == cap(l.records) {
		l.records = resize(l.records, at+at/8+max(1, min(2, at)))
	}
	l.records = append(l.records, record[K]{key: k})
	if withID {
		if cap(l.ids) <= at {
			l.ids = resize(l.ids, cap(l.records))
		}
		l.ids = l.ids[:at+1]
	}
	switch n := len(l.records); {
	case l.index == nil && n < indexFrom:
	case l.index == nil || 4*n > 3*len(l.index):
		l.index = newIndex(l.records)
	default:
		l.index.insert(ideal(l.index, k), at)
	}
	return at
}

func (l *list[K]) setPartial(at int, partial bool) {
	if r := &l.records[at]; r.partial != partial {
		r.partial = partial
		if partial {
			l.partial++
		} else {
			l.partial--
		}
	}
}

// remove forgets the peer at a place. Only peers behind that place move.
func (l *list[K]) remove(at int) {
	if at < int(l.leeches) {
		l.setPartial(at, false)
		l.leeches--
		l.swap(at, int(l.leeches))
		at = int(l.leeches)
	}
	end := len(l.records) - 1
	l.swap(at, end)
	switch {
	case l.index == nil:
	case end < indexUntil:
		l.index = nil
	default:
		slot, _ := lookup(l.index, l.records, l.records[end].key)
		removeSlot(l.index, l.records, slot)
	}
	l.records = l.records[:end]
	if l.ids != nil {
		l.ids = l.ids[:end]
	}
	if cap(l.records) > 16 && end < cap(l.records)/4 {
		l.records = resize(l.records, end+end/8)
		if l.index != nil {
			l.index = newIndex(l.records)
		}
		if l.ids != nil {
			l.ids = resize(l.ids, cap(l.records))
		}
	}
}

func (l *list[K]) swap(i, j int) {
	if i == j {
		return
	}
	if l.index != nil {
		si, _ := lookup(l.index, l.records, l.records[i].key)
		sj, _ := lookup(l.index, l.records, l.records[j].key)
		l.index[si], l.index[sj] = l.index[sj], l.index[si]
	}
	l.records[i], l.records[j] = l.records[j], l.records[i]
	if l.ids != nil {
		l.ids[i], l.ids[j] = l.ids[j], l.ids[i]
	}
}

// resize returns a copy of a slice with room for n elements, and for as many
// more as the allocation has by itself. What append would do is not wanted: it
// doubles, and of a million peers most are in small swarms.
func resize[T any](s []T, n int) []T {
	bigger := append([]T(nil), make([]T, n)...)
	return bigger[:copy(bigger, s)]
}

// expire removes the peers that have not been heard of for longer than a number
// of seconds, and returns how many that were, and the greatest age, in seconds,
// of those that are left.
func (l *list[K]) expire(now, after uint32) (n int, oldest uint32) {
	for i := len(l.records) - 1; i >= 0; i-- {
		// Negative when another announce has read the clock later and got here earlier.
		age := uint32(max(0, int32(now-l.records[i].heard)))
		if age > after {
			l.remove(i)
			n++
		} else {
			oldest = max(oldest, age)
		}
	}
	return n, oldest
}

// draw appends the places of up to n peers out of the first m, never that of
// skip (which may be -1). Each peer is as likely as any other, and the cost is
// that of n, not of m: one is drawn from each of n equal stretches, the first of
// which begins anywhere.
func draw(dst []uint32, n, m, skip int, random *rand.PCG) []uint32 {
	if skip >= m {
		skip = -1
	}
	if skip >= 0 {
		m--
	}
	if m <= n {
		for i := range m {
			dst = append(dst, place(i, skip))
		}
		return dst
	}
	if n <= 0 {
		return dst
	}
	start := int(below(random, m))
	for k, lo := 0, 0; k < n; k++ {
		hi := int(uint64(k+1) * uint64(m) / uint64(n))
		at := start + lo + int(below(random, hi-lo))
		if at >= m {
			at -= m
		}
		dst = append(dst, place(at, skip))
		lo = hi
	}
	return dst
}

func place(i, skip int) uint32 {
	if skip >= 0 && i >= skip {
		i++
	}
	return uint32(i)
}

// below returns a number in [0, n), n > 0. That it is biased by one in 2^32 does
// no harm.
func below(random *rand.PCG, n int) uint64 {
	hi, _ := bits.Mul64(random.Uint64(), uint64(n))
	return hi
}

// appendPeers appends the drawn peers' addresses, and their ids if ids is not
// nil. Who cannot be connected to is left out.
func (l *list[K]) appendPeers(dst, ids []byte, drawn []uint32) (peers, peerIDs []byte) {
	for _, at := range drawn {
		was := len(dst)
		dst = appendKey(dst, &l.records[at].key)
		if dst[len(dst)-1]|dst[len(dst)-2] == 0 { // the port
			dst = dst[:was]
			continue
		}
		if ids != nil {
			id := l.ids[at]
			ids = append(ids, id[:]...)
		}
	}
	return dst, ids
}

func appendKey[K key](dst []byte, k *K) []byte {
	switch k := any(k).(type) {
	case *[6]byte:
		return append(dst, k[:]...)
	case *[18]byte:
		return append(dst, k[:]...)
	}
	return dst
}
