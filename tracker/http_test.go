package tracker

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// roundTrip is an HTTP server without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns a client whose tracker always answers the same.
func answering(code int, body string, headers ...string) *Client {
	return &Client{HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		res := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
		for i := 0; i+1 < len(headers); i += 2 {
			res.Header.Set(headers[i], headers[i+1])
		}
		return res, nil
	})}}
}

func pack(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

// hexFile reads bytes out of testdata; lines with # are comments.
func hexFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	var b []byte
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		part, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		require.NoError(t, err)
		b = append(b, part...)
	}
	require.NotEmpty(t, b)
	return b
}

// The torrent and the peers of a captured session of 2003.
var (
	goldenHash = [20]byte([]byte("-\x04O\xc0\xdb\x1aau9\xbeMr\xc2\xa5E\xa0\xfdH\x03\xe2"))
	goldenID   = [20]byte([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf5\x1a\xe4\xe8Z\x87X\x08"))
	goldenSeed = [20]byte([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00A\xd3\xbd\xae;\x09Z^"))
)

const (
	goldenHead     = "info_hash=-%04O%C0%DB%1Aau9%BEMr%C2%A5E%A0%FDH%03%E2&peer_id="
	goldenIDText   = "%00%00%00%00%00%00%00%00%00%00%00%00%F5%1A%E4%E8Z%87X%08"
	goldenSeedText = "%00%00%00%00%00%00%00%00%00%00%00%00A%D3%BD%AE%3B%09Z%5E"
)

// T31: the queries of both captured sessions. Ours begin with the same bytes;
// what was added to the protocol later follows.
func TestGoldenQueries(t *testing.T) {
	r := Request{InfoHash: goldenHash, PeerID: goldenID, Port: 6883, NumWant: -1}
	leech := goldenHead + goldenIDText + "&port=6883&uploaded=0&downloaded="
	seed := goldenHead + goldenSeedText + "&port=6883&uploaded=0&downloaded="
	const tail = "&compact=1&no_peer_id=1"
	for _, test := range []struct {
		id         [20]byte
		down, left int64
		event      Event
		want       string
	}{
		{goldenID, 0, 22169, Started, leech + "0&left=22169&event=started" + tail},
		{goldenID, 22169, 0, Completed, leech + "22169&left=0&event=completed" + tail},
		{goldenID, 22169, 0, Stopped, leech + "22169&left=0&event=stopped" + tail},
		{goldenSeed, 0, 0, Started, seed + "0&left=0&event=started" + tail},
		{goldenSeed, 0, 0, Stopped, seed + "0&left=0&event=stopped" + tail},
		{goldenID, 1, 2, None, leech + "1&left=2" + tail},
	} {
		r.PeerID, r.Downloaded, r.Left, r.Event = test.id, test.down, test.left, test.event
		require.Equal(t, test.want, string(appendQuery(nil, &r)))
	}
}

// T1: everything a request can hold, and the URL's own query kept.
func TestQueryParameters(t *testing.T) {
	var got *http.Request
	c := &Client{UserAgent: "me/1", HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("d8:intervali60ee"))}, nil
	})}}
	r := Request{
		InfoHash: goldenHash, PeerID: goldenID, Port: 1, Uploaded: 2, Downloaded: 3, Left: 4,
		NumWant: 5, Key: 0xabc, IP: "2001:db8::1", TrackerID: "a b&c~", PartialSeed: true,
	}
	ours := goldenHead + goldenIDText + "&port=1&uploaded=2&downloaded=3&left=4"
	tail := "&compact=1&no_peer_id=1&numwant=5&key=00000ABC&ip=2001%3Adb8%3A%3A1&trackerid=a%20b%26c~"
	for url, want := range map[string]string{
		"http://h/announce":                 "http://h/announce?" + ours + "&event=paused" + tail,
		"http://h:1/a.php?passkey=%aa&x=/?": "http://h:1/a.php?passkey=%aa&x=/?&" + ours + "&event=paused" + tail,
		"HTTP://h/announce?#frag":           "http://h/announce?" + ours + "&event=paused" + tail,
		"  https://h?a b& ":                 "https://h?a%20b&" + ours + "&event=paused" + tail,
	} {
		_, err := c.Announce(t.Context(), url, r)
		require.NoError(t, err)
		require.Equal(t, want, got.URL.String())
	}
	require.Equal(t, "me/1", got.Header.Get("User-Agent"))
	require.Equal(t, "gzip", got.Header.Get("Accept-Encoding"))

	// T6: none wanted at the end; negative counters are nobody's business.
	r.Event, r.Uploaded, r.Left = Stopped, -1, -1
	_, err := c.Announce(t.Context(), "http://h/", r)
	require.NoError(t, err)
	require.Contains(t, got.URL.RawQuery, "&uploaded=0&downloaded=3&left=0&event=stopped&compact=1&no_peer_id=1&numwant=0&")
}

func TestEscaping(t *testing.T) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	for raw, escaped := range map[string]string{
		"azAZ09-._~": "azAZ09-._~",
		"%+ /\x00":   "%25%2B%20%2F%00",
		"\xff@^`":    "%FF%40%5E%60",
	} {
		require.Equal(t, escaped, string(appendEscaped(nil, []byte(raw))))
	}
	bare := 0
	for _, c := range all {
		if len(appendEscaped(nil, []byte{c})) == 1 {
			bare++
		}
	}
	require.Equal(t, 26+26+10+4, bare) // RFC 3986, 2.3
}

// The captured answers, byte for byte: 108 packed ones and 88 plain ones.
func TestGoldenAnswers(t *testing.T) {
	other := [20]byte([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00|.\xe1\x1d\xef'\xa3f"))
	peer := func(id [20]byte, port uint16) Peer {
		return Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), Port: port, ID: id, HasID: true}
	}
	want := Response{
		Interval: 1800 * time.Second, MinInterval: time.Minute, Complete: -1, Incomplete: -1, Downloaded: -1,
		Peers: []Peer{peer(other, 6881), peer(goldenID, 6883)},
	}
	packed := string(hexFile(t, "answer-gzip.hex"))
	require.Len(t, packed, 108)
	for _, headers := range [][]string{{"Content-Encoding", "gzip"}, {"Content-Encoding", " X-GZIP"}, {}, {"Content-Type", "image/png"}} {
		got, err := answering(200, packed, headers...).Announce(t.Context(), "http://h/announce", Request{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}

	plain := "d8:intervali1800e5:peersld2:ip9:127.0.0.17:peer id20:" + string(other[:]) + "4:porti6881eeee"
	require.Len(t, plain, 88)
	want.Peers = want.Peers[:1]
	for _, body := range []string{plain, plain + "\n", plain + "\r\n"} {
		got, err := answering(200, body).Announce(t.Context(), "http://h/announce", Request{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// What trackers answer that are none, broken or hostile (RT3, RT7, RT8).
func TestHTTPFailures(t *testing.T) {
	const good = "d8:intervali1800e5:peers0:e"
	bomb := pack(strings.Repeat("a", 8<<20))
	require.Less(t, len(bomb), 100<<10)
	for name, test := range map[string]struct {
		code   int
		body   string
		packed bool
		want   error
	}{
		"nothing":               {200, "", false, ErrMalformed},
		"a page":                {200, "<html>hello</html>", false, ErrMalformed},
		"a list":                {200, "le", false, ErrMalformed},
		"an empty dictionary":   {200, "de", false, ErrMalformed},
		"cut":                   {200, good[:12], false, ErrMalformed},
		"a string that lies":    {200, "d5:peers1000000000:e", false, ErrMalformed},
		"more behind it":        {200, good + good, false, ErrMalformed},
		"deep":                  {200, "d1:a" + strings.Repeat("l", 100000), false, ErrMalformed},
		"not found":             {404, "<html>", false, &StatusError{404}},
		"a status with peers":   {500, good, false, &StatusError{500}},
		"a big status":          {503, strings.Repeat("x", MaxBody+1), false, &StatusError{503}},
		"big":                   {200, "d1:x" + fmt.Sprint(MaxBody) + ":" + strings.Repeat("x", MaxBody), false, ErrTooLarge},
		"a bomb":                {200, bomb, true, ErrTooLarge},
		"a bomb in disguise":    {200, bomb, false, ErrTooLarge},
		"empty gzips, no end":   {200, strings.Repeat(pack(""), MaxBody/20), true, ErrTooLarge},
		"not packed":            {200, good, true, ErrMalformed},
		"damaged gzip":          {200, pack(good)[:20], true, ErrMalformed},
		"gzip, wrong sum":       {200, pack(good)[:len(pack(good))-6] + "abcdef", true, ErrMalformed},
		"failure":               {200, "d14:failure reason4:go a3:xyz1:ye", false, &FailureError{Reason: "go a"}},
		"failure, short key":    {200, "d7:failure4:go ae", false, &FailureError{Reason: "go a"}},
		"failure, both":         {200, "d7:failure1:x14:failure reason1:ye", false, &FailureError{Reason: "y"}},
		"failure with status":   {403, "d14:failure reason1:ye", false, &FailureError{Reason: "y"}},
		"failure without words": {200, "d14:failure reasoni1ee", false, &FailureError{Reason: "no reason given"}},
		"failure with peers":    {200, "d14:failure reason1:y5:peers6:abcdefe", false, &FailureError{Reason: "y"}},
		"failure, controls":     {200, "d14:failure reason9:\x1b[2J\xff\u0085ée", false, &FailureError{Reason: `\x1b[2J\xff\u0085é`}},
		"retry":                 {200, "d14:failure reason1:y8:retry ini5ee", false, &FailureError{Reason: "y", RetryIn: 5 * time.Minute}},
		"retry, string":         {200, "d14:failure reason1:y8:retry in1:5e", false, &FailureError{Reason: "y", RetryIn: 5 * time.Minute}},
		"retry, never":          {200, "d14:failure reason1:y8:retry in5:nevere", false, &FailureError{Reason: "y", RetryIn: Never}},
		"retry, absurd":         {200, "d14:failure reason1:y8:retry ini999999999999ee", false, &FailureError{Reason: "y", RetryIn: MaxInterval}},
		"retry, back":           {200, "d14:failure reason1:y8:retry ini-5ee", false, &FailureError{Reason: "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if test.packed {
				headers = []string{"Content-Encoding", "gzip"}
			}
			_, err := answering(test.code, test.body, headers...).Announce(t.Context(), "http://h:1/pass/announce?key", Request{})
			require.ErrorContains(t, err, "announce http://h:1: ")
			require.NotContains(t, err.Error(), "pass")
			var failure *FailureError
			var status *StatusError
			switch want := test.want.(type) {
			case *FailureError:
				require.ErrorAs(t, err, &failure)
				require.Equal(t, want, failure)
			case *StatusError:
				require.ErrorAs(t, err, &status)
				require.Equal(t, want, status)
			default:
				require.ErrorIs(t, err, want)
			}
		})
	}
}

// RT3, RT19: prose and ids of a megabyte.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("é", 1<<19)
	body := fmt.Sprintf("d14:failure reason%d:%se", len(long), long)
	_, err := parseAnnounce([]byte(body), time.Minute)
	var failure *FailureError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, strings.Repeat("é", maxText/2)+"…", failure.Reason)

	body = fmt.Sprintf("d8:intervali60e10:tracker id%d:%s15:warning message%d:%se", len(long), long, len(long), long)
	r, err := parseAnnounce([]byte(body), time.Minute)
	require.NoError(t, err)
	require.Empty(t, r.TrackerID)
	require.Equal(t, failure.Reason, r.Warning)
}

func TestBadURLs(t *testing.T) {
	var unsupported *UnsupportedError
	for url, scheme := range map[string]string{
		"wss://h/announce": "wss", "ws://h": "ws", "ftp://h": "ftp", "file:///etc/passwd": "file",
		"": "", "h:80/announce": "", "announce": "", "\x1b://h": `\x1b`,
	} {
		_, err := new(Client).Announce(t.Context(), url, Request{})
		require.ErrorAs(t, err, &unsupported, url)
		require.Equal(t, scheme, unsupported.Scheme)
	}
	for _, url := range []string{
		"http://", "http:announce", "http:///announce", "http://[::1", "http://h/\x00", "udp://h", "udp://h:0", "udp://h:x", "udp://:80",
		"http://h/" + strings.Repeat("a", maxURL),
	} {
		_, err := new(Client).Announce(t.Context(), url, Request{})
		require.ErrorIs(t, err, ErrBadURL, "%.50s", url)
	}
}

// RT10: redirects are followed, but not for ever, not elsewhere than to HTTP,
// and without telling the next tracker the first one's URL.
func TestRedirects(t *testing.T) {
	var hops atomic.Int32
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		hops.Add(1)
		http.Redirect(w, r, "/loop", http.StatusFound)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/once", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/there?"+r.URL.RawQuery, http.StatusMovedPermanently)
	})
	mux.HandleFunc("/there", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" || r.Header.Get("User-Agent") != "starling" || r.URL.Query().Get("port") != "7" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		io.WriteString(w, "d8:intervali1ee")
	})
	var c Client
	_, err := c.Announce(t.Context(), srv.URL+"/loop", Request{})
	require.ErrorContains(t, err, "more than 5 redirects")
	require.Equal(t, int32(6), hops.Load())
	_, err = c.Announce(t.Context(), srv.URL+"/file", Request{})
	require.ErrorAs(t, err, new(*UnsupportedError))
	_, err = c.Announce(t.Context(), srv.URL+"/once?secret", Request{Port: 7})
	require.NoError(t, err)

	refuse := errors.New("stay here")
	mine := Client{HTTP: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return refuse },
	}}
	_, err = mine.Announce(t.Context(), srv.URL+"/once?secret", Request{Port: 7})
	require.ErrorIs(t, err, refuse)
	require.NotContains(t, err.Error(), "secret")
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

// RT9: one deadline for everything.
func TestSlowTrackers(t *testing.T) {
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

// RT15: what HTTP itself can be made to say wrongly is an error, not a peer.
func TestBadHTTP(t *testing.T) {
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
			c.HTTP.Transport.(*http.Transport).MaxResponseHeaderBytes = new(Client).httpClient().Transport.(*http.Transport).MaxResponseHeaderBytes
			_, err := c.Announce(t.Context(), "http://h/announce", Request{})
			require.Error(t, err)
		})
	}
}
