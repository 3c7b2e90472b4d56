//go:build linux

package interop_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shape is a payload to be made: one file, or a folder of files.
type shape struct {
	name     string
	pieceLen int64
	files    []file // one file with an empty path: the payload is that file
}

type file struct {
	path string // with slashes, below the folder
	size int64
}

func oneFile(name string, size, pieceLen int64) shape {
	return shape{name: name, pieceLen: pieceLen, files: []file{{size: size}}}
}

// plain is what most tests pass around: 5 MiB and a bit, in 81 pieces.
var plain = oneFile("plain.bin", 5<<20+12345, 64<<10)

// tinyPieces are 87 pieces smaller than a block, the last of 153 bytes.
var tinyPieces = oneFile("tiny pieces.bin", 22169, 256)

// folder has what goes wrong in folders: empty files at the start, between and
// at the end, files smaller than a block, many files in one piece, files that
// end inside a piece and inside a block, unicode in every name.
var folder = shape{name: "Pāka 包裹 папка ☃", pieceLen: 32 << 10, files: []file{
	{"0 empty", 0},
	{"a/naïve é.txt", 16383},
	{"a/one byte", 1},
	{"a/кусок.bin", 700},
	{"b/between", 0},
	{"b/日本語/ファイル.dat", 100000},
	{"c/exactly two pieces", 64 << 10},
	{"c/ends inside a block", 3*32<<10 + 77},
	{"d/big", 1<<20 + 1},
	{"d/😀/tail", 5},
	{"z empty", 0},
}}

// payload is a shape on disk, with its torrent.
type payload struct {
	shape
	dir      string // holds the file or folder called name
	torrent  string // path of the .torrent
	infoHash [20]byte
	sums     map[string][sha256.Size]byte // by path below dir, with slashes
}

func (p *payload) path() string  { return filepath.Join(p.dir, p.name) }
func (p *payload) single() bool  { return len(p.files) == 1 && p.files[0].path == "" }
func (p *payload) hexID() string { return hex.EncodeToString(p.infoHash[:]) }

// makePayload writes random files and a torrent of them that names the trackers.
func makePayload(t *testing.T, s shape, trackers ...string) *payload {
	t.Helper()
	p := &payload{shape: s, dir: t.TempDir(), sums: map[string][sha256.Size]byte{}}
	rng := rand.NewChaCha8(sha256.Sum256([]byte(t.Name() + s.name)))
	var pieces pieceHasher
	pieces.size = s.pieceLen
	for _, f := range p.files {
		rel := filepath.ToSlash(filepath.Join(p.name, filepath.FromSlash(f.path)))
		path := filepath.Join(p.dir, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		w, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		_, err = io.CopyN(io.MultiWriter(w, sum, &pieces), rng, f.size)
		if err2 := w.Close(); err == nil {
			err = err2
		}
		if err != nil {
			t.Fatal(err)
		}
		p.sums[rel] = [sha256.Size]byte(sum.Sum(nil))
	}
	p.writeTorrent(t, pieces.all(), trackers)
	return p
}

// pieceHasher hashes the files written to it back to back, piece by piece.
type pieceHasher struct {
	size   int64
	piece  bytes.Buffer
	hashes []byte
}

func (h *pieceHasher) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), int(h.size)-h.piece.Len())
		h.piece.Write(b[:k])
		b = b[k:]
		if h.piece.Len() == int(h.size) {
			h.flush()
		}
	}
	return n, nil
}

func (h *pieceHasher) flush() {
	sum := sha1.Sum(h.piece.Bytes())
	h.hashes = append(h.hashes, sum[:]...)
	h.piece.Reset()
}

func (h *pieceHasher) all() []byte {
	if h.piece.Len() > 0 {
		h.flush()
	}
	return h.hashes
}

// writeTorrent writes the .torrent by hand, so that what the library makes of
// torrents is measured against something else.
func (p *payload) writeTorrent(t *testing.T, pieces []byte, trackers []string) {
	t.Helper()
	var info bytes.Buffer
	info.WriteByte('d')
	if p.single() {
		fmt.Fprintf(&info, "6:lengthi%de", p.files[0].size)
	} else {
		info.WriteString("5:filesl")
		for _, f := range p.files {
			fmt.Fprintf(&info, "d6:lengthi%de4:pathl", f.size)
			for part := range strings.SplitSeq(f.path, "/") {
				info.WriteString(bstring(part))
			}
			info.WriteString("ee")
		}
		info.WriteByte('e')
	}
	fmt.Fprintf(&info, "4:name%s12:piece lengthi%de6:pieces%se", bstring(p.name), p.pieceLen, bstring(string(pieces)))
	p.infoHash = sha1.Sum(info.Bytes())

	var out bytes.Buffer
	out.WriteByte('d')
	if len(trackers) > 0 {
		fmt.Fprintf(&out, "8:announce%s", bstring(trackers[0]))
	}
	if len(trackers) > 1 {
		out.WriteString("13:announce-listl")
		for _, u := range trackers {
			fmt.Fprintf(&out, "l%se", bstring(u))
		}
		out.WriteByte('e')
	}
	fmt.Fprintf(&out, "4:info%se", info.Bytes())
	p.torrent = filepath.Join(t.TempDir(), "payload.torrent")
	if err := os.WriteFile(p.torrent, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func bstring(s string) string { return fmt.Sprintf("%d:%s", len(s), s) }

// mustBeIn compares every file with the original by SHA-256. With skipEmpty,
// empty files may be missing: not every client makes them.
func (p *payload) mustBeIn(t *testing.T, dir string, skipEmpty bool) {
	t.Helper()
	empty := sha256.Sum256(nil)
	var wrong []string
	for rel, want := range p.sums {
		got, err := sumFile(filepath.Join(dir, filepath.FromSlash(rel)))
		switch {
		case err != nil && skipEmpty && want == empty && os.IsNotExist(err):
		case err != nil:
			wrong = append(wrong, err.Error())
		case got != want:
			wrong = append(wrong, fmt.Sprintf("%s: SHA-256 %x instead of %x", rel, got, want))
		}
	}
	slices.Sort(wrong)
	if wrong != nil {
		t.Errorf("the payload is not the same:\n%s\nthe folder holds:\n%s", strings.Join(wrong, "\n"), tree(dir))
	}
}

func sumFile(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func tree(dir string) string {
	var b strings.Builder
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		rel, _ := filepath.Rel(dir, path)
		if i, err := d.Info(); err == nil {
			fmt.Fprintf(&b, "  %10d %s\n", i.Size(), rel)
		}
		return nil
	})
	return b.String()
}

// magnet names the payload and whatever else is given: tr=URL, x.pe=HOST:PORT.
func (p *payload) magnet(more ...string) string {
	m := "magnet:?xt=urn:btih:" + p.hexID()
	for _, s := range more {
		m += "&" + s
	}
	return m
}

// TestLibtorrentSeesTheSameInfohash keeps the torrents made here honest.
func TestLibtorrentSeesTheSameInfohash(t *testing.T) {
	t.Parallel()
	need(t, libtorrent)
	for _, s := range []shape{plain, folder, tinyPieces} {
		p := makePayload(t, s)
		ctx := within(t, 20*time.Second)
		lt := start(t, python, ltScript(t), "hash", p.torrent)
		lt.finish(t, ctx)
		if got := strings.TrimSpace(lt.said.String()); got != p.hexID() {
			t.Errorf("%s: libtorrent says %s, made as %s", s.name, got, p.hexID())
		}
	}
}
