package metainfo

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// noise returns n bytes that do not repeat.
func noise(n int) []byte {
	b := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(b)
	return b
}

// tree writes files below a new folder.
func tree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	return dir
}

// hashes returns the piece hashes of data.
func hashes(data []byte, pieceLength int) []byte {
	var all []byte
	for len(data) > 0 {
		n := min(pieceLength, len(data))
		sum := sha1.Sum(data[:n])
		all, data = append(all, sum[:]...), data[n:]
	}
	return all
}

func TestBuildFile(t *testing.T) {
	data := noise(22169)
	dir := tree(t, map[string][]byte{"crop.jpg": data})
	m, err := Build(t.Context(), filepath.Join(dir, "crop.jpg"), BuildOptions{PieceLength: 256})
	require.NoError(t, err)
	require.Equal(t, 87, m.Info.NumPieces())
	require.EqualValues(t, 153, m.Info.Layout().PieceSize(86))
	require.Equal(t, hashes(data, 256), m.Info.Pieces)
	require.Equal(t, "crop.jpg", m.Info.Name)
	require.False(t, m.Info.Multi)
	require.Equal(t, "d4:infod6:lengthi22169e4:name8:crop.jpg12:piece lengthi256e6:pieces1740:"+string(hashes(data, 256))+"ee", string(marshal(t, m)))
}

func marshal(t *testing.T, m *MetaInfo) []byte {
	t.Helper()
	b, err := m.Marshal()
	require.NoError(t, err)
	again, err := Parse(b)
	require.NoError(t, err)
	require.True(t, reflect.DeepEqual(m, again), "what is built is what is read")
	return b
}

func TestBuildFolder(t *testing.T) {
	files := map[string][]byte{
		"b/two.bin": noise(100_000), "b/one.bin": noise(70_000), "a.txt": []byte("hello"), "empty": nil, "c/d/e/deep": noise(1), ".hidden": []byte("x"),
	}
	dir := tree(t, files)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nothing inside"), 0o755))
	order := []string{".hidden", "a.txt", "b/one.bin", "b/two.bin", "c/d/e/deep", "empty"}
	var all []byte
	for _, name := range order {
		all = append(all, files[name]...)
	}
	date := time.Date(2024, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600))
	for _, workers := range []int{0, 1, 7} {
		var last int64
		m, err := Build(t.Context(), dir+string(filepath.Separator), BuildOptions{
			Name: "set", PieceLength: 32 << 10, Private: true, Source: "S", Comment: "c", CreatedBy: "me", CreationDate: date, Workers: workers,
			Trackers: [][]string{{"http://a/", "http://b/"}, {}, {"http://c/"}}, WebSeeds: []string{"http://w/"},
			Progress: func(done, total int64) {
				require.EqualValues(t, len(all), total)
				require.Greater(t, done, last)
				last = done
			},
		})
		require.NoError(t, err)
		require.EqualValues(t, len(all), last)
		require.Equal(t, hashes(all, 32<<10), m.Info.Pieces)
		var names []string
		for _, f := range m.Info.Files {
			require.Equal(t, "set", f.Path[0])
			names = append(names, strings.Join(f.Path[1:], "/"))
			require.EqualValues(t, len(files[names[len(names)-1]]), f.Length)
		}
		require.Equal(t, order, names)
		require.True(t, m.Info.Multi)
		require.True(t, m.Info.Private)
		require.Equal(t, "S", m.Info.Source)
		require.Equal(t, "http://a/", m.Announce)
		require.Equal(t, [][]string{{"http://a/", "http://b/"}, {"http://c/"}}, m.Trackers())
		require.Equal(t, date.UTC().Truncate(time.Second), m.CreationDate)
		marshal(t, m)
	}
	// Without a date and with one tracker only what is needed is written.
	m, err := Build(t.Context(), dir, BuildOptions{Trackers: [][]string{{"http://a/"}}})
	require.NoError(t, err)
	require.Equal(t, "tree", m.Info.Name)
	require.EqualValues(t, 16<<10, m.Info.PieceLength)
	require.True(t, bytes.HasPrefix(marshal(t, m), []byte("d8:announce9:http://a/4:infod5:files")))
}

func TestBuildLeavesLinksOut(t *testing.T) {
	dir := tree(t, map[string][]byte{"in/a": []byte("a"), "out/secret": []byte("b")})
	in := filepath.Join(dir, "in")
	for name, target := range map[string]string{"file": "../out/secret", "folder": "../out", "inside": "a", "loop": ".", "lost": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(in, name)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	m, err := Build(t.Context(), in, BuildOptions{})
	require.NoError(t, err)
	require.Len(t, m.Info.Files, 1)
	// The path itself may be a link.
	for target, link := range map[string]string{in: "to folder", filepath.Join(in, "a"): "to file"} {
		link = filepath.Join(dir, link)
		require.NoError(t, os.Symlink(target, link))
		m, err := Build(t.Context(), link, BuildOptions{})
		require.NoError(t, err)
		require.Len(t, m.Info.Files, 1)
		require.EqualValues(t, 1, m.Info.Length())
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := tree(t, map[string][]byte{"a": []byte("a"), "folder/x": []byte("x")})
	for name, c := range map[string]struct {
		path string
		o    BuildOptions
		want error
	}{
		"missing":               {filepath.Join(dir, "nothing"), BuildOptions{}, os.ErrNotExist},
		"negative piece length": {dir, BuildOptions{PieceLength: -1}, ErrInvalid},
		"huge piece length":     {dir, BuildOptions{PieceLength: MaxPieceLength + 1}, ErrInvalid},
		"name that climbs":      {dir, BuildOptions{Name: "../x"}, ErrUnsafeName},
		"name of dots":          {dir, BuildOptions{Name: ".."}, ErrUnsafeName},
		"root":                  {string(filepath.Separator), BuildOptions{}, ErrUnsafeName},
		"device":                {os.DevNull, BuildOptions{}, ErrInvalid},
	} {
		if name == "device" && runtime.GOOS == "windows" {
			continue
		}
		_, err := Build(t.Context(), c.path, c.o)
		require.ErrorIs(t, err, c.want, name)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty", "folders"), 0o755))
	_, err := Build(t.Context(), filepath.Join(dir, "empty"), BuildOptions{})
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "no files")

	big := filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, 3<<20))
	_, err = Build(t.Context(), big, BuildOptions{PieceLength: 1})
	require.ErrorIs(t, err, ErrTooLarge)
}

// Names that would be changed when the torrent is read are refused.
func TestBuildUnsafeNames(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems cannot hold these names")
	}
	for _, name := range []string{`back\slash`, "line\nfeed", "not\xffutf8", "A"} {
		dir := tree(t, map[string][]byte{"a": []byte("a"), name: []byte("b")})
		_, err := Build(t.Context(), dir, BuildOptions{})
		require.ErrorIs(t, err, ErrUnsafeName, "%q", name)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestBuildCancelled(t *testing.T) {
	dir := tree(t, map[string][]byte{"a": noise(1 << 20)})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	_, err := Build(ctx, dir, BuildOptions{PieceLength: 16 << 10, Workers: 2, Progress: func(done, total int64) {
		if calls++; calls == 3 {
			cancel(cause)
		}
	}})
	require.ErrorIs(t, err, cause)
	require.Less(t, calls, 10)
	_, err = Build(ctx, dir, BuildOptions{})
	require.ErrorIs(t, err, cause)
}

func TestBuildNoticesChanges(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"shorter": func(path string) error { return os.Truncate(path, 5) },
		"longer":  func(path string) error { return os.Truncate(path, 1<<20) },
	} {
		dir := tree(t, map[string][]byte{"a": noise(100_000), "b": noise(100_000), "c": nil})
		for _, file := range []string{"b", "c"} {
			if name == "shorter" && file == "c" {
				continue
			}
			_, err := Build(t.Context(), dir, BuildOptions{PieceLength: 16 << 10, Workers: 1, Progress: func(done, _ int64) {
				if done == 16<<10 {
					require.NoError(t, change(filepath.Join(dir, file)))
				}
			}})
			require.ErrorIs(t, err, errChanged, "%s %s", name, file)
			require.ErrorContains(t, err, filepath.Join(dir, file))
		}
	}
	// A file that shrinks while it is open.
	dir := tree(t, map[string][]byte{"a": noise(1 << 20)})
	_, err := Build(t.Context(), dir, BuildOptions{PieceLength: 16 << 10, Workers: 1, Progress: func(done, _ int64) {
		if done == 16<<10 {
			require.NoError(t, os.Truncate(filepath.Join(dir, "a"), 20_000))
		}
	}})
	require.ErrorIs(t, err, errChanged)
}

func TestAutoPieceLength(t *testing.T) {
	for length, want := range map[int64]int64{
		0: 16 << 10, 1: 16 << 10, 32 << 20: 16 << 10, 32<<20 + 1: 32 << 10,
		700 << 20: 512 << 10, 1 << 30: 512 << 10, 4 << 30: 2 << 20, 32 << 30: 16 << 20, 1 << 40: 16 << 20,
		MaxPieces * (16 << 20): 16 << 20, MaxPieces*(16<<20) + 1: 32 << 20, maxLength: MaxPieceLength, 1<<63 - 1: MaxPieceLength,
	} {
		require.Equal(t, want, AutoPieceLength(length), length)
	}
}

func BenchmarkBuild(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	require.NoError(b, os.WriteFile(path, noise(64<<20), 0o600))
	b.Run("size=64MiB", func(b *testing.B) {
		b.SetBytes(64 << 20)
		for b.Loop() {
			if _, err := Build(b.Context(), path, BuildOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
