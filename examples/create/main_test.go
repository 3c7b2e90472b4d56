package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
)

func makeFolder(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "birds")
	require.NoError(t, os.MkdirAll(root, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(root, "a"), make([]byte, 100_000), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(root, "ß"), []byte("small"), 0o666))
	return root
}

func TestCreate(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.torrent")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{
		"-o", out, "-piece-length", "32K", "-private", "-v1",
		"-tracker", "http://one.example/announce", "-tracker", "udp://two.example:1/announce",
		"-webseed", "https://three.example/", makeFolder(t),
	}, &stdout, &stderr)
	require.Zero(t, code, "%s", &stderr)
	require.Empty(t, stderr.String())

	m, err := metainfo.LoadFile(out)
	require.NoError(t, err)
	require.Equal(t, "birds", m.Info.Name)
	require.EqualValues(t, 32<<10, m.Info.PieceLength)
	require.Equal(t, 4, m.Info.NumPieces())
	require.Len(t, m.Info.Files, 2)
	require.True(t, m.Info.Private)
	require.Equal(t, [][]string{{"http://one.example/announce"}, {"udp://two.example:1/announce"}}, m.Trackers())
	require.Equal(t, []string{"https://three.example/"}, m.URLList)
	require.True(t, m.CreationDate.IsZero(), "equal files make an equal torrent")
	for _, want := range []string{"birds", m.Hashes().String(), "4 of 32768 bytes", "magnet:?xt=urn:btih:" + m.Hashes().String()} {
		require.Contains(t, stdout.String(), want)
	}
}

func TestNamedAfterThePath(t *testing.T) {
	root := makeFolder(t)
	t.Chdir(root)
	var stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"."}, io.Discard, &stderr), "%s", &stderr)
	m, err := metainfo.LoadFile(filepath.Join(root, "birds.torrent"))
	require.NoError(t, err)
	require.Equal(t, "birds", m.Info.Name)
}

func TestBadInput(t *testing.T) {
	root := makeFolder(t)
	out := func() []string { return []string{"-o", filepath.Join(t.TempDir(), "x.torrent")} }
	there := filepath.Join(root, "a")
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing":           {nil, exitUsage, "a torrent of what?"},
		"two paths":         {[]string{root, root}, exitUsage, "one PATH"},
		"no such path":      {append(out(), "/nope\x1b"), exitFailed, "nope"},
		"empty folder":      {append(out(), t.TempDir()), exitFailed, "no files"},
		"no such folder":    {[]string{"-o", "/nope/x.torrent", root}, exitFailed, "nope"},
		"the data itself":   {[]string{"-o", there, there}, exitFailed, "is there already"},
		"a folder is there": {[]string{"-o", root, root}, exitFailed, "is there already"},
		"v2":                {append(out(), "-v2", root), exitUsage, "not built yet"},
		"hybrid":            {append(out(), "-hybrid", root), exitUsage, "not built yet"},
		"piece length":      {append(out(), "-piece-length", "2G", root), exitUsage, "at most"},
		"no number":         {append(out(), "-piece-length", "-1", root), exitUsage, "number of bytes"},
		"tracker":           {append(out(), "-tracker", "one.example", root), exitUsage, "-tracker"},
		"unknown flag":      {append(out(), "-x", root), exitUsage, "-x"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			require.Equal(t, test.code, run(t.Context(), test.args, io.Discard, &stderr), "%s", &stderr)
			require.Contains(t, stderr.String(), test.says)
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "%q", &stderr)
			require.NotContains(t, stderr.String(), "\x1b")
		})
	}
	b, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Len(t, b, 100_000, "data overwritten")
}

func TestInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	out := filepath.Join(t.TempDir(), "x.torrent")
	var stderr bytes.Buffer
	require.Equal(t, exitInterrupted, run(ctx, []string{"-o", out, makeFolder(t)}, io.Discard, &stderr))
	require.Equal(t, "create: interrupted; nothing was written\n", stderr.String())
	require.NoFileExists(t, out)
}

func TestBytesFlag(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "17": 17, "16K": 16 << 10, "2m": 2 << 20, "1G": 1 << 30} {
		var b bytesFlag
		require.NoError(t, b.Set(in), in)
		require.EqualValues(t, want, b, in)
	}
	for _, in := range []string{"", "K", "-1", "1.5M", "1KB", "8589934592G", "0x10", "99999999999999999999"} {
		require.Error(t, new(bytesFlag).Set(in), in)
	}
}
