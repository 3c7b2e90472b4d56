package metainfo

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
)

type dict = map[string]any

// encode returns v bencoded.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := bencode.Marshal(v)
	require.NoError(t, err)
	return b
}

// with returns the info dictionary of a single file of five bytes with some keys
// changed; nil removes one.
func with(changes dict) dict {
	d := dict{"length": 5, "name": "a", "piece length": 16384, "pieces": strings.Repeat("\x11", 20)}
	maps.Copy(d, changes)
	maps.DeleteFunc(d, func(_ string, v any) bool { return v == nil })
	return d
}

// files returns the info dictionary of several files. Their bytes must fit into
// one piece.
func files(list ...any) dict { return with(dict{"length": nil, "files": list}) }

func file(length int, path ...string) dict { return dict{"length": length, "path": path} }

// Every file in testdata/bad is named for its one fault.
func TestBadTorrents(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.torrent")
	require.NoError(t, err)
	require.Greater(t, len(names), 50, "testdata is missing")
	kinds := map[string]error{
		"empty": ErrNotTorrent, "not-bencoding": ErrNotTorrent, "a-list": ErrNotTorrent, "a-string": ErrNotTorrent,
		"no-info": ErrNotTorrent, "cut-off": ErrNotTorrent, "bytes-behind": ErrNotTorrent, "two-newlines-behind": ErrNotTorrent,
		"nested-too-deep": ErrNotTorrent, "string-length-lies": ErrNotTorrent,
		"integer-with-leading-zero": ErrNotTorrent, "integer-minus-zero": ErrNotTorrent, "integer-beyond-64-bits": ErrNotTorrent,
		"piece-length-above-limit": ErrTooLarge, "piece-length-2-to-31": ErrTooLarge, "piece-length-2-to-62": ErrTooLarge,
		"length-2-to-63-minus-1": ErrTooLarge, "length-needs-too-many-pieces": ErrTooLarge,
		"file-lengths-overflow": ErrTooLarge, "file-lengths-near-2-to-63": ErrTooLarge,
		"file-path-too-deep": ErrTooLarge, "file-path-too-long": ErrTooLarge, "padding-of-a-tebibyte": ErrTooLarge,
		"v2-only": ErrUnsupportedVersion, "meta-version-3": ErrUnsupportedVersion,
		"meta-version-0": ErrUnsupportedVersion, "meta-version-a-string": ErrUnsupportedVersion,
	}
	for _, name := range names {
		fault := strings.TrimSuffix(filepath.Base(name), ".torrent")
		t.Run(fault, func(t *testing.T) {
			want := ErrInvalid
			if kind, ok := kinds[fault]; ok {
				want = kind
			}
			m, err := LoadFile(name)
			require.Nil(t, m)
			require.ErrorIs(t, err, want)
			require.Contains(t, err.Error(), name)
			require.Less(t, len(err.Error()), 300)
			t.Log(err)
			delete(kinds, fault)
		})
	}
	require.Empty(t, kinds, "files that are missing")
}

func TestParseInfoSingle(t *testing.T) {
	raw := encode(t, with(dict{"name": "crop.05:00.jpg", "length": 22169, "piece length": 256,
		"pieces": strings.Repeat("\x01", 20*86) + strings.Repeat("\x02", 20), "private": 1, "source": "ABC\x1b", "attr": "xhp?"}))
	info, err := parseInfo(raw, "linux")
	require.NoError(t, err)
	require.Equal(t, "crop.05:00.jpg", info.Name)
	require.Equal(t, []File{{Path: []string{"crop.05:00.jpg"}, Raw: []string{"crop.05:00.jpg"}, Length: 22169, Executable: true, Hidden: true}}, info.Files)
	require.False(t, info.Multi)
	require.True(t, info.Private)
	require.Equal(t, "ABC_", info.Source)
	require.Equal(t, 87, info.NumPieces())
	require.EqualValues(t, 22169, info.Length())
	require.EqualValues(t, 153, info.Layout().PieceSize(86))
	require.Equal(t, Hash([]byte(strings.Repeat("\x02", 20))), info.PieceHash(86))
	require.Panics(t, func() { info.PieceHash(87) })

	info, err = parseInfo(raw, "windows")
	require.NoError(t, err)
	require.Equal(t, "crop.05_00.jpg", info.Name)
	require.Equal(t, []string{"crop.05_00.jpg"}, info.Files[0].Path)
	require.Equal(t, "crop.05:00.jpg", info.RawName)
}

func TestParseInfoMulti(t *testing.T) {
	info, err := ParseInfo(encode(t, with(dict{"name": "album", "files": []any{
		file(3, "disc 1", "a.mp3"), file(0, "empty"), file(2, "disc 1", "../up"),
	}})))
	require.NoError(t, err)
	require.True(t, info.Multi, "files count more than a length beside them")
	require.Equal(t, []File{
		{Path: []string{"album", "disc 1", "a.mp3"}, Raw: []string{"disc 1", "a.mp3"}, Length: 3},
		{Path: []string{"album", "empty"}, Raw: []string{"empty"}},
		{Path: []string{"album", "disc 1", ".._up"}, Raw: []string{"disc 1", "../up"}, Length: 2},
	}, info.Files)
	require.Equal(t, cap(info.Files[0].Path), 3, "appending to a path must not reach the next one")

	info, err = ParseInfo(encode(t, files(file(5, "x"))))
	require.NoError(t, err)
	require.True(t, info.Multi, "one file in a folder")
	require.Equal(t, []string{"a", "x"}, info.Files[0].Path)
}

// No path leads out of the save folder, and no two are the same, on any system.
func TestPathsAreContained(t *testing.T) {
	evil := []string{
		"..", ".", "", "/", "//", "../..", "/etc", `..\..`, `\\host\share`, "C:", `C:\`, "C:/x", "a/b", `a\b`, "nul", "CON", "aux.txt",
		"x\x00y", "x\ny", "x\u202ey", "x\xff", "x.", "x ", "x", "X", "x:y", strings.Repeat("z", 300), strings.Repeat("Z", 300), "é", "e\u0301",
	}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		var list []any
		for _, a := range evil {
			list = append(list, file(0, a), file(0, a), file(0, "d", a), file(0, a, "d"), file(0, a, a))
		}
		list = append(list, file(5, "last"))
		for _, name := range evil {
			info, err := parseInfo(encode(t, func() dict { d := files(list...); d["name"] = name; return d }()), goos)
			require.NoError(t, err)
			seen := make(map[string]bool)
			folders := make(map[string]bool)
			for _, f := range info.Files {
				require.Equal(t, info.Name, f.Path[0])
				for i, c := range f.Path {
					require.Equal(t, c, safeName(c, goos), "%q on %s", f.Raw, goos)
					require.True(t, filepath.IsLocal(c))
					if i > 0 {
						folders[fold(strings.Join(f.Path[:i], "/"))] = true
					}
				}
				path := fold(strings.Join(f.Path, "/"))
				require.False(t, seen[path], "%q on %s", f.Path, goos)
				seen[path] = true
			}
			for path := range seen {
				require.False(t, folders[path], "%q is a file and a folder", path)
			}
		}
	}
}

// Torrents without a usable name do not share a folder.
func TestNamelessTorrents(t *testing.T) {
	for _, name := range []string{"", ".", ".."} {
		raw := encode(t, with(dict{"name": name}))
		info, err := ParseInfo(raw)
		require.NoError(t, err)
		require.Equal(t, SumHash(raw).String(), info.Name)
		require.Equal(t, name, info.RawName)
	}
}

// The check runs on the names that are used.
func TestUTF8Names(t *testing.T) {
	f := file(5, "x")
	f["path.utf-8"] = []string{"..", "..", "\u202eevil"}
	d := files(f)
	d["name.utf-8"] = "../up"
	info, err := ParseInfo(encode(t, d))
	require.NoError(t, err)
	require.Equal(t, ".._up", info.Name)
	require.Equal(t, []string{".._up", "__", "__", "_evil"}, info.Files[0].Path)

	// What is not UTF-8, or no list of strings, is not used.
	for _, bad := range []any{[]string{"\xff"}, []any{}, []any{1}, "x", 7, []any{"x", []any{}}} {
		f["path.utf-8"] = bad
		info, err = ParseInfo(encode(t, files(f)))
		require.NoError(t, err)
		require.Equal(t, []string{"a", "x"}, info.Files[0].Path)
	}
	for _, bad := range []any{"\xff", "", 7} {
		info, err = ParseInfo(encode(t, with(dict{"name.utf-8": bad})))
		require.NoError(t, err)
		require.Equal(t, "a", info.Name)
	}
}

func TestBEP47_Attributes(t *testing.T) {
	pad := func(n int) dict { return dict{"length": n, "attr": "p"} }
	named := pad(2)
	named["path"] = []string{".pad", "2"}
	link := dict{"attr": "l", "path": []string{"link"}, "symlink path": []string{"..", "etc"}}
	longLink := dict{"attr": "l", "length": 1, "path": []string{"long"}, "symlink path": []string{"x"}}
	lost := dict{"attr": "lx", "path": []string{"lost"}, "symlink path": []any{1}}
	below := file(0, "link", "below")
	info, err := ParseInfo(encode(t, files(pad(2), named, named, link, longLink, lost, below)))
	require.NoError(t, err)
	require.Equal(t, []File{
		{Path: []string{"a", ".pad", "2"}, Length: 2, Pad: true},
		{Path: []string{"a", ".pad", "2"}, Raw: []string{".pad", "2"}, Length: 2, Pad: true},
		{Path: []string{"a", ".pad", "2"}, Raw: []string{".pad", "2"}, Length: 2, Pad: true},
		{Path: []string{"a", "link"}, Raw: []string{"link"}, Symlink: true, Target: []string{"..", "etc"}},
		{Path: []string{"a", "long"}, Raw: []string{"long"}, Length: 1},
		{Path: []string{"a", "lost"}, Raw: []string{"lost"}, Executable: true},
		{Path: []string{"a", "link (2)", "below"}, Raw: []string{"link", "below"}}, // never below a link
	}, info.Files)
}

func TestBEP52_HybridIsUsedAsV1(t *testing.T) {
	info, err := ParseInfo(encode(t, with(dict{"meta version": 2, "file tree": dict{"other": 7}})))
	require.NoError(t, err)
	require.Equal(t, 2, info.MetaVersion)
	require.Equal(t, []string{"a"}, info.Files[0].Path)
}

func TestBEP27_Private(t *testing.T) {
	for v, want := range map[any]bool{nil: false, 0: false, 1: true, 2: true, "1": false} {
		info, err := ParseInfo(encode(t, with(dict{"private": v})))
		require.NoError(t, err)
		require.Equal(t, want, info.Private, v)
	}
}

// The infohash is of the bytes as found; keys may be unsorted, unknown or double.
func TestInfoAsFound(t *testing.T) {
	raw := "d5:zzzzzli1ee6:pieces20:" + strings.Repeat("\x11", 20) + "4:name1:a4:name1:b6:lengthi5e12:piece lengthi16384e6:lengthi9ee"
	info, err := ParseInfo([]byte(raw))
	require.NoError(t, err)
	require.Equal(t, "a", info.Name, "the first one counts")
	require.EqualValues(t, 5, info.Length())
	m, err := Parse([]byte("d4:info" + raw + "1:ai1ee\r\n"))
	require.NoError(t, err)
	require.Equal(t, raw, string(m.InfoBytes))
	require.Equal(t, SumHash([]byte(raw)), m.Hashes().V1)
	require.True(t, m.Hashes().V2.IsZero())

	for _, bad := range []string{raw + "\n", raw + raw, "\n" + raw, "le", "", "4:spam"} {
		_, err := ParseInfo([]byte(bad))
		require.ErrorIs(t, err, ErrInvalid)
	}
	_, err = ParseInfo(make([]byte, MaxSize+1))
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, fmt.Sprint(MaxSize))
}

// The infohashes are libtorrent's.
func TestInfohashAgreesWithLibtorrent(t *testing.T) {
	hash := strings.Repeat("\x11", 20)
	for in, want := range map[string]string{
		"d8:announce25:http://t.example/announce4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:" + hash + "ee": "eb516e2c4c6f176e6afe9de85eca7da85dad06c4",
		"d4:infod5:zzzzzli1ee6:pieces20:" + hash + "4:name1:a6:lengthi5e12:piece lengthi16384e1:bd1:xi1e1:ai2eee1:ai1ee":    "ad69e30454ed1ba47d8fc6289d0c01e082fe7004",
	} {
		m, err := Parse([]byte(in))
		require.NoError(t, err)
		require.Equal(t, want, m.Hashes().String())
	}
}

func TestInfoWithoutBytes(t *testing.T) {
	info, err := ParseInfo(encode(t, with(dict{"length": 0, "pieces": ""})))
	require.NoError(t, err)
	require.Zero(t, info.NumPieces())
	require.Zero(t, info.Layout().NumPieces())
}

func TestInfoByHand(t *testing.T) {
	info := Info{PieceLength: 10, Files: sized(15), Pieces: make([]byte, 40)}
	require.Equal(t, 2, info.Layout().NumPieces())
	require.Nil(t, (&Info{}).Layout())
}

// largeInfo has so many files and pieces.
func largeInfo(files, pieces int) []byte {
	const pieceLength = 16 << 10
	each := int64(pieces) * pieceLength / int64(files)
	b := []byte("d5:filesl")
	for i := range files {
		b = bencode.AppendInt(append(b, "d6:length"...), each)
		b = append(b, "4:pathl"...)
		b = bencode.AppendString(b, fmt.Sprintf("Folder %d", i/100))
		b = bencode.AppendString(b, fmt.Sprintf("IMG_%06d.jpg", i))
		b = append(b, "ee"...)
	}
	b = append(b, "e4:name5:large12:piece lengthi16384e6:pieces"...)
	b = bencode.AppendString(b, make([]byte, 20*((each*int64(files)+pieceLength-1)/pieceLength)))
	return append(b, 'e')
}

func TestLargeInfo(t *testing.T) {
	info, err := ParseInfo(largeInfo(100_000, 500_000))
	require.NoError(t, err)
	require.Len(t, info.Files, 100_000)
	require.Equal(t, []string{"large", "Folder 999", "IMG_099999.jpg"}, info.Files[99_999].Path)
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ files, pieces int }{{1, 1000}, {10_000, 100_000}} {
		in := slices.Concat([]byte("d4:info"), largeInfo(c.files, c.pieces), []byte("e"))
		b.Run(fmt.Sprintf("files=%d/pieces=%d", c.files, c.pieces), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add(encode(f, with(nil)))
	f.Add(encode(f, files(file(2, "x"), file(3, "y", "x"), dict{"attr": "p", "length": 0}, dict{"attr": "l", "path": []string{"X"}, "symlink path": []string{"x"}})))
	names, _ := filepath.Glob("testdata/bad/*.torrent")
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		if _, info, ok := bytes.Cut(b, []byte("4:info")); ok && len(info) > 1 {
			f.Add(info[:len(info)-1])
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, goos := range []string{"linux", "windows"} {
			info, err := parseInfo(raw, goos)
			if err != nil {
				continue
			}
			checkInfo(t, info, goos)
		}
	})
}

// checkInfo holds of everything that ParseInfo returns.
func checkInfo(t *testing.T, info *Info, goos string) {
	t.Helper()
	require.NotEmpty(t, info.Files)
	l := info.Layout()
	require.NotNil(t, l)
	require.Equal(t, info.NumPieces(), l.NumPieces())
	require.Equal(t, info.Length(), l.Length())
	seen := make(map[string]bool)
	for _, f := range info.Files {
		require.GreaterOrEqual(t, f.Length, int64(0))
		require.Equal(t, info.Name, f.Path[0])
		for _, c := range f.Path {
			require.Equal(t, c, safeName(c, goos))
		}
		require.True(t, filepath.IsLocal(filepath.Join(f.Path...)))
		if !f.Pad {
			path := fold(strings.Join(f.Path, "/"))
			require.False(t, seen[path])
			seen[path] = true
		}
	}
}
