package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

func with(args ...string) []string { return append(off[:len(off):len(off)], args...) }

// payload is a folder of files, its torrent, and the torrent's file.
type payload struct {
	root, file string
	names      []string
	meta       *metainfo.MetaInfo
}

func makePayload(t *testing.T, name string) payload {
	t.Helper()
	p := payload{
		root: filepath.Join(t.TempDir(), name), file: filepath.Join(t.TempDir(), "x.torrent"),
		names: []string{"one", "sub/two", "empty"},
	}
	random := rand.NewChaCha8([32]byte{7})
	for i, n := range []int{200_000, 77_777, 0} {
		b := make([]byte, n)
		random.Read(b)
		path := filepath.Join(p.root, filepath.FromSlash(p.names[i]))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, b, 0o666))
	}
	var err error
	p.meta, err = metainfo.Build(t.Context(), p.root, metainfo.BuildOptions{PieceLength: 16 << 10})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.file, marshal(t, p.meta), 0o666))
	return p
}

func marshal(t *testing.T, m *metainfo.MetaInfo) []byte {
	t.Helper()
	b, err := m.Marshal()
	require.NoError(t, err)
	return b
}

// mustBeIn compares all files with those below dir.
func (p *payload) mustBeIn(t *testing.T, dir string) {
	t.Helper()
	for _, name := range p.names {
		want, err := os.ReadFile(filepath.Join(p.root, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(p.root), name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), name)
	}
}

// seed offers the payloads until the test ends, and returns its address.
func seed(t *testing.T, ps ...payload) string {
	t.Helper()
	c, err := client.New(client.Config{Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	for _, p := range ps {
		_, err = c.Add(client.Spec{MetaInfo: p.meta, Dir: filepath.Dir(p.root), Trust: true})
		require.NoError(t, err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port()))
}

// mustRun runs the program to its end, which must be a success.
func mustRun(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, stderr bytes.Buffer
	require.Zero(t, run(ctx, args, &out, &stderr), "%s%s", &out, &stderr)
	require.Empty(t, stderr.String())
	return out.String()
}

func TestDownload(t *testing.T) {
	p, q := makePayload(t, "data"), makePayload(t, "more")
	at := seed(t, p, q)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(marshal(t, p.meta)) }))
	defer web.Close()
	for name, what := range map[string][]string{
		"file":                 {p.file},
		"two files":            {p.file, q.file},
		"the same twice":       {p.file, p.meta.Magnet().String()},
		"magnet":               {p.meta.Magnet().String()},
		"magnet with the peer": {p.meta.Magnet().String() + "&x.pe=" + at},
		"URL":                  {web.URL},
		"limited":              {"-max-download", "5M", "-max-upload", "1M", "-memory", "8M", p.file},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "on demand")
			args := with("-dir", dir, "-peer", at)
			if name == "magnet with the peer" {
				args = with("-dir", dir)
			}
			require.Contains(t, mustRun(t, append(args, what...)...), "data: complete, 271.3 KiB; downloaded 271.3 KiB, uploaded 0 B in ")
			p.mustBeIn(t, dir)
			if len(what) == 2 && what[1] == q.file {
				q.mustBeIn(t, dir)
			}
		})
	}
	t.Run("quiet", func(t *testing.T) {
		dir := t.TempDir()
		require.Empty(t, mustRun(t, with("-quiet", "-dir", dir, "-peer", at, p.file)...))
		p.mustBeIn(t, dir)
		require.Contains(t, mustRun(t, with("-dir", dir, "-peer", at, p.file)...), "data: complete, 271.3 KiB in ", "a second time")
	})
}

// trigger calls a function once, when what is written contains a text.
type trigger struct {
	text string
	call func()
	once sync.Once

	mu sync.Mutex
	b  bytes.Buffer
}

func (w *trigger) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	if bytes.Contains(w.b.Bytes(), []byte(w.text)) {
		w.once.Do(w.call)
	}
	return len(p), nil
}

func TestSeedsUntilInterrupted(t *testing.T) {
	p := makePayload(t, "data")
	ctx, interrupt := context.WithTimeout(t.Context(), 20*time.Second)
	defer interrupt()
	stdout := &trigger{text: "all is complete; seeding", call: interrupt}
	var stderr bytes.Buffer
	code := run(ctx, with("-seed", "-dir", filepath.Dir(p.root), p.file), stdout, &stderr)
	require.Zero(t, code, "%s", &stderr)
	require.Empty(t, stderr.String())
}

func TestInterrupted(t *testing.T) {
	p := makePayload(t, "data")
	evil := "magnet:?xt=urn:btih:" + p.meta.Hashes().String() + "&dn=%1b%5b31mred%0a"
	for name, test := range map[string]struct {
		what, shown string
	}{
		"nobody there":        {p.file, `"name":"data"`},
		"no metadata":         {evil, `"name":"_[31mred_"`},
		"the swarm of itself": {"", `"label":"leech 6"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir()) // where the swarm lives
			ctx, interrupt := context.WithTimeout(t.Context(), 20*time.Second)
			defer interrupt()
			stdout := &trigger{text: test.shown, call: interrupt}
			args := []string{"-json"}
			if test.what != "" {
				args = with("-json", "-dir", t.TempDir(), test.what)
			}
			var stderr bytes.Buffer
			require.Equal(t, exitInterrupted, run(ctx, args, stdout, &stderr))
			require.Equal(t, context.Canceled, ctx.Err(), "not interrupted in time")
			require.Equal(t, "download: interrupted; what is complete is kept\n", stderr.String())
			left, err := os.ReadDir(os.Getenv("TMPDIR"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
	t.Run("names are escaped", func(t *testing.T) {
		ctx, interrupt := context.WithTimeout(t.Context(), 20*time.Second)
		interrupt()
		var stdout bytes.Buffer
		require.Equal(t, exitInterrupted, run(ctx, with("-dir", t.TempDir(), evil), &stdout, io.Discard))
		require.Contains(t, stdout.String(), "_[31mred_: no metadata yet")
		require.NotContains(t, stdout.String(), "\x1b")
	})
}

func TestCheck(t *testing.T) {
	p := makePayload(t, "data")
	dir := filepath.Dir(p.root)
	check := func(args ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = run(t.Context(), append(append([]string{"-check", "-dir", dir}, args...), p.file), &out, &errs)
		return code, out.String(), errs.String()
	}

	code, stdout, stderr := check()
	require.Zero(t, code, stderr)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "one: complete\nsub/two: complete\n")
	code, stdout, _ = check("-quiet")
	require.Zero(t, code)
	require.Empty(t, stdout)

	// One byte of the first file: one piece of 16 KiB.
	path := filepath.Join(p.root, "one")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[20_000] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o666))
	code, stdout, stderr = check()
	require.Equal(t, exitFailed, code)
	require.Equal(t, "download: data: 1 of 17 pieces are missing or damaged\n", stderr)
	require.Contains(t, stdout, "one: 183616 of 200000 bytes\nsub/two: complete\n")
	require.Contains(t, stdout, "data: 94% of 271.3 KiB")

	require.NoError(t, os.RemoveAll(p.root))
	code, _, stderr = check("-quiet")
	require.Equal(t, exitFailed, code)
	require.Equal(t, "download: data: 17 of 17 pieces are missing or damaged\n", stderr)
	require.NoDirExists(t, p.root, "a check makes nothing")
}

func TestBadInput(t *testing.T) {
	p := makePayload(t, "data")
	at := seed(t, p)
	garbage := filepath.Join(t.TempDir(), "garbage.torrent")
	require.NoError(t, os.WriteFile(garbage, []byte("d4:info\x1b[31m"), 0o666))
	lying := filepath.Join(t.TempDir(), "lying.torrent")
	require.NoError(t, os.WriteFile(lying, bytes.Replace(marshal(t, p.meta), []byte("6:pieces340:"), []byte("6:pieces339:"), 1), 0o666))
	inTheWay := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(inTheWay, "data", "one", "x"), 0o777))
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	dir := t.TempDir()

	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no such file":        {with("/nope.torrent"), exitFailed, "nope.torrent"},
		"a folder":            {with(dir), exitFailed, "directory"},
		"broken torrent":      {with(garbage), exitFailed, "not a torrent"},
		"lying torrent":       {with(lying), exitFailed, "lying.torrent"},
		"good and broken":     {with("-dir", dir, p.file, garbage), exitFailed, "not a torrent"},
		"magnet":              {with("magnet:?xt=urn:btih:beef"), exitFailed, "beef"},
		"magnet without hash": {with("magnet:?dn=x"), exitFailed, "magnet"},
		"URL not found":       {with("-dir", dir, web.URL+"/x.torrent"), exitFailed, "404"},
		"URL of nobody":       {with("-dir", dir, "http://"+closedPort(t)+"/x.torrent"), exitFailed, "refused"},
		"port taken":          {[]string{"-listen", taken.Addr().String(), "-dir", dir, p.file}, exitFailed, "listen"},
		"no address":          {[]string{"-listen", "nonsense", "-dir", dir, p.file}, exitFailed, "nonsense"},
		"the folder is none":  {with("-dir", p.file, p.file), exitFailed, "x.torrent"},
		"no folder possible":  {with("-dir", filepath.Join(p.file, "x"), p.file), exitFailed, "x.torrent"},
		"a folder in the way": {with("-dir", inTheWay, "-peer", at, p.file), exitFailed, "one"},
		"check a magnet":      {with("-check", p.meta.Magnet().String()), exitFailed, "-check"},
		"no torrent":          {with("-dir", dir), exitUsage, "which torrent?"},
		"flag behind":         {with(p.file, "-quiet"), exitUsage, "flags go before"},
		"unknown flag":        {with("-x", p.file), exitUsage, "-x"},
		"peer":                {with("-peer", "localhost", p.file), exitUsage, "host:port"},
		"peer's port":         {with("-peer", "localhost:0", p.file), exitUsage, "host:port"},
		"rate":                {with("-max-download", "fast", p.file), exitUsage, "number of bytes"},
		"negative rate":       {with("-max-upload", "-1", p.file), exitUsage, "number of bytes"},
		"little memory":       {with("-memory", "1M", p.file), exitUsage, "at least 8M"},
		"quiet and JSON":      {with("-quiet", "-json", p.file), exitUsage, "exclude"},
		"check and seed":      {with("-check", "-seed", p.file), exitUsage, "exclude"},
		"dht":                 {with("-dht", p.file), exitUsage, "-dht: this is not built yet"},
		"lsd":                 {with("-lsd=true", p.file), exitUsage, "not built yet"},
		"pex":                 {with("-pex", p.file), exitUsage, "not built yet"},
		"utp":                 {with("-utp", p.file), exitUsage, "not built yet"},
		"no truth":            {with("-utp=maybe", p.file), exitUsage, "-utp"},
		"prefer encryption":   {with("-encryption", "prefer", p.file), exitUsage, "not built yet"},
		"require encryption":  {with("-encryption", "require", p.file), exitUsage, "not built yet"},
		"some encryption":     {with("-encryption", "some", p.file), exitUsage, "prefer, require or disable"},
		"select":              {with("-select", "*.txt", p.file), exitUsage, "not built yet"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var stderr bytes.Buffer
			require.Equal(t, test.code, run(ctx, test.args, io.Discard, &stderr), "%s", &stderr)
			require.Contains(t, stderr.String(), test.says)
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "%q", &stderr)
			require.NotContains(t, stderr.String(), "\x1b")
		})
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestHelp(t *testing.T) {
	require.Contains(t, mustRun(t, "-h"), "-max-download")
}
