// Package storagetest says what every storage.Storage must obey, as a suite of tests to be called from
// the test of an implementation:
//
//	func TestConformance(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Storage { return mine.New(t.TempDir()) })
//	}
//
// Run it with the race detector as well. Optional powers (storage.Syncer, Prober, EmptyCreator, Remover)
// are tested where they are found.
package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/storage"
)

const pieceLength = 16 << 10

// Run runs the suite. open returns an empty storage, a new one for every test; what it needs cleaned up
// belongs into t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) storage.Storage) {
	t.Run("ReadBack", func(t *testing.T) { testReadBack(t, open(t)) })
	t.Run("AcrossFiles", func(t *testing.T) { testAcrossFiles(t, open(t)) })
	t.Run("AlignedLayout", func(t *testing.T) { testAligned(t, open(t)) })
	t.Run("PadFiles", func(t *testing.T) { testPadFiles(t, open(t)) })
	t.Run("RandomRanges", func(t *testing.T) { testRandomRanges(t, open(t)) })
	t.Run("ZeroLength", func(t *testing.T) { testZeroLength(t, open(t)) })
	t.Run("OnlyEmptyFiles", func(t *testing.T) { testOnlyEmptyFiles(t, open(t)) })
	t.Run("NothingWritten", func(t *testing.T) { testNothingWritten(t, open(t)) })
	t.Run("Bounds", func(t *testing.T) { testBounds(t, open(t)) })
	t.Run("SlicesAreTheCallers", func(t *testing.T) { testSlices(t, open(t)) })
	t.Run("ConcurrentWriters", func(t *testing.T) { testConcurrent(t, open(t)) })
	t.Run("TwoTorrents", func(t *testing.T) { testTwoTorrents(t, open(t)) })
	t.Run("OpenTwice", func(t *testing.T) { testOpenTwice(t, open(t)) })
	t.Run("Reopen", func(t *testing.T) { testReopen(t, open(t)) })
	t.Run("Closed", func(t *testing.T) { testClosed(t, open(t)) })
	t.Run("CloseWhileBusy", func(t *testing.T) { testCloseWhileBusy(t, open(t)) })
	t.Run("BadSpec", func(t *testing.T) { testBadSpec(t, open(t)) })
	t.Run("Sync", func(t *testing.T) { testSync(t, open(t)) })
	t.Run("Present", func(t *testing.T) { testPresent(t, open(t)) })
	t.Run("Remove", func(t *testing.T) { testRemove(t, open(t)) })
}

// file is a file of a torrent in the folder that bears the torrent's name.
func file(torrent, name string, length int64) metainfo.File {
	return metainfo.File{Path: []string{torrent, name}, Raw: []string{name}, Length: length}
}

func pad(torrent string, length int64) metainfo.File {
	f := file(torrent, ".pad", length)
	f.Pad = true
	return f
}

// spec describes a torrent of these files; its identity follows from its name.
func spec(t *testing.T, name string, aligned bool, files ...metainfo.File) storage.Spec {
	t.Helper()
	layout, err := metainfo.NewLayout(pieceLength, files)
	if aligned {
		layout, err = metainfo.NewAlignedLayout(pieceLength, files)
	}
	require.NoError(t, err)
	var h metainfo.Hashes
	copy(h.V1[:], "storagetest-"+name)
	return storage.Spec{Name: name, Hashes: h, Layout: layout}
}

// several are files whose ends fall on and beside the ends of pieces.
func several(torrent string) []metainfo.File {
	return []metainfo.File{
		file(torrent, "a", pieceLength+1),
		file(torrent, "b", 0),
		file(torrent, "c", 1),
		file(torrent, "d", 3*pieceLength-2),
		file(torrent, "e", 12345),
	}
}

func opened(t *testing.T, s storage.Storage, sp storage.Spec) storage.Torrent {
	t.Helper()
	tor, err := s.Open(sp)
	require.NoError(t, err)
	t.Cleanup(func() { tor.Close() })
	return tor
}

// random returns n bytes, the same in every run.
func random(seed uint64, n int64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func write(t *testing.T, tor storage.Torrent, b []byte, off int64) {
	t.Helper()
	n, err := tor.WriteAt(b, off)
	require.NoError(t, err)
	require.Equal(t, len(b), n)
}

func requireRead(t *testing.T, tor storage.Torrent, want []byte, off int64) {
	t.Helper()
	got := bytes.Repeat([]byte{0xA5}, len(want)) // what a read leaves out would show
	n, err := tor.ReadAt(got, off)
	if err != io.EOF {
		require.NoError(t, err)
	}
	require.Equal(t, len(want), n)
	require.True(t, bytes.Equal(want, got), "%d bytes at %d differ", len(want), off)
}

func testReadBack(t *testing.T, s storage.Storage) {
	const size = 5*pieceLength + 77
	tor := opened(t, s, spec(t, "one", false, metainfo.File{Path: []string{"one.bin"}, Length: size}))
	want := random(1, size)
	for off := int64(4 * pieceLength); off >= 0; off -= pieceLength { // pieces come in any order
		write(t, tor, want[off:off+pieceLength], off)
	}
	write(t, tor, want[5*pieceLength:], 5*pieceLength)
	requireRead(t, tor, want, 0)
	requireRead(t, tor, want[pieceLength-1:3*pieceLength+5], pieceLength-1)
	requireRead(t, tor, want[size-1:], size-1)
	write(t, tor, []byte("again"), 100)
	copy(want[100:], "again")
	requireRead(t, tor, want, 0)
}

func testAcrossFiles(t *testing.T, s storage.Storage) {
	sp := spec(t, "several", false, several("several")...)
	tor := opened(t, s, sp)
	want := random(2, sp.Layout.End())
	write(t, tor, want, 0)
	requireRead(t, tor, want, 0)
	requireRead(t, tor, want[pieceLength:pieceLength+4], pieceLength) // the ends of a, c and the head of d
	write(t, tor, []byte{1, 2, 3, 4}, pieceLength)
	copy(want[pieceLength:], []byte{1, 2, 3, 4})
	requireRead(t, tor, want, 0)
}

// BEP 52: every file begins a piece; what lies between is nobody's.
func testAligned(t *testing.T, s storage.Storage) {
	sp := spec(t, "aligned", true, several("aligned")...)
	tor := opened(t, s, sp)
	end := sp.Layout.End()
	want := make([]byte, end)
	for i := range sp.Layout.NumPieces() {
		piece := random(uint64(10+i), sp.Layout.PieceSize(i))
		write(t, tor, piece, sp.Layout.Offset(i, 0))
		copy(want[sp.Layout.Offset(i, 0):], piece)
	}
	requireRead(t, tor, want, 0) // with zeros in the gaps
	for i := range sp.Layout.NumPieces() {
		off := sp.Layout.Offset(i, 0)
		requireRead(t, tor, want[off:off+sp.Layout.PieceSize(i)], off)
	}
	noise := bytes.Repeat([]byte{0xFF}, int(end))
	write(t, tor, noise, 0) // bytes for the gaps are dropped
	var spans []metainfo.Span
	clear(want)
	for _, sn := range sp.Layout.Spans(spans, 0, end) {
		copy(want[sn.At:sn.At+sn.Length], noise)
	}
	requireRead(t, tor, want, 0)
}

// BEP 47: padding files are zeros that nobody stores.
func testPadFiles(t *testing.T, s storage.Storage) {
	const a, b = 1000, pieceLength + 5
	sp := spec(t, "padded", false,
		file("padded", "a", a), pad("padded", pieceLength-a), file("padded", "b", b), pad("padded", 2*pieceLength-b))
	tor := opened(t, s, sp)
	write(t, tor, bytes.Repeat([]byte{7}, int(sp.Layout.End())), 0)
	want := make([]byte, sp.Layout.End())
	for i := range want {
		if i < a || i >= pieceLength && i < pieceLength+b {
			want[i] = 7
		}
	}
	requireRead(t, tor, want, 0)
	requireRead(t, tor, make([]byte, 100), a+10) // inside of padding
	if p, ok := tor.(storage.Prober); ok {
		require.True(t, p.Present(a, pieceLength-a))
		require.True(t, p.Present(0, sp.Layout.End()))
	}
}

// Any sequence of writes and reads is that of a slice of bytes.
func testRandomRanges(t *testing.T, s storage.Storage) {
	var files []metainfo.File
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 40 {
		files = append(files, file("random", fmt.Sprint(i), rng.Int64N(9000)*rng.Int64N(2)))
	}
	files = append(files, file("random", "last", 1))
	sp := spec(t, "random", false, files...)
	tor := opened(t, s, sp)
	end := sp.Layout.End()
	twin := random(5, end)
	write(t, tor, twin, 0)
	for i := range 300 {
		off := rng.Int64N(end)
		n := rng.Int64N(min(end-off, 20_000) + 1)
		if i%2 == 0 {
			b := random(uint64(i), n)
			copy(twin[off:], b)
			write(t, tor, b, off)
		} else {
			requireRead(t, tor, twin[off:off+n], off)
		}
	}
	requireRead(t, tor, twin, 0)
}

func testZeroLength(t *testing.T, s storage.Storage) {
	sp := spec(t, "zero", false, several("zero")...)
	tor := opened(t, s, sp)
	for _, off := range []int64{0, 1, pieceLength + 1, sp.Layout.End()} {
		n, err := tor.WriteAt(nil, off)
		require.NoError(t, err, "write at %d", off)
		require.Zero(t, n)
	}
	n, err := tor.ReadAt(nil, 0)
	require.NoError(t, err)
	require.Zero(t, n)
}

func testOnlyEmptyFiles(t *testing.T, s storage.Storage) {
	sp := spec(t, "empty", false, file("empty", "a", 0), file("empty", "b", 0))
	tor := opened(t, s, sp)
	_, err := tor.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, io.EOF)
	_, err = tor.WriteAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, storage.ErrRange)
	if c, ok := tor.(storage.EmptyCreator); ok {
		require.NoError(t, c.CreateEmpty())
		require.NoError(t, c.CreateEmpty())
	}
	if p, ok := tor.(storage.Prober); ok {
		require.True(t, p.Present(0, 0))
	}
	require.NoError(t, tor.Close())
}

// What is not there is an error, not zeros.
func testNothingWritten(t *testing.T, s storage.Storage) {
	sp := spec(t, "nothing", false, several("nothing")...)
	tor := opened(t, s, sp)
	for _, off := range []int64{0, pieceLength - 3, sp.Layout.End() - 10} {
		n, err := tor.ReadAt(make([]byte, 10), off)
		require.Error(t, err, "read at %d", off)
		require.NotErrorIs(t, err, io.EOF, "the torrent does not end there")
		require.Less(t, n, 10)
	}
}

func testBounds(t *testing.T, s storage.Storage) {
	sp := spec(t, "bounds", false, several("bounds")...)
	tor := opened(t, s, sp)
	end := sp.Layout.End()
	want := random(6, end)
	write(t, tor, want, 0)
	buf := make([]byte, 100)
	n, err := tor.ReadAt(buf, end-30)
	require.Equal(t, 30, n)
	require.Equal(t, io.EOF, err)
	require.Equal(t, want[end-30:], buf[:30])
	for _, off := range []int64{end, end + 1, 1 << 62} {
		n, err = tor.ReadAt(buf, off)
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
	}
	_, err = tor.ReadAt(buf, -1)
	require.Error(t, err)
	for _, off := range []int64{-1, -1 << 62, end - 99, end, end + 1, 1<<63 - 1} {
		n, err = tor.WriteAt(buf, off)
		require.Zero(t, n)
		require.ErrorIs(t, err, storage.ErrRange, "write at %d", off)
	}
	requireRead(t, tor, want, 0)
}

func testSlices(t *testing.T, s storage.Storage) {
	tor := opened(t, s, spec(t, "slices", false, file("slices", "a", pieceLength)))
	b := random(7, pieceLength)
	want := bytes.Clone(b)
	write(t, tor, b, 0)
	require.Equal(t, want, b, "a write leaves the bytes alone")
	clear(b)
	requireRead(t, tor, want, 0)
	got := make([]byte, pieceLength)
	_, err := tor.ReadAt(got, 0)
	require.True(t, err == nil || err == io.EOF)
	clear(got)
	requireRead(t, tor, want, 0)
}

func testConcurrent(t *testing.T, s storage.Storage) {
	files := several("concurrent")
	for i := range 20 {
		files = append(files, file("concurrent", fmt.Sprint(i), 10_000))
	}
	sp := spec(t, "concurrent", false, files...)
	tor := opened(t, s, sp)
	end := sp.Layout.End()
	want := random(8, end)
	const part = 5000
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for w := range int64(8) {
		wg.Go(func() {
			for off := w * part; off < end; off += 8 * part {
				b := want[off:min(off+part, end)]
				if _, err := tor.WriteAt(b, off); err != nil {
					errs <- err
					return
				}
				got := make([]byte, len(b))
				if n, err := tor.ReadAt(got, off); n < len(b) || !bytes.Equal(got, b) {
					errs <- fmt.Errorf("read at %d: %d bytes, %w", off, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
	requireRead(t, tor, want, 0)
}

func testTwoTorrents(t *testing.T, s storage.Storage) {
	a := opened(t, s, spec(t, "first", false, several("first")...))
	b := opened(t, s, spec(t, "second", false, several("second")...))
	end := spec(t, "first", false, several("first")...).Layout.End()
	write(t, a, random(20, end), 0)
	write(t, b, random(21, end), 0)
	requireRead(t, a, random(20, end), 0)
	require.NoError(t, a.Close())
	requireRead(t, b, random(21, end), 0)
}

func testOpenTwice(t *testing.T, s storage.Storage) {
	sp := spec(t, "twice", false, several("twice")...)
	tor := opened(t, s, sp)
	_, err := s.Open(sp)
	require.ErrorIs(t, err, storage.ErrInUse)
	write(t, tor, []byte("x"), 0)
	require.NoError(t, tor.Close())
	again, err := s.Open(sp)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func testReopen(t *testing.T, s storage.Storage) {
	sp := spec(t, "reopen", false, several("reopen")...)
	tor := opened(t, s, sp)
	want := random(9, sp.Layout.End())
	write(t, tor, want, 0)
	require.NoError(t, tor.Close())
	requireRead(t, opened(t, s, sp), want, 0)
}

func testClosed(t *testing.T, s storage.Storage) {
	tor := opened(t, s, spec(t, "closed", false, several("closed")...))
	write(t, tor, []byte("x"), 0)
	require.NoError(t, tor.Close())
	require.NoError(t, tor.Close(), "a second Close does nothing")
	requireClosed := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, storage.ErrClosed)
		require.ErrorIs(t, err, fs.ErrClosed)
	}
	_, err := tor.ReadAt(make([]byte, 1), 0)
	requireClosed(err)
	_, err = tor.WriteAt(make([]byte, 1), 0)
	requireClosed(err)
	if p, ok := tor.(storage.Syncer); ok {
		requireClosed(p.Sync())
	}
	if p, ok := tor.(storage.EmptyCreator); ok {
		requireClosed(p.CreateEmpty())
	}
	if p, ok := tor.(storage.Prober); ok {
		require.False(t, p.Present(0, 1))
	}
	if p, ok := tor.(storage.Remover); ok {
		requireClosed(p.Remove())
	}
}

// Close waits for calls on their way, and those that come later fail; none is torn.
func testCloseWhileBusy(t *testing.T, s storage.Storage) {
	sp := spec(t, "busy", false, several("busy")...)
	tor := opened(t, s, sp)
	want := random(11, sp.Layout.End())
	write(t, tor, want, 0)
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	bad := make(chan error, 4)
	for i := range 4 {
		wg.Go(func() {
			b := make([]byte, len(want))
			for first := true; ; first = false {
				var n int
				var err error
				if i%2 == 0 {
					n, err = tor.WriteAt(want, 0)
				} else {
					n, err = tor.ReadAt(b, 0)
				}
				if first {
					started <- struct{}{}
				}
				if err == nil && n == len(want) {
					continue
				}
				if n != 0 || !errors.Is(err, storage.ErrClosed) {
					bad <- fmt.Errorf("%d bytes: %w", n, err)
				}
				return
			}
		})
	}
	for range 4 {
		<-started
	}
	require.NoError(t, tor.Close())
	wg.Wait()
	close(bad)
	require.NoError(t, <-bad)
	requireRead(t, opened(t, s, sp), want, 0)
}

func testBadSpec(t *testing.T, s storage.Storage) {
	_, err := s.Open(storage.Spec{Name: "no layout"})
	require.ErrorIs(t, err, storage.ErrSpec)
}

func testSync(t *testing.T, s storage.Storage) {
	sp := spec(t, "sync", false, several("sync")...)
	tor := opened(t, s, sp)
	y, ok := tor.(storage.Syncer)
	if !ok {
		t.Skip("not a storage.Syncer")
	}
	require.NoError(t, y.Sync(), "nothing to do")
	want := random(12, sp.Layout.End())
	write(t, tor, want, 0)
	require.NoError(t, y.Sync())
	require.NoError(t, y.Sync())
	requireRead(t, tor, want, 0)
}

func testPresent(t *testing.T, s storage.Storage) {
	sp := spec(t, "present", false, several("present")...)
	tor := opened(t, s, sp)
	p, ok := tor.(storage.Prober)
	if !ok {
		t.Skip("not a storage.Prober")
	}
	end := sp.Layout.End()
	require.False(t, p.Present(0, 1))
	require.False(t, p.Present(0, end))
	require.True(t, p.Present(0, 0))
	require.False(t, p.Present(-1, 1))
	require.False(t, p.Present(end, 1))
	require.False(t, p.Present(0, end+1))
	require.False(t, p.Present(1, 1<<63-1))
	write(t, tor, []byte("abc"), 3)
	require.True(t, p.Present(3, 3), "own writes are seen")
	write(t, tor, make([]byte, end), 0)
	for i := range sp.Layout.NumPieces() {
		require.True(t, p.Present(sp.Layout.Offset(i, 0), sp.Layout.PieceSize(i)))
	}
	require.True(t, p.Present(0, end))
}

func testRemove(t *testing.T, s storage.Storage) {
	sp := spec(t, "remove", false, several("remove")...)
	tor := opened(t, s, sp)
	r, ok := tor.(storage.Remover)
	if !ok {
		t.Skip("not a storage.Remover")
	}
	other := opened(t, s, spec(t, "other", false, several("other")...))
	write(t, tor, random(13, sp.Layout.End()), 0)
	write(t, other, random(14, sp.Layout.End()), 0)
	require.NoError(t, r.Remove())
	_, err := tor.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, storage.ErrClosed)
	require.NoError(t, tor.Close(), "Remove closed it")
	again := opened(t, s, sp)
	_, err = again.ReadAt(make([]byte, 1), 0)
	require.Error(t, err, "the payload has gone")
	requireRead(t, other, random(14, sp.Layout.End()), 0)
}
