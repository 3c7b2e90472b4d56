package storage

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// RS9: never two writers in silence.
func TestTwoTorrentsOneFile(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		link = dir
	}
	open := func(t *testing.T, s *Files, where string, paths ...string) (*onDisk, error) {
		spec := fixture(t, fixtureFile(paths[0], 1))
		if len(paths) > 1 {
			spec = fixture(t, fixtureFile(paths[0], 1), fixtureFile(paths[1], 1))
		}
		spec.Dir = where
		tor, err := s.Open(spec)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { tor.Close() })
		return tor.(*onDisk), nil
	}
	for _, tc := range []struct {
		name          string
		firstDir      string
		first         []string
		secondDir     string
		second        []string
		clash, byFold bool
	}{
		{"same", dir, []string{"x/a"}, dir, []string{"x/a"}, true, false},
		{"one of two", dir, []string{"x/a", "x/b"}, dir, []string{"x/c", "x/b"}, true, false},
		{"same folder, other files", dir, []string{"x/a"}, dir, []string{"x/b"}, false, false},
		{"other folder", dir, []string{"x/a"}, dir, []string{"y/a"}, false, false},
		{"other save folder", dir, []string{"x/a"}, filepath.Join(dir, "else"), []string{"x/a"}, false, false},
		{"save folder below", dir, []string{"x/s/a"}, filepath.Join(dir, "x"), []string{"s/a"}, true, false},
		{"save folder above", filepath.Join(dir, "x"), []string{"s/a"}, dir, []string{"x/s/a"}, true, false},
		{"below, other file", dir, []string{"x/s/a"}, filepath.Join(dir, "x"), []string{"s/b"}, false, false},
		{"name as prefix", dir, []string{"xy/a"}, filepath.Join(dir, "x"), []string{"y/a"}, false, false},
		{"through a link", dir, []string{"x/a"}, link, []string{"x/a"}, true, false},
		{"through a link, not there yet", filepath.Join(dir, "new"), []string{"x/a"}, filepath.Join(link, "new"), []string{"x/a"}, true, false},
		{"differing in case", dir, []string{"x/a"}, dir, []string{"X/A"}, true, true},
		{"two tops", dir, []string{"x/a", "y/b"}, dir, []string{"y/b"}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewFiles("")
			first, err := open(t, s, tc.firstDir, tc.first...)
			require.NoError(t, err)
			second, err := open(t, s, tc.secondDir, tc.second...)
			if !tc.clash || tc.byFold && !foldNames {
				require.NoError(t, err)
				require.NoError(t, second.Close())
			} else {
				require.ErrorIs(t, err, ErrInUse)
				var fe *FileError
				require.ErrorAs(t, err, &fe)
			}
			require.NoError(t, first.Close())
			second, err = open(t, s, tc.secondDir, tc.second...)
			require.NoError(t, err, "the first is closed")
			require.NoError(t, second.Close())
			require.Empty(t, s.claims.byDir)
		})
	}
}

func TestResolve(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs links")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o777))
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	put(t, filepath.Join(dir, "file"), nil)
	for _, tc := range []struct {
		in, want  string
		there, ok bool
	}{
		{"real", "real", true, true},
		{"link", "real", true, true},
		{"link/a/b", "real/a/b", false, true},
		{"none", "none", false, true},
		{"file", "", false, false},
		{"dangling", "", false, false},
		{"dangling/a", "", false, false},
	} {
		got, there, err := resolve(filepath.Join(dir, tc.in))
		require.Equal(t, tc.ok, err == nil, "%s: %v", tc.in, err)
		if tc.ok {
			require.Equal(t, filepath.Join(dir, tc.want), got)
			require.Equal(t, tc.there, there)
		}
	}
}
