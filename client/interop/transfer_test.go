//go:build linux

package interop_test

import (
	"context"
	"net/netip"
	"net/url"
	"syscall"
	"testing"
	"time"
)

// route is how the two ends of a transfer find each other.
type route string

const (
	byPeer     route = "peer"     // the leecher is given the seeder's address
	byIncoming route = "incoming" // the seeder is given the leecher's address
	byHTTP     route = "http"     // both announce to opentracker over HTTP
	byUDP      route = "udp"      // both announce to opentracker over UDP
	byLink     route = "x.pe"     // the leecher's magnet link holds the seeder's address
)

func (r route) tracked() bool { return r == byHTTP || r == byUDP }

// transfer is a payload on its way from one client to another.
type transfer struct {
	seeder, leecher *client
	by              route
	shape           shape
	magnet          bool          // the leecher gets a magnet link instead of the torrent
	limit           time.Duration // of the whole; 0: 90 s
}

// run makes the payload, lets one download it from the other, and compares.
func (x transfer) run(t *testing.T) {
	t.Helper()
	all := []*client{x.seeder, x.leecher}
	withTracker := x.by.tracked() || x.seeder.tracked || x.leecher.tracked
	if withTracker {
		all = append(all, openTracker)
	}
	need(t, all...)
	if x.limit == 0 {
		x.limit = 90 * time.Second
	}
	ctx := within(t, x.limit)

	var trackers []string
	at := newAddr()
	if withTracker {
		scheme := "http"
		if x.by == byUDP {
			scheme = "udp"
		}
		trackers = append(trackers, announceURL(scheme, at))
	}
	p := makePayload(t, x.shape, trackers...)
	var tr *tracker
	if withTracker {
		tr = startOpentracker(t, ctx, at, p)
	}
	from := job{payload: p, what: p.torrent, dir: p.dir, at: x.seeder.newAddr(), track: x.by.tracked()}
	to := job{payload: p, what: p.torrent, dir: t.TempDir(), at: x.leecher.newAddr(), track: x.by.tracked()}
	if x.by == byPeer {
		to.peers = []netip.AddrPort{from.at}
	}
	if x.magnet {
		to.what = x.link(p, from, trackers)
	}

	began := time.Now()
	if x.by == byIncoming {
		finish := x.leecher.leech(t, ctx, to)
		awaitListener(t, ctx, to.at)
		from.peers = []netip.AddrPort{to.at}
		x.seeder.seed(t, ctx, from)
		finish()
	} else {
		seeder := x.seeder.seed(t, ctx, from)
		if x.by.tracked() {
			tr.counts(t, ctx, p, "the seeder announced", func(s scrape) bool { return s.seeds == 1 })
		}
		began = time.Now()
		x.leecher.leech(t, ctx, to)()
		if x.by.tracked() && subject == starling {
			defer x.farewell(t, ctx, seeder, from, tr)
		}
	}
	t.Logf("%s <- %s by %s: %.1f s", x.leecher.name, x.seeder.name, x.by, time.Since(began).Seconds())
	p.mustBeIn(t, to.dir, x.leecher.noEmpty)
}

// link is the magnet link for the leecher.
func (x transfer) link(p *payload, from job, trackers []string) string {
	switch {
	case x.by == byLink:
		return p.magnet("x.pe=" + from.at.String())
	case x.by.tracked():
		return p.magnet("tr=" + url.QueryEscape(trackers[0]))
	default:
		return p.magnet()
	}
}

// farewell checks what the subject told the tracker at the end: its stopping
// waits for the announce, so the tracker knows at once.
func (x transfer) farewell(t *testing.T, ctx context.Context, seeder *process, from job, tr *tracker) {
	t.Helper()
	if x.leecher == subject {
		tr.counts(t, ctx, from.payload, "the leecher told that it completed, and stopped", func(s scrape) bool {
			return s == scrape{seeds: 1, downloaded: 1}
		})
	}
	if x.seeder == subject {
		if !tr.names(t, ctx, from.payload, from.at) {
			t.Errorf("the tracker did not name %s before it stopped", from.at)
		}
		if !seeder.end(syscall.SIGINT) {
			t.Error("the seeder did not end when interrupted")
		}
		if tr.names(t, ctx, from.payload, from.at) {
			t.Error("the seeder did not tell that it stopped")
		}
	}
}
