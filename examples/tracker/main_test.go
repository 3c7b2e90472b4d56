package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/tracker"
	"github.com/seed1734be99/starling/tracker/server"
)

// program is a tracker that runs until interrupted.
type program struct {
	lines     *bufio.Scanner
	code      chan int
	interrupt func()
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	out, in := io.Pipe()
	p := &program{bufio.NewScanner(out), make(chan int, 1), interrupt}
	go func() {
		p.code <- run(ctx, args, in, io.Discard)
		in.Close()
	}()
	return p
}

// url returns the next announce URL that is printed.
func (p *program) url(t *testing.T) string {
	t.Helper()
	for p.lines.Scan() {
		if url, ok := strings.CutPrefix(p.lines.Text(), "announce URL: "); ok {
			return url
		}
	}
	require.Fail(t, "no announce URL")
	return ""
}

func (p *program) stop(t *testing.T, says string) {
	t.Helper()
	p.interrupt()
	require.True(t, p.lines.Scan())
	require.Equal(t, says, p.lines.Text())
	require.False(t, p.lines.Scan())
	require.Zero(t, <-p.code)
}

func TestRunAnswersUntilInterrupted(t *testing.T) {
	p := start(t, "-http", "127.0.0.1:0", "-interval", "20m")
	web, udp := p.url(t), p.url(t)
	require.Equal(t, strings.TrimPrefix(web, "http://"), strings.TrimPrefix(udp, "udp://"), "the same port")
	var c tracker.Client
	r := tracker.Request{Port: 6881, Left: 1, NumWant: -1, Event: tracker.Started}
	resp, err := c.Announce(t.Context(), web, r)
	require.NoError(t, err)
	require.Equal(t, 1, resp.Incomplete)
	r.Port++
	resp, err = c.Announce(t.Context(), udp, r)
	require.NoError(t, err)
	require.Equal(t, 2, resp.Incomplete)
	require.Equal(t, "20m0s", resp.Interval.String())
	require.Len(t, resp.Peers, 1)

	got, err := http.Get(strings.TrimSuffix(web, "announce") + "metrics")
	require.NoError(t, err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "\ntracker_peers{family=\"ipv4\"} 2\n")
	http.DefaultClient.CloseIdleConnections()
	p.stop(t, "tracker: stopped after 2 announces and 0 scrapes")
}

func TestRunUDPAlone(t *testing.T) {
	allowed := [20]byte{9}
	list := filepath.Join(t.TempDir(), "list")
	require.NoError(t, os.WriteFile(list, []byte(hex.EncodeToString(allowed[:])+"\n"), 0o600))
	p := start(t, "-http", "", "-udp", "127.0.0.1:0", "-allow", list, "-peer-ids=false")
	var c tracker.Client
	r := tracker.Request{InfoHash: allowed, Port: 1, NumWant: -1}
	url := p.url(t)
	_, err := c.Announce(t.Context(), url, r)
	require.NoError(t, err)
	r.InfoHash[0]++
	_, err = c.Announce(t.Context(), url, r)
	require.ErrorContains(t, err, "not allowed")
	p.stop(t, "tracker: stopped after 1 announces and 0 scrapes")
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, []byte("# all\n\nabc\n"), 0o600))
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"port taken":     {[]string{"-http", taken.Addr().String()}, 1, "address already in use"},
		"nothing to do":  {[]string{"-http", ""}, 2, "both off"},
		"extra argument": {[]string{"x"}, 2, `unexpected argument "x"`},
		"interval":       {[]string{"-interval", "1ms"}, 1, "Config.Interval"},
		"no list":        {[]string{"-allow", bad + "x"}, 1, "badx"},
		"bad list":       {[]string{"-allow", bad}, 1, "line 3"},
		"bad address":    {[]string{"-http", "127.0.0.1:0", "-udp", "127.0.0.1:x"}, 1, "unknown port"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			require.Equal(t, test.code, run(t.Context(), test.args, io.Discard, &stderr))
			if name != "port taken" || !strings.Contains(stderr.String(), "Only one usage") { // as Windows puts it
				require.Contains(t, stderr.String(), test.says)
			}
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"))
		})
	}
}

func TestReadHashes(t *testing.T) {
	one, two := strings.Repeat("0a", 20), strings.Repeat("FF", 32)
	hashes, err := readHashes(strings.NewReader(one + " # a comment\r\n\n" + two))
	require.NoError(t, err)
	require.Equal(t, [][20]byte{[20]byte(bytes.Repeat([]byte{10}, 20)), [20]byte(bytes.Repeat([]byte{255}, 20))}, hashes)
	hashes, err = readHashes(strings.NewReader(""))
	require.NoError(t, err)
	require.NotNil(t, hashes, "nothing is allowed")
}

func TestWriteMetrics(t *testing.T) {
	var b strings.Builder
	writeMetrics(&b, server.Stats{IPv4: 3, IPv6: 4, HTTP: server.Requests{Announces: 5}, UDP: server.Requests{Announces: 6}})
	require.Contains(t, b.String(), "# HELP tracker_peers Peers in all torrents.\n# TYPE tracker_peers gauge\ntracker_peers{family=\"ipv4\"} 3\ntracker_peers{family=\"ipv6\"} 4\n")
	require.Contains(t, b.String(), "# TYPE tracker_announces_total counter\ntracker_announces_total{transport=\"http\"} 5\ntracker_announces_total{transport=\"udp\"} 6\n")
}

func TestAnnounceURL(t *testing.T) {
	for addr, want := range map[string]string{
		"[::]:6969":      "udp://127.0.0.1:6969/announce",
		"0.0.0.0:80":     "udp://127.0.0.1:80/announce",
		"[::1]:6969":     "udp://[::1]:6969/announce",
		"192.0.2.1:6969": "udp://192.0.2.1:6969/announce",
	} {
		a, err := net.ResolveUDPAddr("udp", addr)
		require.NoError(t, err)
		require.Equal(t, want, announceURL("udp", a))
	}
}
