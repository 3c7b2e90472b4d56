package server

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
)

// Partial seeds are leeches, but no downloaders (BEP 21).
func TestT33_PartialSeeds(t *testing.T) {
	s := newServer(t, Config{MinInterval: 2 * time.Minute, FullScrape: true})
	a, b, c := strings.Repeat("a", 20), strings.Repeat("b", 20), strings.Repeat("c", 20)
	announced(t, s, "192.0.2.1:1", "info_hash", b)
	announced(t, s, "192.0.2.2:1", "info_hash", b, "event", "paused")
	announced(t, s, "192.0.2.1:1", "info_hash", a, "left", "0", "event", "completed")
	announced(t, s, "192.0.2.1:1", "info_hash", a, "left", "0", "event", "paused") // it has everything after all
	fa := "20:" + a + "d8:completei1e10:downloadedi1e11:downloadersi0e10:incompletei0ee"
	fb := "20:" + b + "d8:completei0e10:downloadedi0e11:downloadersi1e10:incompletei2ee"
	tail := "e5:flagsd20:min_request_intervali120eee"
	for target, want := range map[string]string{
		"/scrape": fa + fb,
		"/scrape?info_hash=" + b + "&info_hash=" + a + "&info_hash=" + b: fa + fb,
		"/x/scrape.php?info%5Fhash=%62" + b[1:]:                          fb,
		"/scrape?info_hash=" + c:                                         "",
	} {
		body := ask(t, s, "192.0.2.9:1", target).Body.String()
		require.Equal(t, "d5:filesd"+want+tail, body, target)
		n, err := bencode.Scan([]byte(body))
		require.NoError(t, err)
		require.Equal(t, len(body), n)
	}
	announced(t, s, "192.0.2.2:1", "info_hash", b) // it wants more
	require.Contains(t, ask(t, s, "192.0.2.9:1", "/scrape?info_hash="+b).Body.String(), "11:downloadersi2e")
	newUDPPeer(s, "192.0.2.2:1").announce(t, udpAnnounce{hash: 'b', left: 1, event: eventPaused, port: 6881})
	require.Contains(t, ask(t, s, "192.0.2.9:1", "/scrape?info_hash="+b).Body.String(), "11:downloadersi1e")
}

func TestScrapeRefusals(t *testing.T) {
	s := newServer(t, Config{})
	hash := "info_hash=" + strings.Repeat("h", 20) + "&"
	for query, no := range map[string]bool{
		"": true, "info_hash=x": true, strings.Repeat(hash, maxScrape+1): true, strings.Repeat(hash, maxScrape): false,
	} {
		require.Equal(t, no, strings.Contains(ask(t, s, "192.0.2.1:1", "/scrape?"+query).Body.String(), "14:failure reason"))
	}
	require.Equal(t, Requests{Scrapes: 1, Failures: 3}, s.Stats().HTTP)
}

func TestUDPScrape(t *testing.T) {
	s := newServer(t, Config{})
	announced(t, s, "192.0.2.1:1", "info_hash", strings.Repeat("b", 20))
	announced(t, s, "[2001:db8::1]:1", "info_hash", strings.Repeat("b", 20), "left", "0", "event", "completed")
	p := newUDPPeer(s, "[2001:db8::2]:7")
	scrape := func(hashes string) []byte {
		b := binary.BigEndian.AppendUint64(nil, p.connect(t))
		b = append(binary.BigEndian.AppendUint32(b, actionScrape), 1, 2, 3, 4)
		return p.send(append(b, hashes...))
	}
	require.Equal(t, []byte{0, 0, 0, 2, 1, 2, 3, 4}, scrape(""))
	unknown := make([]byte, 12)
	known := []byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1} // seeds, completed, leeches
	got := scrape(strings.Repeat("a", 20) + strings.Repeat("b", 20) + "half of another")
	require.Equal(t, fmt.Sprintf("%x%x", unknown, known), fmt.Sprintf("%x", got[8:]))
	require.Len(t, scrape(strings.Repeat("b", 20*200)), 8+12*maxUDPScrape)
	require.Equal(t, uint64(3), s.Stats().UDP.Scrapes)
}
