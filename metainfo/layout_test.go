package metainfo

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func sized(lengths ...int64) []File {
	files := make([]File, len(lengths))
	for i, n := range lengths {
		files[i].Length = n
	}
	return files
}

func TestLayout(t *testing.T) {
	l, err := NewLayout(10, sized(7, 0, 3, 25, 0))
	require.NoError(t, err)
	require.Equal(t, 4, l.NumPieces())
	require.EqualValues(t, 35, l.Length())
	require.EqualValues(t, 35, l.End())
	require.EqualValues(t, 10, l.PieceSize(0))
	require.EqualValues(t, 5, l.PieceSize(3))
	require.EqualValues(t, 33, l.Offset(3, 3))
	require.EqualValues(t, 10, l.FileOffset(3))
	require.False(t, l.Aligned())
	require.Equal(t, []Span{{File: 0, Offset: 5, Length: 2, At: 0}, {File: 2, Offset: 0, Length: 3, At: 2}, {File: 3, Offset: 0, Length: 1, At: 5}}, l.Spans(nil, 5, 6))
	for file, want := range [][2]int{{0, 1}, {0, 0}, {0, 1}, {1, 4}, {3, 3}} {
		first, last := l.FilePieces(file)
		require.Equal(t, want, [2]int{first, last}, file)
	}
	for _, outside := range [][2]int64{{-1, 5}, {35, 1}, {1 << 62, 1 << 62}, {0, 0}, {0, -1}, {-1 << 63, 1<<63 - 1}} {
		require.Empty(t, l.Spans(nil, outside[0], outside[1]))
	}
	require.Equal(t, []Span{{File: 3, Offset: 24, Length: 1}}, l.Spans(nil, 34, 1<<63-1))
	require.Zero(t, l.PieceSize(4))
	require.Zero(t, l.PieceSize(-1))
}

func TestBEP52_AlignedLayout(t *testing.T) {
	l, err := NewAlignedLayout(10, sized(7, 0, 3, 25, 0))
	require.NoError(t, err)
	require.Equal(t, 5, l.NumPieces())
	require.EqualValues(t, 35, l.Length())
	require.EqualValues(t, 45, l.End())
	require.True(t, l.Aligned())
	for piece, want := range []int64{7, 3, 10, 10, 5} {
		require.Equal(t, want, l.PieceSize(piece))
	}
	for file, want := range [][2]int{{0, 1}, {1, 1}, {1, 2}, {2, 5}, {5, 5}} {
		first, last := l.FilePieces(file)
		require.Equal(t, want, [2]int{first, last}, file)
	}
	require.Equal(t, []Span{{File: 0, Offset: 6, Length: 1, At: 0}, {File: 2, Offset: 0, Length: 3, At: 4}, {File: 3, Offset: 0, Length: 1, At: 14}}, l.Spans(nil, 6, 15))
	require.Empty(t, l.Spans(nil, 7, 3), "a gap")
}

// 22169 bytes in pieces that are smaller than a block.
func TestLayoutSmallPieces(t *testing.T) {
	l, err := NewLayout(256, sized(22169))
	require.NoError(t, err)
	require.Equal(t, 87, l.NumPieces())
	require.EqualValues(t, 153, l.PieceSize(86))
	require.Equal(t, 1, l.NumBlocks(0))

	l, err = NewLayout(1<<20, sized(1<<20+BlockSize+1))
	require.NoError(t, err)
	require.Equal(t, 64, l.NumBlocks(0))
	require.Equal(t, 2, l.NumBlocks(1))
}

func TestLayoutLimits(t *testing.T) {
	for _, c := range []struct {
		pieceLength int64
		lengths     []int64
		want        error
	}{
		{0, []int64{1}, ErrInvalid},
		{-1, []int64{1}, ErrInvalid},
		{MaxPieceLength + 1, []int64{1}, ErrInvalid},
		{1, nil, ErrInvalid},
		{1, []int64{-1}, ErrInvalid},
		{1, []int64{5, -1 << 63}, ErrInvalid},
		{1, []int64{MaxPieces + 1}, ErrTooLarge},
		{1, []int64{MaxPieces, 1}, ErrTooLarge},
		{MaxPieceLength, []int64{1<<63 - 1, 1<<63 - 1}, ErrTooLarge},
	} {
		for _, layout := range []func(int64, []File) (*Layout, error){NewLayout, NewAlignedLayout} {
			_, err := layout(c.pieceLength, sized(c.lengths...))
			require.ErrorIs(t, err, c.want, "%v", c)
		}
	}
	_, err := NewAlignedLayout(2, sized(make([]int64, MaxPieces)...))
	require.NoError(t, err)
	l, err := NewLayout(MaxPieceLength, sized(MaxPieceLength*MaxPieces))
	require.NoError(t, err)
	require.Equal(t, MaxPieces, l.NumPieces())
	_, err = NewAlignedLayout(2, sized(2*MaxPieces-1, 1))
	require.ErrorIs(t, err, ErrTooLarge)
	l, err = NewLayout(16, sized(0, 0))
	require.NoError(t, err)
	require.Zero(t, l.NumPieces())
	require.Empty(t, l.Spans(nil, 0, 1))
}

// owners walks over all bytes: for each address its file and the offset in it.
func owners(l *Layout) (file []int, offset []int64) {
	for i, f := range l.Files() {
		for int64(len(file)) < l.FileOffset(i) && f.Length > 0 {
			file, offset = append(file, -1), append(offset, 0)
		}
		for k := range f.Length {
			file, offset = append(file, i), append(offset, k)
		}
	}
	return file, offset
}

func TestLayoutAgreesWithAWalk(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		lengths := make([]int64, 1+rnd.IntN(8))
		for i := range lengths {
			if rnd.IntN(3) > 0 {
				lengths[i] = rnd.Int64N(30)
			}
		}
		pieceLength := 1 + rnd.Int64N(12)
		make := NewLayout
		if rnd.IntN(2) == 0 {
			make = NewAlignedLayout
		}
		l, err := make(pieceLength, sized(lengths...))
		require.NoError(t, err)
		file, offset := owners(l)
		require.EqualValues(t, len(file), l.End())
		checkPieces(t, l, file)
		for range 50 {
			off, n := rnd.Int64N(l.End()+5)-2, rnd.Int64N(40)
			var want []Span
			for at := range n {
				if off < 0 || off+at >= l.End() || file[off+at] < 0 {
					continue
				}
				f, o := file[off+at], offset[off+at]
				if k := len(want) - 1; k >= 0 && want[k].File == f {
					want[k].Length++
				} else {
					want = append(want, Span{File: f, Offset: o, Length: 1, At: at})
				}
			}
			require.Equal(t, want, l.Spans(nil, off, n), "%v %d: %d+%d", lengths, pieceLength, off, n)
		}
	}
}

// checkPieces compares sizes of pieces, and the pieces of files, with the bytes.
func checkPieces(t *testing.T, l *Layout, file []int) {
	t.Helper()
	require.EqualValues(t, (int64(len(file))+l.PieceLength()-1)/l.PieceLength(), l.NumPieces())
	sizes := make([]int64, l.NumPieces())
	first, last := make([]int, len(l.Files())), make([]int, len(l.Files()))
	for at, f := range file {
		if f < 0 {
			continue
		}
		piece := int(int64(at) / l.PieceLength())
		sizes[piece]++
		if last[f] == 0 {
			first[f] = piece
		}
		last[f] = piece + 1
	}
	var sum int64
	for i, size := range sizes {
		require.Equal(t, size, l.PieceSize(i))
		sum += size
	}
	require.Equal(t, l.Length(), sum)
	for f := range first {
		a, b := l.FilePieces(f)
		if l.Files()[f].Length == 0 {
			require.Equal(t, a, b)
		} else {
			require.Equal(t, [2]int{first[f], last[f]}, [2]int{a, b})
		}
	}
}

func TestNoAllocsLayout(t *testing.T) {
	l, err := NewLayout(64<<10, sized(make([]int64, 1000)...))
	require.NoError(t, err)
	for i := range l.files {
		l.files[i].Length = 100_000
	}
	l, err = NewAlignedLayout(64<<10, l.files)
	require.NoError(t, err)
	spans := make([]Span, 0, 16)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		spans = l.Spans(spans[:0], l.Offset(700, 0), 300_000)
		if len(spans) < 3 || l.PieceSize(701) == 0 {
			t.Fatal(spans)
		}
	}))
}

func BenchmarkSpans(b *testing.B) {
	files := make([]File, 100_000)
	for i := range files {
		files[i].Length = int64(i % 50_000)
	}
	l, err := NewLayout(1<<20, files)
	require.NoError(b, err)
	b.Run("files=100000/range=16KiB", func(b *testing.B) {
		b.ReportAllocs()
		spans := make([]Span, 0, 16)
		piece := 0
		for b.Loop() {
			spans = l.Spans(spans[:0], l.Offset(piece, 0), BlockSize)
			piece = (piece + 1) % l.NumPieces()
		}
	})
}
