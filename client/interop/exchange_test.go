//go:build linux

package interop_test

import (
	"os"
	"testing"
	"time"
)

// TestDownload: we download what others seed.
func TestDownload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from *client
		by   route
	}{
		{libtorrent, byPeer},
		{libtorrent, byIncoming},
		{libtorrent, byHTTP},
		{libtorrent, byUDP},
		{libtorrentDefaults, byPeer},
		{aria2, byPeer},
		{aria2, byHTTP},
		{aria2, byUDP},
		{transmission, byPeer},
		{transmission, byHTTP},
		{transmission, byUDP},
		{rtorrent, byPeer}, // without the fast extension, as the next
		{rtorrent, byHTTP},
		{ctorrent, byPeer},
	} {
		t.Run("from="+c.from.name+"/by="+string(c.by), func(t *testing.T) {
			t.Parallel()
			transfer{seeder: c.from, leecher: subject, by: c.by, shape: plain}.run(t)
		})
	}
}

// TestSeed: others download what we seed.
func TestSeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to *client
		by route
	}{
		{libtorrent, byPeer},
		{libtorrent, byIncoming},
		{libtorrent, byHTTP},
		{libtorrent, byUDP},
		{libtorrentDefaults, byPeer},
		{aria2, byHTTP},
		{aria2, byUDP},
		{transmission, byHTTP},
		{transmission, byUDP},
		{rtorrent, byHTTP}, // without the fast extension, as the next
		{rtorrent, byUDP},
		{ctorrent, byHTTP},
	} {
		t.Run("to="+c.to.name+"/by="+string(c.by), func(t *testing.T) {
			t.Parallel()
			transfer{seeder: subject, leecher: c.to, by: c.by, shape: plain}.run(t)
		})
	}
}

// TestShapes passes payloads of every kind in both directions.
func TestShapes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		shape  shape
		others bool // aria2 and transmission too
	}{
		{"folder", folder, true},
		{"one piece", oneFile("one piece.bin", 100_001, 256<<10), false},
		{"one block", oneFile("one block.bin", 16<<10, 16<<10), false},
		{"one byte", oneFile("one byte.bin", 1, 16<<10), false},
		{"pieces of 256 bytes", tinyPieces, true},
		{"pieces of 16 KiB", oneFile("small pieces.bin", 3<<20+1, 16<<10), false},
		{"pieces of 16 MiB", oneFile("large pieces.bin", 40<<20+4321, 16<<20), false},
	} {
		both := func(other *client, by route) {
			t.Run(c.name+"/from="+other.name, func(t *testing.T) {
				t.Parallel()
				transfer{seeder: other, leecher: subject, by: by, shape: c.shape}.run(t)
			})
			t.Run(c.name+"/to="+other.name, func(t *testing.T) {
				t.Parallel()
				transfer{seeder: subject, leecher: other, by: by, shape: c.shape}.run(t)
			})
		}
		both(libtorrent, byPeer)
		if c.others {
			both(aria2, byHTTP)
			both(transmission, byHTTP)
		}
	}
}

// TestLarge passes 1 GiB in both directions.
func TestLarge(t *testing.T) {
	if os.Getenv("STARLING_LARGE") != "1" {
		t.Skip("1 GiB only with STARLING_LARGE=1")
	}
	s := oneFile("large.bin", 1<<30, 1<<20)
	t.Run("from=libtorrent", func(t *testing.T) {
		transfer{seeder: libtorrent, leecher: subject, by: byPeer, shape: s, limit: 3 * time.Minute}.run(t)
	})
	t.Run("to=libtorrent", func(t *testing.T) {
		transfer{seeder: subject, leecher: libtorrent, by: byPeer, shape: s, limit: 3 * time.Minute}.run(t)
	})
}
