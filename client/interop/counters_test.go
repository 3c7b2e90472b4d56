//go:build linux

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	library "github.com/seed1734be99/starling/client"
	trackers "github.com/seed1734be99/starling/tracker"
	"github.com/seed1734be99/starling/tracker/server"
)

// heard is what a tracker of ours was told, by peer.
type heard struct {
	mu  sync.Mutex
	all map[netip.AddrPort][]server.Request
}

func (h *heard) check(r *server.Request) error {
	if !r.Scrape {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all[r.Addr] = append(h.all[r.Addr], *r)
	}
	return nil
}

func (h *heard) of(peer netip.AddrPort) []server.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all[peer])
}

// listensIn runs a tracker of ours in this process that remembers.
func listensIn(t *testing.T, ctx context.Context, at netip.AddrPort) *heard {
	t.Helper()
	h := &heard{all: make(map[netip.AddrPort][]server.Request)}
	s, err := server.New(server.Config{Interval: 2 * time.Second, MinInterval: time.Second, Check: h.check})
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: s}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	wg.Go(func() { _ = s.ServeUDP(pc) })
	t.Cleanup(func() {
		_ = web.Close()
		_ = pc.Close()
		wg.Wait()
	})
	return h
}

// told writes announces down.
func told(list []server.Request) string {
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "\n  %-9s up %d, down %d, left %d", r.Event, r.Uploaded, r.Downloaded, r.Left)
	}
	return b.String()
}

// TestCounters: what we tell a tracker while we download from libtorrent, or
// seed to it, is what libtorrent tells of the other side, to the byte.
func TestCounters(t *testing.T) {
	t.Parallel()
	for _, by := range []transport{overHTTP4, overUDP4} {
		for _, seeding := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/seeding=%v", by, seeding), func(t *testing.T) {
				t.Parallel()
				need(t, libtorrent)
				by.need(t)
				counters(t, by, seeding)
			})
		}
	}
}

func counters(t *testing.T, by transport, seeding bool) {
	ctx, size := within(t, time.Minute), plain.files[0].size
	at := by.trackerAddr()
	h := listensIn(t, ctx, at)
	p := makePayload(t, plain, announceURL(by.scheme, at))
	ours, theirs := by.addr(starling), by.addr(libtorrent)
	dir := p.dir
	if !seeding {
		dir = t.TempDir()
	}
	rate := library.Limits{Upload: size / 6, Download: size / 6} // six seconds: some regular announces
	c, err := library.New(library.Config{
		Dir: dir, Listen: ours.String(), UploadLimit: rate.Upload, DownloadLimit: rate.Download,
		Trackers: library.TrackerConfig{MinInterval: time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other := job{payload: p, what: p.torrent, dir: p.dir, at: theirs, peers: []netip.AddrPort{ours}, track: true}
	if seeding {
		tor, err := c.AddFile(p.torrent)
		if err == nil {
			err = tor.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		other.dir = t.TempDir()
		libtorrent.leech(t, ctx, other)()
	} else {
		other.peers = nil
		lt := libtorrent.seed(t, ctx, other)
		tor, err := c.AddFile(p.torrent)
		if err == nil {
			err = tor.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		// Until it is answered: one that is cut off would be said again.
		(*process)(nil).await(t, ctx, "completed is announced", func() bool { return tor.Trackers()[0].Completed })
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		lt.end(syscall.SIGTERM)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	us, them := h.of(ours), h.of(theirs)
	t.Logf("we:%s\nlibtorrent:%s", told(us), told(them))
	first, last := us[0], us[len(us)-1]
	if first.Event != trackers.Started || first.Uploaded != 0 || first.Downloaded != 0 || last.Event != trackers.Stopped {
		t.Error("the session does not begin with started at zero, and end with stopped")
	}
	completed := 0
	for i, r := range us[1:] {
		if r.Uploaded < us[i].Uploaded || r.Downloaded < us[i].Downloaded || r.Left > us[i].Left {
			t.Error("counters go backwards")
		}
		if r.Event == trackers.Completed {
			completed++
			if r.Downloaded != size || r.Left != 0 {
				t.Errorf("completed with %d downloaded and %d left", r.Downloaded, r.Left)
			}
		}
	}
	bye := them[len(them)-1]
	if seeding {
		if completed != 0 || last.Uploaded != size || last.Downloaded != 0 || bye.Downloaded != size {
			t.Errorf("of %d bytes we told %d uploaded, libtorrent %d downloaded", size, last.Uploaded, bye.Downloaded)
		}
		return
	}
	if completed != 1 || last.Downloaded != size || last.Uploaded != 0 || bye.Uploaded != size {
		t.Errorf("of %d bytes we told %d downloaded (completed %d times), libtorrent %d uploaded", size, last.Downloaded, completed, bye.Uploaded)
	}
	if len(us) < 5 {
		t.Errorf("only %d announces", len(us))
	}
}
