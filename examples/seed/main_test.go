package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// off turns everything off that is not loopback, as the flags' contract allows.
var off = []string{"-listen", "127.0.0.1:0", "-trackers=false", "-dht=false", "-lsd=false", "-pex=false", "-utp=false", "-encryption", "disable"}

// payload is a folder with two files, its torrent, and the torrent's file.
type payload struct {
	root, file string
	meta       *metainfo.MetaInfo
}

func makePayload(t *testing.T) payload {
	t.Helper()
	dir := t.TempDir()
	p := payload{root: filepath.Join(dir, "data"), file: filepath.Join(t.TempDir(), "x.torrent")}
	require.NoError(t, os.MkdirAll(p.root, 0o777))
	random := rand.NewChaCha8([32]byte{7})
	for name, n := range map[string]int{"one": 100_000, "two": 33_333} {
		b := make([]byte, n)
		random.Read(b)
		require.NoError(t, os.WriteFile(filepath.Join(p.root, name), b, 0o666))
	}
	var err error
	p.meta, err = metainfo.Build(t.Context(), p.root, metainfo.BuildOptions{PieceLength: 16 << 10})
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, p.meta.Write(&b))
	require.NoError(t, os.WriteFile(p.file, b.Bytes(), 0o666))
	return p
}

// seeding is the program at work.
type seeding struct {
	link, addr string
	interrupt  context.CancelFunc
	code       <-chan int
}

// begin runs the program until it says that it seeds.
func begin(t *testing.T, args ...string) seeding {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	out, in := io.Pipe()
	code := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		code <- run(ctx, append(off[:len(off):len(off)], args...), in, &stderr)
		in.Close()
	}()
	s := seeding{interrupt: interrupt, code: code}
	lines := bufio.NewScanner(out)
	for s.addr == "" && lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "magnet:") {
			s.link = line
		}
		if _, addr, ok := strings.Cut(line, "seeding data on "); ok {
			s.addr = addr
		}
	}
	go io.Copy(io.Discard, out)
	require.NotEmpty(t, s.addr, "%s", &stderr)
	return s
}

func TestSeed(t *testing.T) {
	p := makePayload(t)
	for name, args := range map[string][]string{
		"a path":                {p.root},
		"a torrent in a folder": {"-dir", filepath.Dir(p.root), "-torrent", p.file},
		"twice the same":        {"-dir", filepath.Dir(p.root), "-torrent", p.file, "-torrent", p.file},
		"trusted":               {"-trust", "-dir", filepath.Dir(p.root), "-torrent", p.file},
		"a torrent and a path":  {"-torrent", p.file, p.root},
		"limited":               {"-max-upload", "10M", "-memory", "8M", "-torrent", p.file, p.root},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, args...)
			dir := t.TempDir()
			c, err := client.New(client.Config{Dir: dir, Listen: "none"})
			require.NoError(t, err)
			defer c.Close()
			tor, err := c.Add(client.Spec{Magnet: s.link, Peers: []string{s.addr}})
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			require.NoError(t, tor.Wait(ctx))
			for _, f := range []string{"one", "two"} {
				want, err := os.ReadFile(filepath.Join(p.root, f))
				require.NoError(t, err)
				got, err := os.ReadFile(filepath.Join(dir, "data", f))
				require.NoError(t, err)
				require.True(t, bytes.Equal(want, got), f)
			}
			s.interrupt()
			require.Zero(t, <-s.code)
		})
	}
}

func TestBadInput(t *testing.T) {
	p := makePayload(t)
	damaged := makePayload(t)
	require.NoError(t, os.WriteFile(filepath.Join(damaged.root, "one"), []byte("short"), 0o666))
	garbage := filepath.Join(t.TempDir(), "garbage.torrent")
	require.NoError(t, os.WriteFile(garbage, []byte("d4:info\x1b[31m"), 0o666))
	taken, err := client.New(client.Config{Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	defer taken.Close()

	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing":              {nil, exitUsage, "seed what?"},
		"no such path":         {[]string{filepath.Join(p.root, "nope")}, exitFailed, "nope"},
		"no such torrent":      {[]string{"-torrent", "/nope.torrent"}, exitFailed, "nope.torrent"},
		"broken torrent":       {[]string{"-torrent", garbage}, exitFailed, "not a torrent"},
		"data of another name": {[]string{"-torrent", p.file, filepath.Dir(p.file)}, exitFailed, `must be named "data"`},
		"no data":              {[]string{"-dir", t.TempDir(), "-torrent", p.file}, exitFailed, "9 of 9 pieces are missing"},
		"damaged data":         {[]string{"-torrent", damaged.file, damaged.root}, exitFailed, "pieces are missing or damaged"},
		"trusted, but no data": {[]string{"-trust", "-dir", t.TempDir(), "-torrent", p.file}, exitFailed, "9 of 9 pieces are missing"},
		"port taken":           {[]string{"-listen", address(taken), p.root}, exitFailed, "listen"},
		"two paths":            {[]string{p.root, p.root}, exitUsage, "one PATH"},
		"path of two torrents": {[]string{"-torrent", p.file, "-torrent", p.file, p.root}, exitUsage, "several"},
		"dir and path":         {[]string{"-dir", "x", p.root}, exitUsage, "both say where"},
		"tracker":              {[]string{"-tracker", "gopher://x", p.root}, exitUsage, "-tracker"},
		"peer":                 {[]string{"-peer", "localhost", p.root}, exitUsage, "host:port"},
		"rate":                 {[]string{"-max-upload", "fast", p.root}, exitUsage, "number of bytes"},
		"memory":               {[]string{"-memory", "1K", p.root}, exitUsage, "at least 8M"},
		"unknown flag":         {[]string{"-x", p.root}, exitUsage, "-x"},
		"dht":                  {[]string{"-dht", p.root}, exitUsage, "not built yet"},
		"pex":                  {[]string{"-pex=true", p.root}, exitUsage, "not built yet"},
		"encryption":           {[]string{"-encryption", "require", p.root}, exitUsage, "not built yet"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			require.Equal(t, test.code, run(t.Context(), test.args, io.Discard, &stderr))
			require.Contains(t, stderr.String(), test.says)
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "%q", &stderr)
			require.NotContains(t, stderr.String(), "\x1b")
		})
	}
}

func address(c *client.Client) string {
	return where(&options{listen: "127.0.0.1:0"}, c)[len("on "):]
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "-trust")
	require.Empty(t, stderr.String())
}
