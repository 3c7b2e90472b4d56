//go:build linux

package interop_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// outcome is how far a client gets by a tracker.
type outcome int

const (
	cannot    outcome = iota // the tracker never hears of it
	announced                // the tracker knows it, but it finds nobody
	completed                // it downloads
)

func (o outcome) String() string { return [...]string{"cannot", "announced only", "completed"}[o] }

// cell is one client that downloads by one transport, from another that
// announces by the same.
type cell struct {
	by              transport
	leecher, seeder *client
	want            outcome
	why             string // it gets no further than that
}

// table holds what the real clients do at our server. What all of them can do
// they do in a ring, each seeding for the next; otherwise libtorrent seeds.
var table = []cell{
	{by: overHTTP4, leecher: transmission, seeder: aria2, want: completed},
	{by: overHTTP4, leecher: libtorrent, seeder: transmission, want: completed},
	{by: overHTTP4, leecher: aria2, seeder: libtorrent, want: completed},
	{by: overHTTP6, leecher: transmission, seeder: aria2, want: completed},
	{by: overHTTP6, leecher: libtorrent, seeder: transmission, want: completed},
	{by: overHTTP6, leecher: aria2, seeder: libtorrent, want: completed},
	{by: overUDP4, leecher: transmission, seeder: aria2, want: completed},
	{by: overUDP4, leecher: libtorrent, seeder: transmission, want: completed},
	{by: overUDP4, leecher: aria2, seeder: libtorrent, want: completed},
	{by: overUDP6, leecher: libtorrent, seeder: libtorrent, want: completed},
	{by: overUDP6, leecher: transmission, seeder: libtorrent, want: cannot,
		why: "3.00 can't read an address in brackets out of a udp URL, and peers of 18 bytes neither"},
	{by: overUDP6, leecher: aria2, seeder: libtorrent, want: cannot,
		why: "1.36 has an IPv4 socket alone for UDP trackers"},
}

// TestServerWithRealClients: at our server, real clients find each other over
// HTTP and UDP, on IPv4 and IPv6, as far as they can. What they can is in the
// table; doing less than that fails.
func TestServerWithRealClients(t *testing.T) {
	t.Parallel()
	need(t, starling, aria2, transmission, libtorrent)
	overHTTP6.need(t)
	var mu sync.Mutex
	got := map[int]outcome{}
	t.Cleanup(func() { t.Log(drawTable(got)) })
	ctx := within(t, 120*time.Second)
	trackers := map[bool]*tracker{}
	for _, v6 := range []bool{false, true} {
		trackers[v6] = startOwnTracker(t, ctx, transport{v6: v6}.trackerAddr())
	}
	for i, c := range table {
		t.Run(fmt.Sprintf("%s/to=%s/from=%s", c.by, c.leecher, c.seeder), func(t *testing.T) {
			t.Parallel()
			o := c.run(t, trackers[c.by.v6])
			mu.Lock()
			got[i] = o
			mu.Unlock()
			switch {
			case o < c.want:
				t.Errorf("%s over %s: %s; it was: %s", c.leecher, c.by, o, c.want)
			case o > c.want:
				t.Logf("%s over %s: %s, more than is expected: the table can be changed", c.leecher, c.by, o)
			}
		})
	}
}

// run makes the transfer.
func (c cell) run(t *testing.T, tr *tracker) outcome {
	t.Helper()
	ctx := within(t, 60*time.Second)
	p := makePayload(t, plain, announceURL(c.by.scheme, tr.at))
	from := job{payload: p, what: p.torrent, dir: p.dir, at: c.by.addr(c.seeder), track: true}
	to := job{payload: p, what: p.torrent, dir: t.TempDir(), at: c.by.addr(c.leecher), track: true}
	c.seeder.seed(t, ctx, from)
	tr.counts(t, ctx, p, c.seeder.name+" announced", func(s scrape) bool { return s.seeds == 1 })
	if !tr.names(t, ctx, p, from.at) {
		t.Errorf("the tracker does not name %s, which seeds at %s", c.seeder, from.at)
	}
	tr.forget(t, ctx, p)

	began := time.Now()
	finish := c.leecher.leech(t, ctx, to)
	if c.want < completed {
		return tr.sees(ctx, p, unexpected)
	}
	tr.counts(t, ctx, p, c.leecher.name+" announced", func(s scrape) bool { return s.leeches == 1 || s.downloaded == 1 })
	finish()
	p.mustBeIn(t, to.dir, c.leecher.noEmpty)
	t.Logf("%.1f s", time.Since(began).Seconds())
	return completed
}

// unexpected is how long is waited for what a client should not be able to do.
// An announce takes a client that can announce less than three seconds.
const unexpected = 8 * time.Second

// sees says how far a leecher gets in a while.
func (r *tracker) sees(ctx context.Context, p *payload, d time.Duration) (o outcome) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := r.scrape(ctx, p)
		switch {
		case err == nil && (s.downloaded > 0 || s.seeds > 1):
			return completed
		case err == nil && s.leeches > 0:
			o = announced
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return o
		}
	}
}

// drawTable draws what was seen, a line for each client.
func drawTable(got map[int]outcome) string {
	columns := []transport{overHTTP4, overHTTP6, overUDP4, overUDP6}
	var b strings.Builder
	fmt.Fprintf(&b, "real clients at our server:\n%-14s", "")
	for _, by := range columns {
		fmt.Fprintf(&b, "%-16s", by)
	}
	var notes []string
	for _, who := range []*client{aria2, transmission, libtorrent} {
		fmt.Fprintf(&b, "\n%-14s", who.name)
		for _, by := range columns {
			said := "not run"
			for i, c := range table {
				if o, ok := got[i]; ok && c.leecher == who && c.by == by {
					if said = o.String(); o < completed {
						notes = append(notes, fmt.Sprintf("%s over %s: %s", who, by, c.why))
					}
				}
			}
			fmt.Fprintf(&b, "%-16s", said)
		}
	}
	return b.String() + "\n" + strings.Join(notes, "\n")
}
