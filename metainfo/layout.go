package metainfo

import "fmt"

// BlockSize is the size of the blocks that peers ask each other for (BEP 3 in
// practice, BEP 52 in its text). The last block of a piece may be shorter.
const BlockSize = 16 << 10

// A Span is a part of an address range that lies in one file.
type Span struct {
	File   int   // index in [Layout.Files]
	Offset int64 // where the span begins in the file
	Length int64 // bytes, never zero
	At     int64 // distance of the span from the beginning of the range asked for
}

// Layout is the arithmetic of pieces, blocks and files.
//
// Bytes have addresses: byte b of piece p lies at p*PieceLength()+b. In a
// layout of [NewLayout] the files follow each other without a gap. In one of
// [NewAlignedLayout] every file begins at a piece boundary, so there are gaps
// that belong to no file, and the last piece of every file may be short.
//
// A Layout does not change and is safe for concurrent use. Methods with an
// index panic when it is out of range, as indexing a slice does.
type Layout struct {
	pieceLength int64
	files       []File
	starts      []int64 // address of each file; does not decrease
	length      int64   // sum of the files' lengths
	end         int64   // address behind the last byte
	pieces      int
	aligned     bool
}

// NewLayout returns the layout of BEP 3, in which files follow each other
// without gaps. It keeps files, which must not be changed afterwards. The error
// matches [ErrInvalid], or [ErrTooLarge] where there would be more than
// [MaxPieces] pieces.
func NewLayout(pieceLength int64, files []File) (*Layout, error) {
	return newLayout(pieceLength, files, false)
}

// NewAlignedLayout returns the layout of BEP 52, in which every file begins at
// a piece boundary. It keeps files and fails as [NewLayout] does.
func NewAlignedLayout(pieceLength int64, files []File) (*Layout, error) {
	return newLayout(pieceLength, files, true)
}

func newLayout(pieceLength int64, files []File, aligned bool) (*Layout, error) {
	if pieceLength <= 0 || pieceLength > MaxPieceLength {
		return nil, fmt.Errorf("%w: piece length %d is not between 1 and %d", ErrInvalid, pieceLength, int64(MaxPieceLength))
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: no files", ErrInvalid)
	}
	l := &Layout{
		pieceLength: pieceLength,
		files:       files,
		starts:      make([]int64, len(files)),
		aligned:     aligned,
	}
	// At most 2^21 pieces of at most 2^30 bytes: nothing below can overflow.
	limit := MaxPieces * pieceLength
	var next int64 // address of the next file
	for i := range files {
		n := files[i].Length
		if n < 0 {
			return nil, fmt.Errorf("%w: file %d has the length %d", ErrInvalid, i, n)
		}
		if n > limit-next {
			return nil, fmt.Errorf("%w: more than %d pieces of %d bytes", ErrTooLarge, MaxPieces, pieceLength)
		}
		l.starts[i] = next
		l.length += n
		if n > 0 {
			l.end = next + n
		}
		next += n
		if aligned {
			next = (next + pieceLength - 1) / pieceLength * pieceLength
		}
	}
	l.pieces = int((l.end + pieceLength - 1) / pieceLength)
	return l, nil
}

// NumPieces returns the number of pieces, which is zero if all files are empty.
func (l *Layout) NumPieces() int { return l.pieces }

// PieceLength returns the length of a full piece in bytes.
func (l *Layout) PieceLength() int64 { return l.pieceLength }

// PieceSize returns the number of bytes of piece i: those a peer sends, without
// the gap that may follow in an aligned layout; 0 when there is no such piece.
func (l *Layout) PieceSize(i int) int64 {
	if i < 0 || i >= l.pieces {
		return 0
	}
	at := int64(i) * l.pieceLength
	end := l.end
	if l.aligned {
		f := l.fileAt(at)
		end = l.starts[f] + l.files[f].Length
	}
	return min(l.pieceLength, end-at)
}

// Length returns the bytes of all files together, padding files included.
func (l *Layout) Length() int64 { return l.length }

// End returns the address behind the last byte. It is Length() in a layout
// without gaps.
func (l *Layout) End() int64 { return l.end }

// Aligned reports whether every file begins at a piece boundary (BEP 52).
func (l *Layout) Aligned() bool { return l.aligned }

// Files returns the files in their order. The slice must not be changed.
func (l *Layout) Files() []File { return l.files }

// Offset returns the address of byte begin of a piece.
func (l *Layout) Offset(piece int, begin int64) int64 {
	return int64(piece)*l.pieceLength + begin
}

// FileOffset returns the address of the first byte of a file.
func (l *Layout) FileOffset(file int) int64 { return l.starts[file] }

// FilePieces returns the first piece that holds bytes of a file, and the one
// behind the last. They are equal for an empty file.
func (l *Layout) FilePieces(file int) (first, last int) {
	start, n := l.starts[file], l.files[file].Length
	first = int(start / l.pieceLength)
	if n == 0 {
		return first, first
	}
	return first, int((start+n-1)/l.pieceLength) + 1
}

// NumBlocks returns the number of blocks of [BlockSize] in a piece; the last
// one may be short.
func (l *Layout) NumBlocks(piece int) int {
	return int((l.PieceSize(piece) + BlockSize - 1) / BlockSize)
}

// Spans appends to dst the parts of files that the n bytes from address off
// cover, in the order of their addresses, and returns the extended slice. Empty
// files, gaps, and what lies outside of all files are left out. It allocates
// only if dst has to grow; its time grows with the logarithm of the number of
// files.
func (l *Layout) Spans(dst []Span, off, n int64) []Span {
	if off < 0 || off >= l.end || n <= 0 {
		return dst
	}
	stop := l.end
	if n < stop-off {
		stop = off + n
	}
	for f := l.fileAt(off); f < len(l.files) && l.starts[f] < stop; f++ {
		from := max(off, l.starts[f])
		to := min(stop, l.starts[f]+l.files[f].Length)
		if from < to {
			dst = append(dst, Span{File: f, Offset: from - l.starts[f], Length: to - from, At: from - off})
		}
	}
	return dst
}

// fileAt returns the first file that ends behind address off, which is the one
// that holds it unless off lies in a gap.
func (l *Layout) fileAt(off int64) int {
	lo, hi := 0, len(l.files)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if l.starts[mid]+l.files[mid].Length > off {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
