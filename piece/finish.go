package piece

import (
	"cmp"
	"math/bits"
	"slices"
)

// Finish is a preference for files that are near completion, so that of many
// files some are done soon (P5). It weighs in within a priority, and is not
// asked for pieces in the order of a [Strict] strategy.
type Finish uint8

// The preferences that were proposed to the original client. Examples are for
// a file of 650 MB; logarithms are of base 2 and rounded up.
const (
	// FinishNone: any piece is as good as any other.
	FinishNone Finish = iota
	// FinishRoot: as long as there is a file with remaining <= √length (25 kB),
	// nothing of other files is asked for, unless the peer has nothing of it.
	FinishRoot
	// FinishLog: a file's pieces are preferred by the weight 1/log(remaining):
	// one that 15 peers have of a file with 1 MB (2^20) to go comes with one
	// that 10 have of a file with 1 GB (2^30) to go. Short files are done early.
	FinishLog
	// FinishHalf: pieces of files with remaining <= length/log(length) (22 MB)
	// are preferred twice as much: they count as if half as many peers had them.
	FinishHalf
)

// File is where a file lies in the torrent: in the pieces from From up to, but
// not with, To, of which the first holds its first Head bytes.
// metainfo.Layout's FilePieces gives From and To.
type File struct {
	From, To     int
	Head, Length int64 // in bytes
}

// unfinished is a file and what is missing of it.
type unfinished struct {
	File
	tail      int64 // bytes in its last piece, if that is not the first
	remaining int64
}

// finishing knows how near to completion files are.
type finishing struct {
	how   Finish
	files []unfinished // in order; a file is of no piece that is behind the next one's
	first []int32      // by piece: the first file that has bytes of it, or one before that
}

// set takes over files; those that make no sense are left out.
func (f *finishing) set(how Finish, files []File, sizes Sizes, have *Bitfield) {
	*f = finishing{}
	if how == FinishNone || how > FinishHalf {
		return
	}
	for _, x := range files {
		if x.From < 0 || x.To > have.n || x.From >= x.To || x.Length <= 0 || x.Head <= 0 || x.Head > x.Length {
			continue
		}
		u := unfinished{File: x, tail: x.Length - x.Head, remaining: x.Length}
		for i := x.From + 1; i < x.To-1; i++ {
			u.tail -= sizes.PieceSize(i)
		}
		f.files = append(f.files, u)
	}
	if len(f.files) == 0 {
		return
	}
	f.how = how
	slices.SortStableFunc(f.files, func(x, y unfinished) int {
		return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To))
	})
	f.first = make([]int32, have.n)
	k := 0
	for i := range f.first {
		for k < len(f.files)-1 && f.files[k].To <= i {
			k++
		}
		f.first[i] = int32(k)
	}
	for i := range have.n {
		if have.Has(i) {
			f.had(i, sizes, true, nil)
		}
	}
}

// had notes that piece i is had, or lost again, and calls changed with the
// pieces of files that are preferred otherwise by now.
func (f *finishing) had(i int, sizes Sizes, on bool, changed func(from, to int)) {
	if f.how == FinishNone {
		return
	}
	for k := int(f.first[i]); k < len(f.files) && f.files[k].From <= i; k++ {
		u := &f.files[k]
		if i >= u.To {
			continue
		}
		n := sizes.PieceSize(i)
		switch i {
		case u.From:
			n = u.Head
		case u.To - 1:
			n = u.tail
		}
		was, wasNear := f.preference(u)
		if on {
			u.remaining -= n
		} else {
			u.remaining += n
		}
		if now, near := f.preference(u); changed != nil && (now != was || near != wasNear) {
			changed(u.From, u.To)
		}
	}
}

// preference is what a file's pieces' ranks are multiplied with, and whether
// they come before all others.
func (f *finishing) preference(u *unfinished) (weight uint64, near bool) {
	switch {
	case u.remaining <= 0:
		return 64, false // more than any other: it says nothing
	case f.how == FinishRoot:
		return 1, u.remaining < 1<<31 && u.remaining*u.remaining <= u.Length
	case f.how == FinishLog:
		return max(ceilLog(u.remaining), 1), false
	case u.remaining <= u.Length/max(int64(ceilLog(u.Length)), 1):
		return 1, false
	}
	return 2, false
}

// weigh is the preference for piece i: that of the file of it that is
// preferred most.
func (f *finishing) weigh(i int) (weight uint64, near bool) {
	weight = 64
	for k := int(f.first[i]); k < len(f.files) && f.files[k].From <= i; k++ {
		if u := &f.files[k]; i < u.To {
			w, n := f.preference(u)
			weight, near = min(weight, w), near || n
		}
	}
	if weight == 64 && f.how != FinishLog {
		weight = uint64(f.how-FinishRoot)/2 + 1 // of no file: as those that are not near
	}
	return weight, near
}

// ceilLog is the smallest k with 2^k at least x, for x of 1 and more.
func ceilLog(x int64) uint64 { return uint64(bits.Len64(uint64(x - 1))) }
