package server

import "hash/maphash"

// index finds the records of a large list by key: an open hash table of places.
// It takes some 7 bytes a peer, where a map would take 30 and more.
type index []uint32 // place+1; 0: free. The length is a power of two

// hashSeed is secret, so that nobody can choose addresses that meet in a table.
var hashSeed = maphash.MakeSeed()

func ideal[K key](x index, k K) int {
	return int(maphash.Comparable(hashSeed, k)) & (len(x) - 1)
}

// newIndex returns an index of all records, half full at most.
func newIndex[K key](records []record[K]) index {
	size := 2 * indexUntil
	for size < 2*len(records) {
		size *= 2
	}
	x := make(index, size)
	for at := range records {
		x.insert(ideal(x, records[at].key), at)
	}
	return x
}

// insert notes a place, in the first slot that is free from its ideal one on.
func (x index) insert(slot, at int) {
	for x[slot] != 0 {
		slot = (slot + 1) & (len(x) - 1)
	}
	x[slot] = uint32(at) + 1
}

// lookup returns the slot of a key and its place; -1 if it is not there.
func lookup[K key](x index, records []record[K], k K) (slot, at int) {
	for slot = ideal(x, k); x[slot] != 0; slot = (slot + 1) & (len(x) - 1) {
		if at = int(x[slot] - 1); records[at].key == k {
			return slot, at
		}
	}
	return -1, -1
}

// removeSlot frees a slot. Those behind it that had to make way for it move up,
// so that no search ends at a gap.
func removeSlot[K key](x index, records []record[K], free int) {
	mask := len(x) - 1
	for slot := (free + 1) & mask; x[slot] != 0; slot = (slot + 1) & mask {
		from := ideal(x, records[x[slot]-1].key)
		if (slot-from)&mask >= (slot-free)&mask {
			x[free] = x[slot]
			free = slot
		}
	}
	x[free] = 0
}
