package tracker

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
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

// The queries of both captured sessions. Ours begin with the same bytes;
// what was added to the protocol later follows.
func TestT31_GoldenQueries(t *testing.T) {
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

// Everything a request can hold, and the URL's own query kept.
func TestT1_QueryParameters(t *testing.T) {
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

func TestT28_Escaping(t *testing.T) {
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
func TestT10_GoldenAnswers(t *testing.T) {
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
