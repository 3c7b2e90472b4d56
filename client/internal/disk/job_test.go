package disk

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
	"github.com/seed1734be99/starling/storage"
)

// span is a range that was read or written.
type span struct{ off, n int64 }

// ram is a torrent in memory that notes what is done with it and can fail.
type ram struct {
	data          []byte
	reads, writes []span
	readErr       error
	writeErr      error
	failAt        int64 // writes at and behind it fail
	short         bool  // reads come short, without an error
}

var _ storage.Torrent = (*ram)(nil)

func (r *ram) ReadAt(p []byte, off int64) (int, error) {
	r.reads = append(r.reads, span{off, int64(len(p))})
	if r.readErr != nil {
		return 0, r.readErr
	}
	if off >= int64(len(r.data)) {
		return 0, io.EOF
	}
	n := copy(p, r.data[off:])
	if r.short {
		return 0, nil
	}
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	if r.writeErr != nil && off >= r.failAt {
		return 0, r.writeErr
	}
	r.writes = append(r.writes, span{off, int64(len(p))})
	return copy(r.data[off:], p), nil
}

func (r *ram) Close() error { return nil }

func random(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func sum(b []byte) metainfo.Hash { return sha1.Sum(b) }

// mask has the n lowest bits set.
func mask(n int) uint64 { return ^uint64(0) >> (64 - n) }

const kib = 1 << 10

// TestVerifyWholePiece: one write, nothing is read back; what is wrong is not
// written at all.
func TestVerifyWholePiece(t *testing.T) {
	for _, size := range []int{1, 256, 16 * kib, 16*kib + 1, 100 * kib, swarm.SlabSize - 1, swarm.SlabSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			data := random(size, 1)
			blocks := (size + piece.BlockSize - 1) / piece.BlockSize
			disk := &ram{data: make([]byte, 2*swarm.SlabSize)}
			j := swarm.Job{Kind: swarm.JobVerify, Addr: 12345, Size: int64(size), Buf: data, Mem: mask(blocks), Last: true, Sum: sum(data)}
			var w work
			require.Equal(t, swarm.Result{OK: true}, w.do(&j, disk))
			require.Equal(t, []span{{12345, int64(size)}}, disk.writes)
			require.Empty(t, disk.reads)
			require.Equal(t, data, disk.data[12345:12345+size])
			require.Nil(t, w.scratch, "no memory is taken for it")

			disk = &ram{data: make([]byte, 2*swarm.SlabSize)}
			j.Sum[7] ^= 1
			require.Equal(t, swarm.Result{}, w.do(&j, disk))
			require.Empty(t, disk.writes, "unverified bytes stay off the disk")
		})
	}
}

// TestVerifyPartlyEvicted: what was evicted is read back, a run at a time,
// and only the rest is written.
func TestVerifyPartlyEvicted(t *testing.T) {
	const size = 9*piece.BlockSize + 777 // ten blocks, the last one short
	data := random(size, 2)
	for _, tc := range []struct {
		name          string
		disk          uint64
		nothing       bool // in memory
		reads, writes []span
	}{
		{"first", 0b1, false, []span{{0, 1}}, []span{{1, 9}}},
		{"middle", 0b0001110000, false, []span{{4, 3}}, []span{{0, 4}, {7, 3}}},
		{"last, short", 0b1000000000, false, []span{{9, 1}}, []span{{0, 9}}},
		{"every other", 0b0101010101, false, []span{{0, 1}, {2, 1}, {4, 1}, {6, 1}, {8, 1}}, []span{{1, 1}, {3, 1}, {5, 1}, {7, 1}, {9, 1}}},
		{"all", mask(10), true, []span{{0, 10}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const addr = 3 * piece.BlockSize
			d := &ram{data: make([]byte, swarm.SlabSize)}
			buf := bytes.Clone(data)
			for k := range 10 {
				if tc.disk&(1<<k) != 0 { // it is on disk, and the buffer holds something else
					from, to := k*piece.BlockSize, min((k+1)*piece.BlockSize, size)
					copy(d.data[addr+from:], data[from:to])
					copy(buf[from:to], random(to-from, 9))
				}
			}
			j := swarm.Job{Kind: swarm.JobVerify, Addr: addr, Size: size, Buf: buf, Mem: mask(10) &^ tc.disk, Disk: tc.disk, Last: true, Sum: sum(data)}
			if tc.nothing {
				j.Buf = nil
			}
			var w work
			require.Equal(t, swarm.Result{OK: true}, w.do(&j, d))
			require.Equal(t, inBytes(tc.reads, addr, size), d.reads)
			require.Equal(t, inBytes(tc.writes, addr, size), d.writes)
			require.Equal(t, data, d.data[addr:addr+size])
		})
	}
}

// inBytes turns spans of blocks into ranges of addresses.
func inBytes(s []span, addr, size int64) (b []span) {
	for _, x := range s {
		from := x.off * piece.BlockSize
		b = append(b, span{addr + from, min(from+x.n*piece.BlockSize, size) - from})
	}
	return b
}

// TestVerifyPieceOfManySlabs: the digest runs over the slabs in order, and
// the last one compares.
func TestVerifyPieceOfManySlabs(t *testing.T) {
	const size = 3*swarm.SlabSize + 50*kib
	data := random(size, 3)
	for _, wrong := range []bool{false, true} {
		d := &ram{data: make([]byte, size)}
		digest := sha1.New()
		want := sum(data)
		if wrong {
			want[0] ^= 1
		}
		// The second slab was wholly evicted.
		copy(d.data[swarm.SlabSize:], data[swarm.SlabSize:2*swarm.SlabSize])
		var w work
		for k := range 4 {
			from, to := k*swarm.SlabSize, min((k+1)*swarm.SlabSize, size)
			n := (to - from + piece.BlockSize - 1) / piece.BlockSize
			j := swarm.Job{Kind: swarm.JobVerify, Addr: int64(from), Size: int64(to - from), Digest: digest, Last: k == 3, Sum: want}
			if k == 1 {
				j.Disk = mask(n)
			} else {
				j.Buf, j.Mem = data[from:to], mask(n)
			}
			r := w.do(&j, d)
			require.NoError(t, r.Err)
			require.Equal(t, k < 3 || !wrong, r.OK, "slab %d", k)
		}
		if !wrong {
			require.True(t, bytes.Equal(data, d.data))
		}
		require.Len(t, d.reads, 1)
	}
}

// TestEvict writes the blocks that have landed, adjacent ones at once, and
// leaves the others alone: readers may be writing to them.
func TestEvict(t *testing.T) {
	const size = 10*piece.BlockSize + 5
	data := random(size, 4)
	d := &ram{data: make([]byte, swarm.SlabSize)}
	j := swarm.Job{Kind: swarm.JobEvict, Addr: 0, Size: size, Buf: data, Mem: 0b11000110011}
	var w work
	require.Equal(t, swarm.Result{OK: true}, w.do(&j, d))
	require.Equal(t, inBytes([]span{{0, 2}, {4, 2}, {9, 2}}, 0, size), d.writes)
	require.Equal(t, make([]byte, 2*piece.BlockSize), d.data[2*piece.BlockSize:4*piece.BlockSize])
}

// TestCheck: a piece on disk is right, wrong, or missing; what can't be read
// is missing, with the error beside it.
func TestCheck(t *testing.T) {
	const size = 2*swarm.SlabSize + 3
	data := random(size, 5)
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		disk *ram
		ok   bool
		err  error
	}{
		{"right", &ram{data: data}, true, nil},
		{"wrong", &ram{data: make([]byte, size)}, false, nil},
		{"short file", &ram{data: data[:size-1]}, false, io.ErrUnexpectedEOF},
		{"no file", &ram{}, false, io.EOF},
		{"broken", &ram{readErr: broken}, false, broken},
		{"a storage that reads nothing and says nothing", &ram{data: data, short: true}, false, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := work{}
			for range 2 { // a worker's memory is used again
				j := swarm.Job{Kind: swarm.JobCheck, Size: size, Sum: sum(data)}
				r := w.do(&j, tc.disk)
				require.Equal(t, tc.ok, r.OK)
				require.ErrorIs(t, r.Err, tc.err)
			}
			require.LessOrEqual(t, len(w.scratch), swarm.SlabSize)
		})
	}
}

// TestFailingStorage: the error comes out, whichever job meets it.
func TestFailingStorage(t *testing.T) {
	broken := errors.New("no space left")
	data := random(4*piece.BlockSize, 6)
	var w work
	for _, j := range []swarm.Job{
		{Kind: swarm.JobVerify, Buf: data, Mem: mask(4), Last: true, Sum: sum(data)},
		{Kind: swarm.JobVerify, Buf: data, Mem: mask(4), Digest: sha1.New()},
		{Kind: swarm.JobEvict, Buf: data, Mem: 0b1010},
	} {
		j.Size = int64(len(data))
		require.ErrorIs(t, w.do(&j, &ram{data: make([]byte, len(data)), writeErr: broken}).Err, broken)
	}
	for _, buf := range [][]byte{data, nil} {
		j := swarm.Job{Kind: swarm.JobVerify, Size: int64(len(data)), Buf: buf, Disk: 0b1111, Last: true, Sum: sum(data)}
		r := w.do(&j, &ram{readErr: broken})
		require.ErrorIs(t, r.Err, broken)
		require.False(t, r.OK)
	}
}

// TestMetadata compares the hash of an info dictionary.
func TestMetadata(t *testing.T) {
	raw := random(40*kib, 7)
	var w work
	require.True(t, w.do(&swarm.Job{Kind: swarm.JobMetadata, Buf: raw, Sum: sum(raw)}, nil).OK)
	require.False(t, w.do(&swarm.Job{Kind: swarm.JobMetadata, Buf: raw}, nil).OK)
}

// TestRuns compares with a bit at a time.
func TestRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		a, b := r.Uint64(), r.Uint64()
		m := a | b // mostly long runs
		if r.IntN(3) == 0 {
			m = a & b // mostly short ones
		}
		n := 1 + r.IntN(64)
		m &= mask(n)
		size := (n-1)*piece.BlockSize + 1 + r.IntN(piece.BlockSize)
		var got, total uint64
		last := -1
		for a, b := range runs(m, size) {
			require.Greater(t, a, last, "runs are apart and in order")
			require.Less(t, a, b)
			require.LessOrEqual(t, b, size)
			last = b
			total += uint64(b - a)
			for k := a / piece.BlockSize; k*piece.BlockSize < b; k++ {
				got |= 1 << k
			}
		}
		require.Equal(t, m, got)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{16 * kib, 256 * kib, 1 << 20} {
		name := fmt.Sprintf("size=%dKiB", size/kib)
		if size == 1<<20 {
			name = "size=1MiB"
		}
		b.Run(name, func(b *testing.B) {
			data := random(size, 8)
			d := &ram{data: make([]byte, size)}
			d.writes = make([]span, 0, 1)
			j := swarm.Job{Kind: swarm.JobVerify, Size: int64(size), Buf: data, Mem: mask(size / piece.BlockSize), Last: true, Sum: sum(data)}
			var w work
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				d.writes = d.writes[:0]
				if r := w.do(&j, d); !r.OK {
					b.Fatal(r)
				}
			}
		})
	}
}
