package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/tracker"
)

func TestRunAnswersUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, in := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-http", "127.0.0.1:0"}, in, io.Discard)
		in.Close()
	}()
	lines := bufio.NewScanner(out)
	var url string
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "announce URL: ")
		if !strings.HasPrefix(url, "http://") {
			url = ""
		}
	}
	require.NotEmpty(t, url)

	var c tracker.Client
	resp, err := c.Announce(t.Context(), url, tracker.Request{Port: 6881, Left: 1, NumWant: -1, Event: tracker.Started})
	require.NoError(t, err)
	require.Equal(t, 1, resp.Incomplete)

	interrupt()
	require.True(t, lines.Scan())
	require.Equal(t, "tracker: stopped after 1 announces and 0 scrapes", lines.Text())
	require.False(t, lines.Scan())
	require.Zero(t, <-code)
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"port taken":     {[]string{"-http", taken.Addr().String()}, 1, "address already in use"},
		"udp":            {[]string{"-udp", ":6969"}, 2, "not built yet"},
		"extra argument": {[]string{"x"}, 2, `unexpected argument "x"`},
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

func TestAnnounceURL(t *testing.T) {
	for addr, want := range map[string]string{
		"[::]:6969":      "http://127.0.0.1:6969/announce",
		"0.0.0.0:80":     "http://127.0.0.1:80/announce",
		"[::1]:6969":     "http://[::1]:6969/announce",
		"192.0.2.1:6969": "http://192.0.2.1:6969/announce",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		require.NoError(t, err)
		require.Equal(t, want, announceURL(a))
	}
}
