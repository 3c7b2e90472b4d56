//go:build linux

package interop_test

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// manyPieces has an info dictionary of 41 KiB: three pieces of metadata.
var manyPieces = oneFile("many pieces.bin", 2<<20, 1<<10)

// TestMagnetDownload: a magnet link and nothing but libtorrent's address.
func TestMagnetDownload(t *testing.T) {
	t.Parallel()
	for _, by := range []route{byLink, byPeer, byIncoming} {
		t.Run("by="+string(by), func(t *testing.T) {
			t.Parallel()
			transfer{seeder: libtorrent, leecher: subject, by: by, shape: manyPieces, magnet: true}.run(t)
		})
	}
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		transfer{seeder: libtorrent, leecher: subject, by: byLink, shape: folder, magnet: true}.run(t)
	})
	t.Run("from=transmission", func(t *testing.T) {
		t.Parallel()
		transfer{seeder: transmission, leecher: subject, by: byLink, shape: manyPieces, magnet: true}.run(t)
	})
	t.Run("tracker", func(t *testing.T) {
		t.Parallel()
		transfer{seeder: aria2, leecher: subject, by: byHTTP, shape: manyPieces, magnet: true}.run(t)
	})
}

// TestMagnetSeed: others get the metadata from us.
func TestMagnetSeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to *client
		by route
	}{
		{libtorrent, byLink},
		{aria2, byHTTP},
		{transmission, byUDP},
	} {
		t.Run("to="+c.to.name, func(t *testing.T) {
			t.Parallel()
			transfer{seeder: subject, leecher: c.to, by: c.by, shape: manyPieces, magnet: true}.run(t)
		})
	}
}

// TestSeedMakesTheTorrent: `seed PATH` makes a torrent of a folder and prints a
// magnet link by which libtorrent, given the address, gets it.
func TestSeedMakesTheTorrent(t *testing.T) {
	t.Parallel()
	need(t, libtorrent, starling)
	ctx := within(t, 60*time.Second)
	p := makePayload(t, folder)
	j := job{payload: p, at: homeAddr()}
	seeder := start(t, append(append([]string{program(t, "seed")}, quiet(j)...), p.path())...)
	var link string
	seeder.await(t, ctx, "seed prints a magnet link", func() bool {
		link = regexp.MustCompile(`magnet:\?\S+`).FindString(seeder.said.String())
		return link != ""
	})
	seeder.listening(t, ctx, j.at)
	dir := t.TempDir()
	libtorrent.leech(t, ctx, job{payload: p, what: link, dir: dir, at: newAddr(), peers: []netip.AddrPort{j.at}})()
	p.mustBeIn(t, dir, libtorrent.noEmpty)
}

// TestCreate: libtorrent reads what `create` wrote, and transfers by it.
func TestCreate(t *testing.T) {
	t.Parallel()
	need(t, libtorrent, starling)
	ctx := within(t, 60*time.Second)
	p := makePayload(t, folder)
	made := filepath.Join(t.TempDir(), "made.torrent")
	start(t, program(t, "create"), "-o", made, "-piece-length", "32768", p.path()).finish(t, ctx)
	lt := start(t, python, ltScript(t), "hash", made)
	lt.finish(t, ctx)
	if got := strings.TrimSpace(lt.said.String()); got != p.hexID() {
		t.Logf("create's infohash is %s, the plainest torrent of the same files has %s", got, p.hexID())
	}
	from := job{payload: p, what: made, dir: p.dir, at: newAddr()}
	to := job{payload: p, what: made, dir: t.TempDir(), at: homeAddr(), peers: []netip.AddrPort{from.at}}
	libtorrent.seed(t, ctx, from)
	starling.leech(t, ctx, to)()
	p.mustBeIn(t, to.dir, false)
}

// TestOwnTracker: others find us, and each other, by examples/tracker.
func TestOwnTracker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to *client }{
		{starling, aria2},
		{starling, transmission},
		{libtorrent, starling},
		{rtorrent, libtorrent},
	} {
		t.Run("to="+c.to.name+"/from="+c.from.name, func(t *testing.T) {
			t.Parallel()
			need(t, c.from, c.to)
			ctx := within(t, 90*time.Second)
			at := newAddr()
			p := makePayload(t, plain, announceURL("http", at))
			tr := startOwnTracker(t, ctx, at)
			from := job{payload: p, what: p.torrent, dir: p.dir, at: c.from.newAddr(), track: true}
			to := job{payload: p, what: p.torrent, dir: t.TempDir(), at: c.to.newAddr(), track: true}
			c.from.seed(t, ctx, from)
			tr.counts(t, ctx, p, "the seeder announced", func(s scrape) bool { return s.seeds == 1 })
			c.to.leech(t, ctx, to)()
			p.mustBeIn(t, to.dir, c.to.noEmpty)
		})
	}
}
