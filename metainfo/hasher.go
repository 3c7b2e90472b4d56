package metainfo

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// hasher hashes the pieces of files on disk.
type hasher struct {
	layout   *Layout
	root     string // the file, or the folder of all
	multi    bool
	progress func(done, total int64)
	pieces   []byte // the hashes; each worker writes those of its pieces

	mu   sync.Mutex
	next int // piece to be hashed next
	err  error

	reporting sync.Mutex // held while progress is called
	done      int64
}

// run hashes all pieces and returns the hashes. Its goroutines are gone when it
// returns.
func (h *hasher) run(ctx context.Context, workers int) ([]byte, error) {
	n := h.layout.NumPieces()
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	h.pieces = make([]byte, n*len(Hash{}))
	var all sync.WaitGroup
	for range min(workers, n) {
		all.Go(func() { h.work(ctx) })
	}
	all.Wait()
	if h.err == nil {
		h.err = h.checkEmpty(ctx)
	}
	return h.pieces, h.err
}

// checkEmpty fails if a file is gone, or longer, that was empty: no piece has
// looked at it.
func (h *hasher) checkEmpty(ctx context.Context) error {
	for i := range h.layout.Files() {
		if h.layout.Files()[i].Length > 0 {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		f, err := h.open(i)
		if err != nil {
			return err
		}
		f.Close()
	}
	return context.Cause(ctx)
}

// take returns the next piece to be hashed, or false when there is none or
// something went wrong.
func (h *hasher) take() (int, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil || h.next == h.layout.NumPieces() {
		return 0, false
	}
	h.next++
	return h.next - 1, true
}

func (h *hasher) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = err
	}
}

// worker is what one goroutine needs: the file it has open, and buffers.
type worker struct {
	*hasher
	file  *os.File
	index int // of file
	spans []Span
	buf   []byte
	sum   hash.Hash
}

func (h *hasher) work(ctx context.Context) {
	w := worker{hasher: h, buf: make([]byte, min(256<<10, h.layout.PieceLength())), sum: sha1.New()}
	defer w.close()
	for {
		piece, ok := h.take()
		if !ok {
			return
		}
		if err := w.hash(ctx, piece); err != nil {
			h.fail(err)
			return
		}
		if h.progress != nil {
			h.report(h.layout.PieceSize(piece))
		}
	}
}

// report calls the user's function. It has a lock of its own, so that workers
// go on meanwhile.
func (h *hasher) report(n int64) {
	h.reporting.Lock()
	defer h.reporting.Unlock()
	h.done += n
	h.progress(h.done, h.layout.Length())
}

// hash hashes one piece.
func (w *worker) hash(ctx context.Context, piece int) error {
	w.sum.Reset()
	size := w.layout.PieceSize(piece)
	w.spans = w.layout.Spans(w.spans[:0], w.layout.Offset(piece, 0), size)
	for _, span := range w.spans {
		if err := w.use(span.File); err != nil {
			return err
		}
		for done := int64(0); done < span.Length; {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			b := w.buf[:min(int64(len(w.buf)), span.Length-done)]
			if _, err := w.file.ReadAt(b, span.Offset+done); errors.Is(err, io.EOF) {
				return fmt.Errorf("%s: %w", w.file.Name(), errChanged)
			} else if err != nil {
				return err
			}
			w.sum.Write(b)
			done += int64(len(b))
		}
	}
	at := piece * len(Hash{})
	w.sum.Sum(w.pieces[at : at : at+len(Hash{})])
	return nil
}

// use opens a file unless it is the one that is open.
func (w *worker) use(file int) error {
	if w.file != nil && w.index == file {
		return nil
	}
	w.close()
	f, err := w.open(file)
	if err != nil {
		return err
	}
	w.file, w.index = f, file
	return nil
}

func (w *worker) close() {
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
}

// open opens a file and checks that it is as long as it was.
func (h *hasher) open(file int) (*os.File, error) {
	entry := &h.layout.Files()[file]
	path := h.root
	if h.multi {
		path = filepath.Join(append([]string{path}, entry.Path[1:]...)...)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (info.Size() != entry.Length || !info.Mode().IsRegular()) {
		err = fmt.Errorf("%s: %w", path, errChanged)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
