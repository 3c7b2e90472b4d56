//go:build linux

package interop_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	trackers "github.com/seed1734be99/starling/tracker"
)

// TestT32_NATCheck: our server connects back to who announces. Real clients and
// ours answer its 48 bytes, are taken in and find each other.
func TestT32_NATCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		by              transport
		seeder, leecher *client
	}{
		{overHTTP4, starling, libtorrent},
		{overHTTP6, libtorrent, starling},
		{overUDP4, libtorrent, starling},
		{overUDP6, starling, libtorrent},
		{overHTTP4, aria2, starling},
		{overUDP4, libtorrent, aria2},
		{overHTTP4, transmission, libtorrent},
	} {
		t.Run(c.by.String()+"/to="+c.leecher.name+"/from="+c.seeder.name, func(t *testing.T) {
			t.Parallel()
			need(t, starling, c.seeder, c.leecher)
			c.by.need(t)
			ctx := within(t, 60*time.Second)
			tr := startOwnTracker(t, ctx, c.by.trackerAddr(), "-natcheck")
			p := makePayload(t, plain, announceURL(c.by.scheme, tr.at))
			from := job{payload: p, what: p.torrent, dir: p.dir, at: c.by.addr(c.seeder), track: true}
			to := job{payload: p, what: p.torrent, dir: t.TempDir(), at: c.by.addr(c.leecher), track: true}
			c.seeder.seed(t, ctx, from)
			tr.counts(t, ctx, p, c.seeder.name+" was taken in", func(s scrape) bool { return s.seeds == 1 })
			finish := c.leecher.leech(t, ctx, to)
			tr.counts(t, ctx, p, c.leecher.name+" was taken in", func(s scrape) bool { return s.leeches == 1 || s.downloaded == 1 })
			finish()
			p.mustBeIn(t, to.dir, c.leecher.noEmpty)
		})
	}
}

// TestT32_ClosedPort: who can't be reached is told so, in words that the library
// hands on, and is not counted.
func TestT32_ClosedPort(t *testing.T) {
	t.Parallel()
	for _, by := range []transport{overHTTP4, overHTTP6, overUDP4, overUDP6} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			need(t, starling)
			by.need(t)
			ctx := within(t, 20*time.Second)
			tr := startOwnTracker(t, ctx, by.trackerAddr(), "-natcheck")
			p := makePayload(t, tinyPieces, announceURL(by.scheme, tr.at))
			var c trackers.Client
			_, err := c.Announce(ctx, announceURL(by.scheme, tr.at), trackers.Request{
				InfoHash: p.infoHash, PeerID: [20]byte{1}, Port: newPort(), Left: 1, NumWant: -1, Event: trackers.Started,
			})
			var no *trackers.FailureError
			if !errors.As(err, &no) || !strings.Contains(no.Reason, "reached") {
				t.Errorf("a closed port: %v", err)
			}
			if s, err := tr.scrape(ctx, p); err != nil || s != (scrape{}) {
				t.Errorf("the tracker counts %+v, %v", s, err)
			}
		})
	}
}
