//go:build linux

package interop_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	trackers "github.com/seed1734be99/starling/tracker"
)

// transport is how an announce goes to a tracker.
type transport struct {
	scheme string // http or udp
	v6     bool
}

var (
	overHTTP4 = transport{"http", false}
	overHTTP6 = transport{"http", true}
	overUDP4  = transport{"udp", false}
	overUDP6  = transport{"udp", true}
)

func (x transport) String() string {
	if x.v6 {
		return x.scheme + " IPv6"
	}
	return x.scheme + " IPv4"
}

// need skips the test, or fails it, where there is no IPv6 for it.
func (x transport) need(t *testing.T) {
	t.Helper()
	if x.v6 && noIPv6 != "" {
		unavailable(t, noIPv6)
	}
}

// trackerAddr is where a tracker of the family can be reached.
func (x transport) trackerAddr() netip.AddrPort {
	if x.v6 {
		return homeAddr6()
	}
	return newAddr()
}

// addr is where a client listens and announces from.
func (x transport) addr(c *client) netip.AddrPort {
	switch {
	case !x.v6:
		return c.newAddr()
	case c == starling:
		return homeAddr6()
	}
	return newAddr6()
}

// nodeTracker is bittorrent-tracker from npm, in a folder that the caller names.
var nodeTracker = &client{name: "bittorrent-tracker", programs: []string{"node"}, probe: func() string {
	dir := os.Getenv(envNodeTracker)
	if dir == "" {
		return "bittorrent-tracker is not there (" + envNodeTracker + " names no folder with its node_modules)"
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "bittorrent-tracker", "server.js")); err != nil {
		return "bittorrent-tracker is not there: " + err.Error()
	}
	return ""
}}

const envNodeTracker = "STARLING_NODE_TRACKER" // folder with node_modules/bittorrent-tracker

// startNodeTracker runs bittorrent-tracker.
func startNodeTracker(t *testing.T, ctx context.Context, at netip.AddrPort) *tracker {
	t.Helper()
	script, err := filepath.Abs("testdata/tracker.mjs")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(os.Getenv(envNodeTracker))
	if err != nil {
		t.Fatal(err)
	}
	r := &tracker{process: start(t, "node", script, dir, at.Addr().String(), portOf(at)), at: at}
	r.await(t, ctx, "bittorrent-tracker listens", func() bool { return strings.Contains(r.said.String(), "READY\n") })
	return r
}

// TestRealTrackers: a seeder and a downloader of ours find each other by a
// tracker that others wrote, which counts them rightly all the time; scrapes
// over HTTP and UDP agree.
func TestRealTrackers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tracker *client
		by      transport
	}{
		{openTracker, overHTTP4},
		{openTracker, overUDP4},
		{nodeTracker, overHTTP4},
		{nodeTracker, overHTTP6},
		{nodeTracker, overUDP4},
	} {
		t.Run(c.tracker.name+"/"+c.by.String(), func(t *testing.T) {
			t.Parallel()
			need(t, starling, c.tracker)
			x := begin(t, c.tracker, c.by)
			x.transfer(t)
		})
	}
}

// TestUDP6OfBittorrentTracker: over UDP on IPv6 this package counts who
// announces, but hands out the IPv4 addresses it knows, six bytes each (BEP 15
// wants eighteen). So peers are not found there, and nobody is harmed.
func TestUDP6OfBittorrentTracker(t *testing.T) {
	t.Parallel()
	need(t, starling, nodeTracker)
	x := begin(t, nodeTracker, overUDP6)
	seeder := x.seed(t)
	x.counted(t, "the seeder announced", scrape{seeds: 1})
	leecher := x.leech(t)
	x.counted(t, "the downloader announced", scrape{seeds: 1, leeches: 1})
	x.stops(t, leecher, scrape{seeds: 1})
	x.stops(t, seeder, scrape{})
}

// tracked is a swarm of ours at somebody else's tracker.
type tracked struct {
	*payload
	ctx    context.Context
	tr     *tracker
	kind   *client
	by     transport
	dir    string         // the downloader's
	from   netip.AddrPort // the seeder
	to     netip.AddrPort // the downloader
	copies int            // times the torrent was completed
}

// begin starts the tracker, and makes a torrent that names it.
func begin(t *testing.T, kind *client, by transport) *tracked {
	t.Helper()
	by.need(t)
	x := &tracked{ctx: within(t, 60*time.Second), kind: kind, by: by, dir: t.TempDir()}
	at := by.trackerAddr()
	x.from, x.to = by.addr(starling), by.addr(starling)
	x.payload = makePayload(t, plain, announceURL(by.scheme, at))
	if kind == openTracker {
		x.tr = startOpentracker(t, x.ctx, at, x.payload)
	} else {
		x.tr = startNodeTracker(t, x.ctx, at)
	}
	return x
}

func (x *tracked) seed(t *testing.T) *process {
	t.Helper()
	j := job{payload: x.payload, at: x.from, track: true}
	argv := append([]string{program(t, "seed"), "-dir", x.payload.dir, "-max-upload", "3M"}, quiet(j)...)
	p := start(t, append(argv, "-torrent", x.torrent)...)
	p.listening(t, x.ctx, x.from)
	return p
}

// leech starts a downloader that stays when it is complete.
func (x *tracked) leech(t *testing.T) *process {
	t.Helper()
	j := job{payload: x.payload, at: x.to, track: true}
	argv := append([]string{program(t, "download"), "-quiet", "-seed", "-dir", x.dir}, quiet(j)...)
	return start(t, append(argv, x.torrent)...)
}

// counted waits for the tracker's figures, and compares what a scrape by the
// library says.
func (x *tracked) counted(t *testing.T, what string, want scrape) {
	t.Helper()
	want.downloaded = x.copies
	if x.kind == nodeTracker { // it takes the seeds for it
		want.downloaded = want.seeds
	}
	x.tr.counts(t, x.ctx, x.payload, what, func(s scrape) bool { return s == want })
	for _, scheme := range []string{"http", "udp"} {
		switch got, ok := x.scraped(t, scheme); {
		case !ok:
			t.Errorf("%s: the scrape over %s does not have the torrent", what, scheme)
		case got != want:
			t.Errorf("%s: scraped over %s: %+v, not %+v", what, scheme, got, want)
		}
	}
}

// scraped asks the tracker as the library does, and about a torrent besides
// that it does not know.
func (x *tracked) scraped(t *testing.T, scheme string) (s scrape, ok bool) {
	t.Helper()
	unknown := [20]byte{1, 2, 3}
	var c trackers.Client
	r, err := c.Scrape(x.ctx, announceURL(scheme, x.tr.at), x.infoHash, unknown)
	if err != nil {
		t.Fatalf("scrape over %s: %v", scheme, err)
	}
	if u := r.Files[unknown]; u.Complete > 0 || u.Incomplete > 0 || u.Downloaded > 0 {
		t.Errorf("over %s an unknown torrent has %+v", scheme, u)
	}
	f, ok := r.Files[x.infoHash]
	return scrape{seeds: f.Complete, leeches: f.Incomplete, downloaded: f.Downloaded}, ok
}

// stops ends one of ours. Its stopping waits for the tracker's answer, so the
// tracker knows at once.
func (x *tracked) stops(t *testing.T, p *process, left scrape) {
	t.Helper()
	if !p.end(syscall.SIGINT) {
		t.Error(p.name + " did not end when interrupted")
	}
	got, err := x.tr.scrape(x.ctx, x.payload)
	if err != nil {
		t.Fatal(err)
	}
	if got.seeds != left.seeds || got.leeches != left.leeches {
		t.Errorf("behind the end of %s the tracker counts %+v, not %+v", p.name, got, left)
	}
}

func (x *tracked) transfer(t *testing.T) {
	t.Helper()
	seeder := x.seed(t)
	x.counted(t, "the seeder announced", scrape{seeds: 1})
	leecher := x.leech(t)
	x.counted(t, "the downloader announced", scrape{seeds: 1, leeches: 1})
	x.copies++
	x.counted(t, "the downloader told that it is complete", scrape{seeds: 2})
	x.mustBeIn(t, x.dir, false)
	for _, at := range []netip.AddrPort{x.from, x.to} {
		if !x.tr.names(t, x.ctx, x.payload, at) {
			t.Errorf("the tracker does not name %s", at)
		}
	}
	x.tr.forget(t, x.ctx, x.payload)
	x.stops(t, leecher, scrape{seeds: 1})
	x.stops(t, seeder, scrape{})
}
