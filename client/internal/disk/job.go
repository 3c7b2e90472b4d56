package disk

import (
	"crypto/sha1"
	"hash"
	"io"
	"math/bits"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
	"github.com/seed1734be99/starling/storage"
)

// work is a worker's own memory: a buffer of one slab, made when it first
// reads, and a hash.
type work struct {
	scratch []byte
	hash    hash.Hash
}

func (w *work) buffer(n int64) []byte {
	if w.scratch == nil {
		w.scratch = make([]byte, swarm.SlabSize)
	}
	return w.scratch[:min(n, swarm.SlabSize)]
}

// do carries a job out. No lock is held.
func (w *work) do(j *swarm.Job, st storage.Torrent) swarm.Result {
	switch j.Kind {
	case swarm.JobVerify:
		return w.verify(j, st)
	case swarm.JobEvict:
		return swarm.Result{OK: true, Err: writeBlocks(st, j.Buf, j.Addr, j.Mem)}
	case swarm.JobCheck:
		return w.check(j, st)
	case swarm.JobMetadata:
		return swarm.Result{OK: metainfo.Hash(sha1.Sum(j.Buf)) == j.Sum}
	}
	return swarm.Result{}
}

// verify completes a slab from the disk where parts of it were evicted,
// hashes it, and writes what is in memory: of a piece of one slab only when
// its hash is right.
func (w *work) verify(j *swarm.Job, st storage.Torrent) swarm.Result {
	buf := j.Buf
	if buf == nil {
		buf = w.buffer(j.Size)
	}
	for a, b := range runs(j.Disk, int(j.Size)) {
		if _, err := st.ReadAt(buf[a:b], j.Addr+int64(a)); err != nil {
			return swarm.Result{Err: err}
		}
	}
	if j.Digest == nil {
		if metainfo.Hash(sha1.Sum(buf)) != j.Sum {
			return swarm.Result{}
		}
	} else {
		j.Digest.Write(buf)
		if j.Last && !matches(j.Digest, j.Sum) {
			return swarm.Result{}
		}
	}
	return swarm.Result{OK: true, Err: writeBlocks(st, buf, j.Addr, j.Mem)}
}

func matches(h hash.Hash, want metainfo.Hash) bool {
	var sum [sha1.Size]byte
	return metainfo.Hash(h.Sum(sum[:0])) == want
}

// check reads a whole piece and hashes it. What can't be read is missing.
func (w *work) check(j *swarm.Job, st storage.Torrent) swarm.Result {
	if w.hash == nil {
		w.hash = sha1.New()
	}
	w.hash.Reset()
	for off := int64(0); off < j.Size; {
		buf := w.buffer(j.Size - off)
		n, err := st.ReadAt(buf, j.Addr+off)
		if n < len(buf) && (err != nil || n == 0) {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return swarm.Result{Err: err}
		}
		w.hash.Write(buf)
		off += int64(n)
	}
	return swarm.Result{OK: matches(w.hash, j.Sum)}
}

// writeBlocks writes the blocks of mask that buf holds, adjacent ones at once:
// a whole slab with one write.
func writeBlocks(st storage.Torrent, buf []byte, addr int64, mask uint64) error {
	for a, b := range runs(mask, len(buf)) {
		if _, err := st.WriteAt(buf[a:b], addr+int64(a)); err != nil {
			return err
		}
	}
	return nil
}

// runs yields the byte ranges of adjacent blocks in mask, cut at size.
func runs(mask uint64, size int) func(func(a, b int) bool) {
	return func(yield func(a, b int) bool) {
		for mask != 0 {
			from := bits.TrailingZeros64(mask)
			n := bits.TrailingZeros64(^(mask >> from))
			if !yield(from*piece.BlockSize, min((from+n)*piece.BlockSize, size)) || from+n >= 64 {
				return
			}
			mask &^= 1<<(from+n) - 1
		}
	}
}
