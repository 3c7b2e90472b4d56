package tracker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// wrongAnswer is an HTTP answer that is no success, and what it comes to.
type wrongAnswer struct {
	code   int
	body   string
	packed bool
	want   error
}

const goodAnswer = "d8:intervali1800e5:peers0:e"

// requireFailures has each answer given to an announce and to a scrape.
func requireFailures(t *testing.T, table map[string]wrongAnswer) {
	for name, test := range table {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if test.packed {
				headers = []string{"Content-Encoding", "gzip"}
			}
			c := answering(test.code, test.body, headers...)
			_, err := c.Announce(t.Context(), "http://h:1/pass/announce?key", Request{})
			require.ErrorContains(t, err, "announce http://h:1: ")
			requireFailure(t, test.want, err)
			_, err = c.Scrape(t.Context(), "http://h:1/pass/announce?key", goldenHash)
			require.ErrorContains(t, err, "scrape http://h:1: ")
			requireFailure(t, test.want, err)
		})
	}
}

func requireFailure(t *testing.T, want, err error) {
	require.NotContains(t, err.Error(), "pass")
	var failure *FailureError
	var status *StatusError
	switch want := want.(type) {
	case *FailureError:
		require.ErrorAs(t, err, &failure)
		require.Equal(t, want, failure)
	case *StatusError:
		require.ErrorAs(t, err, &status)
		require.Equal(t, want, status)
	default:
		require.ErrorIs(t, err, want)
	}
}

func TestRT7_Bodies(t *testing.T) {
	const good = goodAnswer
	requireFailures(t, map[string]wrongAnswer{
		"nothing":             {200, "", false, ErrMalformed},
		"a page":              {200, "<html>hello</html>", false, ErrMalformed},
		"a list":              {200, "le", false, ErrMalformed},
		"an empty dictionary": {200, "de", false, ErrMalformed},
		"cut":                 {200, good[:12], false, ErrMalformed},
		"a string that lies":  {200, "d5:peers1000000000:e", false, ErrMalformed},
		"more behind it":      {200, good + good, false, ErrMalformed},
		"deep":                {200, "d1:a" + strings.Repeat("l", 100000), false, ErrMalformed},
		"not found":           {404, "<html>", false, &StatusError{404}},
		"a status with peers": {500, good, false, &StatusError{500}},
		"a big status":        {503, strings.Repeat("x", MaxBody+1), false, &StatusError{503}},
		"big":                 {200, "d1:x" + fmt.Sprint(MaxBody) + ":" + strings.Repeat("x", MaxBody), false, ErrTooLarge},
	})
}

func TestRT8_GzipBomb(t *testing.T) {
	const good = goodAnswer
	bomb := pack(strings.Repeat("a", 8<<20))
	require.Less(t, len(bomb), 100<<10)
	requireFailures(t, map[string]wrongAnswer{
		"a bomb":              {200, bomb, true, ErrTooLarge},
		"a bomb in disguise":  {200, bomb, false, ErrTooLarge},
		"empty gzips, no end": {200, strings.Repeat(pack(""), MaxBody/20), true, ErrTooLarge},
		"not packed":          {200, good, true, ErrMalformed},
		"damaged gzip":        {200, pack(good)[:20], true, ErrMalformed},
		"gzip, wrong sum":     {200, pack(good)[:len(pack(good))-6] + "abcdef", true, ErrMalformed},
	})
}

func TestRT3_Failures(t *testing.T) {
	requireFailures(t, map[string]wrongAnswer{
		"failure":               {200, "d14:failure reason4:go a3:xyz1:ye", false, &FailureError{Reason: "go a"}},
		"failure with status":   {403, "d14:failure reason1:ye", false, &FailureError{Reason: "y"}},
		"failure without words": {200, "d14:failure reasoni1ee", false, &FailureError{Reason: "no reason given"}},
		"failure with peers":    {200, "d14:failure reason1:y5:peers6:abcdefe", false, &FailureError{Reason: "y"}},
		"failure, controls":     {200, "d14:failure reason9:\x1b[2J\xff\u0085ée", false, &FailureError{Reason: `\x1b[2J\xff\u0085é`}},
	})
}

func TestT9_FailureKey(t *testing.T) {
	requireFailures(t, map[string]wrongAnswer{
		"failure, short key": {200, "d7:failure4:go ae", false, &FailureError{Reason: "go a"}},
		"failure, both":      {200, "d7:failure1:x14:failure reason1:ye", false, &FailureError{Reason: "y"}},
	})
}

func TestBEP31_RetryIn(t *testing.T) {
	requireFailures(t, map[string]wrongAnswer{
		"retry":         {200, "d14:failure reason1:y8:retry ini5ee", false, &FailureError{Reason: "y", RetryIn: 5 * time.Minute}},
		"retry, string": {200, "d14:failure reason1:y8:retry in1:5e", false, &FailureError{Reason: "y", RetryIn: 5 * time.Minute}},
		"retry, never":  {200, "d14:failure reason1:y8:retry in5:nevere", false, &FailureError{Reason: "y", RetryIn: Never}},
		"retry, absurd": {200, "d14:failure reason1:y8:retry ini999999999999ee", false, &FailureError{Reason: "y", RetryIn: MaxInterval}},
		"retry, back":   {200, "d14:failure reason1:y8:retry ini-5ee", false, &FailureError{Reason: "y"}},
	})
}

func TestRT3_LongReason(t *testing.T) {
	long := strings.Repeat("é", 1<<19)
	_, err := parseAnnounce(fmt.Appendf(nil, "d14:failure reason%d:%se", len(long), long), time.Minute)
	var failure *FailureError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, strings.Repeat("é", maxText/2)+"…", failure.Reason)
}

func TestRT19_LongTrackerID(t *testing.T) {
	long := strings.Repeat("é", 1<<19)
	r := parsed(t, fmt.Sprintf("d8:intervali60e10:tracker id%d:%s15:warning message%d:%se", len(long), long, len(long), long))
	require.Empty(t, r.TrackerID)
	require.Equal(t, strings.Repeat("é", maxText/2)+"…", r.Warning)
	for n, want := range map[int]int{255: 255, 256: 0} {
		r := parsed(t, fmt.Sprintf("d8:intervali60e10:tracker id%d:%se", n, long[:n]))
		require.Len(t, r.TrackerID, want)
	}
}

// piped returns a client whose every HTTP connection leads to serve, in memory.
func piped(serve func(net.Conn)) *Client {
	return &Client{HTTP: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				serve(far)
			}()
			return near, nil
		},
	}}}
}

func TestRT9_OneDeadline(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"silent": func(c net.Conn) { io.Copy(io.Discard, c) },
		"one byte a second": func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for {
				<-time.After(time.Second)
				if _, err := c.Write([]byte("d")); err != nil {
					return
				}
			}
		},
		"headers without end": func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for i := 0; ; i++ {
				<-time.After(time.Second)
				if _, err := fmt.Fprintf(c, "X-%d: y\r\n", i); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := piped(serve).Announce(t.Context(), "http://h/announce", Request{})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, time.Minute, time.Since(start))

				c := piped(serve)
				c.Timeout = 5 * time.Second
				start = time.Now()
				_, err = c.Announce(t.Context(), "http://h/announce", Request{})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 5*time.Second, time.Since(start))

				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(2*time.Second, cancel)
				_, err = piped(serve).Announce(ctx, "http://h/announce", Request{})
				require.ErrorIs(t, err, context.Canceled)
				<-time.After(2 * time.Second) // the tracker notices
			})
		})
	}
}

// What HTTP itself can be made to say wrongly is an error, not a peer.
func TestRT15_BadHTTP(t *testing.T) {
	const body = "d8:intervali60ee"
	for name, answer := range map[string]string{
		"no HTTP":            "hello\r\n\r\n",
		"longer than said":   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body,
		"shorter than said":  "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + body,
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 16\r\n\r\n" + body,
		"chunk overflow":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + body,
		"chunk negative":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + body,
		"chunks without end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + body + "\r\n",
		"big headers":        "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n" + body,
	} {
		t.Run(name, func(t *testing.T) {
			c := piped(func(conn net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, answer)
				}
			})
			_, err := c.Announce(t.Context(), "http://h/announce", Request{})
			require.Error(t, err)
		})
	}
}
