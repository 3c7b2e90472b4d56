//go:build linux

package interop_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	library "github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/tracker/server"
)

// TestT23_RestartedTracker: our server is killed, and started again at the same
// address, where it knows nothing of before. Those who were in the swarm
// announce as usual, without "started", and are in it again: who comes new finds
// them.
func TestT23_RestartedTracker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		by     transport
		others []*client
		serve  func(t *testing.T, ctx context.Context, at netip.AddrPort) (stop func())
	}{
		{overHTTP4, nil, killed},
		{overUDP4, nil, killed},
		{overUDP6, nil, killed},
		{overHTTP4, []*client{aria2, transmission}, killed},
		{overHTTP4, []*client{libtorrent}, patient},
	} {
		name := c.by.String() + "/starling"
		for _, o := range c.others {
			name += "," + o.name
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, append(c.others, starling)...)
			c.by.need(t)
			ctx := within(t, 90*time.Second)
			tr := &tracker{at: c.by.trackerAddr()}
			p := makePayload(t, plain, announceURL(c.by.scheme, tr.at))
			stop := c.serve(t, ctx, tr.at)
			var swarm []netip.AddrPort
			for range 2 {
				at, leave := embedded(t, p, c.by)
				defer leave() // while the tracker runs
				swarm = append(swarm, at)
			}
			for _, o := range c.others {
				j := job{payload: p, what: p.torrent, dir: p.dir, at: c.by.addr(o), track: true}
				o.seed(t, ctx, j)
				swarm = append(swarm, j.at)
			}
			allThere := func(s scrape) bool { return s.seeds == len(swarm) }
			tr.counts(t, ctx, p, "all announced", allThere)

			stop()
			began := time.Now()
			c.serve(t, ctx, tr.at)
			tr.counts(t, ctx, p, "all announced again", allThere)
			t.Logf("%d seeds were back %.1f s behind the restart", len(swarm), time.Since(began).Seconds())
			for _, at := range swarm {
				if !tr.names(t, ctx, p, at) {
					t.Errorf("the tracker does not name %s", at)
				}
			}
			to := job{payload: p, what: p.torrent, dir: t.TempDir(), at: c.by.addr(starling), track: true}
			starling.leech(t, ctx, to)()
			p.mustBeIn(t, to.dir, false)
		})
	}
}

// killed runs examples/tracker with an interval of two seconds; stop kills it.
func killed(t *testing.T, ctx context.Context, at netip.AddrPort) (stop func()) {
	t.Helper()
	tr := startOwnTracker(t, ctx, at, "-interval", "2s")
	return func() { tr.end(syscall.SIGKILL) }
}

// patient runs the server in this process, also with an interval of two seconds,
// and with a "min interval": libtorrent takes thirty seconds for it if it is not
// told one.
func patient(t *testing.T, ctx context.Context, at netip.AddrPort) (stop func()) {
	t.Helper()
	s, err := server.New(server.Config{Interval: 2 * time.Second, MinInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// Programs that other tests start have all sockets of this process for a
	// moment, so the one before may not be quite closed.
	var l net.Listener
	(*process)(nil).await(t, ctx, "the address is free", func() bool {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", at.String())
		return err == nil
	})
	h := &http.Server{Handler: s}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Serve(l)
	}()
	stop = func() {
		_ = h.Close()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// embedded seeds in this process, until leave, with a client that announces as
// often as the tracker likes: the programs do so once a minute at most.
func embedded(t *testing.T, p *payload, by transport) (at netip.AddrPort, leave func()) {
	t.Helper()
	at = by.addr(starling)
	c, err := library.New(library.Config{Dir: p.dir, Listen: at.String(), Trackers: library.TrackerConfig{MinInterval: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	leave = func() { _ = c.Close() }
	if _, err := c.AddFile(p.torrent); err != nil {
		leave()
		t.Fatal(err)
	}
	return at, leave
}
