package tracker

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func hashOf(c string) [20]byte { return [20]byte([]byte(strings.Repeat(c, 20))) }

// The vectors of the convention's own text, and what else there is.
func TestT13_ScrapeAddress(t *testing.T) {
	for announce, want := range map[string]string{
		"http://spam.com/announce":           "http://spam.com/scrape",
		"http://spam.com/a":                  "",
		"http://spam.com/announce.php":       "http://spam.com/scrape.php",
		"http://spam.com/announce?x=2%0644":  "http://spam.com/scrape?x=2%0644",
		"http://spam.com/announce?x=2/4":     "",
		"http://spam.com/x%064announce":      "",
		"http://spam.com/x/announce":         "http://spam.com/x/scrape",
		"http://spam.com/%61nnounce":         "",
		"http://spam.com/announce/passkey":   "",
		"http://spam.com/passkey/announce":   "http://spam.com/passkey/scrape",
		"http://spam.com/Announce":           "",
		"http://spam.com/x?a=/announce":      "http://spam.com/x?a=/scrape",
		"http://announce/announce":           "http://announce/scrape",
		"http://announce":                    "",
		"http://spam.com":                    "",
		"http://spam.com/":                   "",
		" HTTPS://spam.com:1/announce?&amp;": "HTTPS://spam.com:1/scrape?&amp;",
		"udp://spam.com:1/announce":          "",
		"wss://spam.com/announce":            "",
		"announce":                           "",
		"/announce":                          "",
		"":                                   "",
	} {
		got, ok := ScrapeURL(announce)
		require.Equal(t, want, got, announce)
		require.Equal(t, want != "", ok, announce)
	}
	_, err := new(Client).Scrape(t.Context(), "http://127.0.0.1:1/x?announce", hashOf("x"))
	require.ErrorIs(t, err, ErrNoScrape)
}

func scraped(t *testing.T, body string, asked ...[20]byte) ScrapeResponse {
	t.Helper()
	r := ScrapeResponse{Files: make(map[[20]byte]ScrapeFile)}
	require.NoError(t, parseScrape([]byte(body), asked, minInterval, &r))
	return r
}

// The answer of BEP 48's example, the unofficial keys, and BEP 21's.
func TestT12_ScrapeAnswers(t *testing.T) {
	x, y := hashOf("x"), hashOf("y")
	example := "d5:filesd20:" + string(x[:]) + "d8:completei11e10:downloadedi13772e10:incompletei19ee" +
		"20:" + string(y[:]) + "d8:completei21e10:downloadedi206e10:incompletei20eeee"
	both := map[[20]byte]ScrapeFile{
		x: {Complete: 11, Downloaded: 13772, Incomplete: 19, Downloaders: -1},
		y: {Complete: 21, Downloaded: 206, Incomplete: 20, Downloaders: -1},
	}
	require.Equal(t, ScrapeResponse{Files: both}, scraped(t, example))
	require.Equal(t, ScrapeResponse{Files: both}, scraped(t, example, y, x))
	delete(both, y)
	require.Equal(t, both, scraped(t, example, x, hashOf("z")).Files)

	r := scraped(t, "d5:filesd20:"+string(x[:])+"d8:complete1:510:downloadedi50e11:downloadersi4e10:incompletei10e4:name5:a\nb.ceee", x)
	require.Equal(t, map[[20]byte]ScrapeFile{x: {Complete: 5, Downloaded: 50, Incomplete: 10, Downloaders: 4, Name: `a\nb.c`}}, r.Files)
	for in, want := range map[string]time.Duration{
		"i7200e": 2 * time.Hour, "4:7200": 2 * time.Hour, "i-1e": time.Minute, "i99999999999e": MaxInterval, "le": 0,
	} {
		r = scraped(t, "d5:filesde5:flagsd20:min_request_interval"+in+"ee")
		require.Equal(t, want, r.MinInterval, in)
	}
	require.Zero(t, scraped(t, "d5:filesde5:flagsi5ee").MinInterval)
}

// Keys of which every byte was taken for a character, and encoded.
func TestT12_ScrapeMisreadKeys(t *testing.T) {
	x := [20]byte{0xff, 0x80, 3, 19: 0xc3}
	key := misread(x)
	require.Greater(t, len(key), 20)
	body := fmt.Sprintf("d5:filesd%d:%sd8:completei1eeee", len(key), key)
	want := map[[20]byte]ScrapeFile{x: {1, -1, -1, -1, ""}}
	require.Equal(t, want, scraped(t, body, x).Files)
	require.Equal(t, want, scraped(t, body).Files)
}

// Other hashes, negative counts, missing files, junk.
func TestRT21_ScrapeJunk(t *testing.T) {
	x := hashOf("x")
	for entry, want := range map[string]ScrapeFile{
		"d8:completei-5e10:incompletei99999999999ee": {Complete: -1, Incomplete: 1<<31 - 1, Downloaded: -1, Downloaders: -1},
		"de": {-1, -1, -1, -1, ""},
		"d8:completele4:namei5e10:downloadedi1ee": {Complete: -1, Incomplete: -1, Downloaded: 1, Downloaders: -1},
	} {
		r := scraped(t, "d5:filesd20:"+string(x[:])+entry+"ee", x)
		require.Equal(t, map[[20]byte]ScrapeFile{x: want}, r.Files, entry)
	}
	for _, files := range []string{
		"d20:" + strings.Repeat("y", 20) + "d8:completei1eee", "de", "d20:" + string(x[:]) + "i5ee",
		"d19:" + string(x[:19]) + "dee", "d20:" + string(x[:]) + "0:e", "d40:" + hex.EncodeToString(x[:]) + "dee",
	} {
		require.Empty(t, scraped(t, "d5:files"+files+"e", x).Files, files)
	}
	require.Empty(t, scraped(t, "d5:filesd3:abcde21:"+string(x[:])+"xdeee").Files)
	for _, body := range []string{"", "de", "d5:filesi1ee", "d5:files0:e", "d5:fileslee", "le", "d5:filesd"} {
		err := parseScrape([]byte(body), nil, minInterval, new(ScrapeResponse))
		require.ErrorIs(t, err, ErrMalformed, body)
	}

	// A whole tracker's worth is cut.
	var b strings.Builder
	b.WriteString("d5:filesd")
	for i := range MaxScrape + 5 {
		fmt.Fprintf(&b, "20:%020dde", i)
	}
	require.Len(t, scraped(t, b.String()+"ee").Files, MaxScrape)
}

func requireScrapeBounded(t *testing.T, r ScrapeResponse) {
	require.LessOrEqual(t, len(r.Files), MaxScrape)
	require.LessOrEqual(t, r.MinInterval, MaxInterval)
	for _, f := range r.Files {
		requireShort(t, f.Name)
		for _, n := range []int{f.Complete, f.Incomplete, f.Downloaded, f.Downloaders} {
			require.GreaterOrEqual(t, n, -1)
		}
	}
}

func TestT12_ScrapeRequests(t *testing.T) {
	var got []string
	c := &Client{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		got = append(got, r.URL.String())
		hashes := r.URL.Query()["info_hash"]
		body := "d5:filesd"
		for _, hash := range hashes {
			body += "20:" + hash + "d8:completei3ee"
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body + "ee"))}, nil
	})}}
	x, y := hashOf("x"), hashOf("\xff")
	r, err := c.Scrape(t.Context(), "http://h/announce?passkey=a/../announce?b&", x, y, x)
	require.NoError(t, err)
	require.Len(t, r.Files, 2)
	_, err = c.Scrape(t.Context(), "http://h/announce.php?b#c")
	require.NoError(t, err)
	ff := strings.Repeat("%FF", 20)
	require.Equal(t, []string{
		"http://h/announce?passkey=a/../scrape?b&info_hash=" + string(x[:]) + "&info_hash=" + ff,
		"http://h/scrape.php?b",
	}, got)

	// Many of them: in several requests, none with a line that servers refuse.
	got = nil
	var hashes [][20]byte
	for i := range 150 {
		hashes = append(hashes, [20]byte{0xff, byte(i)})
	}
	r, err = c.Scrape(t.Context(), "http://h/announce", hashes...)
	require.NoError(t, err)
	require.Len(t, r.Files, 150)
	require.Len(t, got, 3)
	for _, u := range got {
		require.Less(t, len(u), 6000)
	}
	_, err = c.Scrape(t.Context(), "http://h/announce", make([][20]byte, MaxScrape+1)...)
	require.NoError(t, err, "all the same")
}

// BEP 15: the bytes, and how many go into one packet.
func TestT16_UDPScrape(t *testing.T) {
	var packets [][]byte
	c := udpClient(func(to string, packet []byte) []datagram {
		if isConnect(packet) {
			return obliging(to, packet)
		}
		packets = append(packets, packet)
		text := "00000002 T"
		for i := range (len(packet) - 16) / 20 {
			text += fmt.Sprintf("%08x %08x %08x", i, i+1, packet[16+20*i])
		}
		return []datagram{{to, reply(packet, text)}}
	})
	var hashes [][20]byte
	for i := range 150 {
		hashes = append(hashes, [20]byte{byte(i), 1})
	}
	r, err := c.Scrape(t.Context(), "udp://four:6969/announce", hashes...)
	require.NoError(t, err)
	require.Len(t, r.Files, 150)
	for i, hash := range hashes {
		require.Equal(t, ScrapeFile{Complete: i % 74, Downloaded: i%74 + 1, Incomplete: i, Downloaders: -1}, r.Files[hash])
	}
	require.Len(t, packets, 3)
	require.Len(t, packets[0], 16+20*74)
	require.Len(t, packets[2], 16+20*2)
	require.Equal(t, "0102030405060708"+"00000002", hex.EncodeToString(packets[0][:12]))
	require.Equal(t, hex.EncodeToString(hashes[0][:]), hex.EncodeToString(packets[0][16:36]))

	_, err = c.Scrape(t.Context(), "udp://four:6969/announce")
	require.ErrorContains(t, err, "scrape udp://four:6969: UDP trackers have to be told")
}

func TestRT21_UDPScrapeJunk(t *testing.T) {
	x, y := hashOf("x"), hashOf("y")
	for text, want := range map[string]map[[20]byte]ScrapeFile{
		"":                           {},
		"00000001 00000002 000000":   {},
		"00000001 00000002 00000003": {x: {Complete: 1, Downloaded: 2, Incomplete: 3, Downloaders: -1}},
		"ffffffff 80000000 7fffffff 00000000 00000000 00000000 00000009 00000009 00000009": {
			x: {-1, 1<<31 - 1, -1, -1, ""}, y: {0, 0, 0, -1, ""},
		},
	} {
		r, err := udpClient(func(to string, packet []byte) []datagram {
			if isConnect(packet) {
				return obliging(to, packet)
			}
			return []datagram{{to, reply(packet, "00000002 T"+text)}}
		}).Scrape(t.Context(), "udp://four:6969", x, y)
		require.NoError(t, err)
		require.Equal(t, want, r.Files)
	}
	_, err := udpClient(func(to string, packet []byte) []datagram {
		return []datagram{{to, reply(packet, "00000003 T 6e6f")}}
	}).Scrape(t.Context(), "udp://four:6969", x)
	require.ErrorAs(t, err, new(*FailureError))
}
