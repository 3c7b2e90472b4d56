//go:build linux

package interop_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	library "github.com/seed1734be99/starling/client"
	trackers "github.com/seed1734be99/starling/tracker"
	"github.com/seed1734be99/starling/tracker/server"
)

const envMixed = "STARLING_MIXED" // how many runs are measured for each kind of seed

// mixed is a swarm of several clients' leeches and one seed, all with limited
// rates, who find each other by a tracker and stay until all are complete.
type mixed struct {
	payload  shape
	each     int // leeches of each client
	up, down int64
	seedUp   int64
	limit    time.Duration // of a run
}

// limited are the clients of a mixed swarm.
var limited = []*client{starling, libtorrent, aria2}

// measuredSwarm can't be complete sooner than after 39 s: 216 MiB are to be
// sent, at 5.5 MiB/s.
var measuredSwarm = mixed{
	payload: oneFile("mixed.bin", 24<<20, 256<<10), each: 3,
	up: 500 << 10, down: 4 << 20, seedUp: 1 << 20, limit: 4 * time.Minute,
}

// TestMixedSwarm: everybody completes in a small swarm of several clients.
func TestMixedSwarm(t *testing.T) {
	t.Parallel()
	needLimited(t)
	x := mixed{payload: oneFile("mixed.bin", 4<<20, 64<<10), each: 2, up: 500 << 10, down: 4 << 20, seedUp: 1 << 20, limit: time.Minute}
	for _, seed := range []*client{starling, libtorrent} {
		t.Run("seed="+seed.name, func(t *testing.T) {
			t.Parallel()
			x.run(t, seed, 1)
		})
	}
}

// TestMixedSwarmMeasured: in the median of some runs our leeches are complete no
// later than libtorrent's, or not by more than a tenth, and send no less.
func TestMixedSwarmMeasured(t *testing.T) {
	runs, err := strconv.Atoi(cmp.Or(os.Getenv(envMixed), "0"))
	if err != nil || runs <= 0 {
		t.Skipf("takes a minute a run: only with %s=5 go test ./client/interop/ -run TestMixedSwarmMeasured -v -timeout 20m", envMixed)
	}
	needLimited(t)
	for _, seed := range []*client{libtorrent, starling} {
		t.Run("seed="+seed.name, func(t *testing.T) {
			all := make(map[string][]share)
			for i := range runs {
				t.Run(fmt.Sprintf("run=%d", 1+i), func(t *testing.T) {
					for name, s := range measuredSwarm.run(t, seed, uint64(1+i)) {
						all[name] = append(all[name], s)
					}
				})
			}
			if t.Failed() {
				return
			}
			for _, c := range limited {
				m := medianShare(all[c.name])
				t.Logf("median of %d: %-10s complete after %.1f s, sent %.2f MiB", runs, c, m.complete.Seconds(), mib(m.sent))
			}
			ours, theirs := medianShare(all[starling.name]), medianShare(all[libtorrent.name])
			if ours.complete > theirs.complete*11/10 {
				t.Errorf("we were complete after %v, libtorrent after %v", ours.complete, theirs.complete)
			}
			if ours.sent < theirs.sent {
				t.Errorf("we sent %.2f MiB, libtorrent %.2f", mib(ours.sent), mib(theirs.sent))
			}
		})
	}
}

// needLimited skips where the clients are not there. aria2 is slow to start and
// to stop, which matters to nobody who asks for a measurement.
func needLimited(t *testing.T) {
	t.Helper()
	need(t, libtorrent)
	needPrograms(t)
	if os.Getenv(envMixed) == "" {
		need(t, aria2)
	} else if why := aria2.missing(); why != "" {
		unavailable(t, why)
	}
}

// share is what became of the leeches of one client, on average.
type share struct {
	complete time.Duration
	sent     int64
}

func medianShare(list []share) (m share) {
	n := len(list)
	slices.SortFunc(list, func(a, b share) int { return cmp.Compare(a.complete, b.complete) })
	m.complete = (list[(n-1)/2].complete + list[n/2].complete) / 2
	slices.SortFunc(list, func(a, b share) int { return cmp.Compare(a.sent, b.sent) })
	m.sent = (list[(n-1)/2].sent + list[n/2].sent) / 2
	return m
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// participant is one client in a mixed swarm.
type participant struct {
	*client
	job
	name     string
	ours     *embeddedClient // nil: it is a process
	leave    func()
	complete time.Duration // since all were started; 0: not yet
}

// run lets the swarm complete. It returns what became of each client's leeches.
func (x mixed) run(t *testing.T, seeder *client, number uint64) map[string]share {
	t.Helper()
	ctx, rng := within(t, x.limit), rand.New(rand.NewPCG(number, 0))
	at := newAddr()
	h := listensIn(t, ctx, at)
	p := makePayload(t, x.payload, announceURL("http", at))
	join := func(c *client, dir, name string, rate library.Limits) *participant {
		m := &participant{client: c, name: name, job: job{payload: p, what: p.torrent, dir: dir, at: farAddr(t), track: true}}
		m.start(t, rate)
		return m
	}
	seed := join(seeder, p.dir, "seed", library.Limits{Upload: x.seedUp})
	(*process)(nil).await(t, ctx, "the seed has announced", func() bool { return done(h.of(seed.at)) })

	var list []*participant
	var kinds []*client
	for range x.each {
		kinds = append(kinds, limited...)
	}
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, c := range kinds {
		list = append(list, join(c, t.TempDir(), c.name, library.Limits{Upload: x.up, Download: x.down}))
	}
	began := time.Now()
	everybody := append([]*participant{seed}, list...)
	looked := began
	(*process)(nil).await(t, ctx, "everybody is complete", func() bool {
		left := 0
		for _, m := range list {
			if m.complete == 0 && done(h.of(m.at)) {
				m.complete = time.Since(began)
			}
			if m.complete == 0 {
				left++
			}
		}
		if time.Since(looked) > 200*time.Millisecond {
			looked = time.Now()
			for _, m := range everybody {
				m.ours.look(everybody)
			}
		}
		return left == 0
	})
	var wg sync.WaitGroup
	for _, m := range everybody {
		wg.Go(m.leave)
	}
	wg.Wait()
	for _, m := range list {
		p.mustBeIn(t, m.dir, false)
	}
	return x.report(t, h, seed, list)
}

// done says that a peer has told the tracker that nothing is left.
func done(list []server.Request) bool {
	return slices.ContainsFunc(list, func(r server.Request) bool { return r.Left == 0 })
}

// report draws the run, and sums it up by client.
func (x mixed) report(t *testing.T, h *heard, seed *participant, list []*participant) map[string]share {
	t.Helper()
	var b strings.Builder
	sent := func(m *participant) int64 {
		all := h.of(m.at)
		last := all[len(all)-1]
		if last.Event != trackers.Stopped {
			fmt.Fprintf(&b, "\n  %s at %s did not say goodbye", m.client, m.at)
		}
		return last.Uploaded
	}
	fmt.Fprintf(&b, "\n  seed       %-12s sent %6.2f MiB", seed.client, mib(sent(seed)))
	seed.ours.write(&b)
	sums := make(map[string]share)
	for _, c := range limited {
		var sum share
		for _, m := range list {
			if m.client != c {
				continue
			}
			up := sent(m)
			fmt.Fprintf(&b, "\n  %-10s complete %5.1f s, sent %6.2f MiB", c, m.complete.Seconds(), mib(up))
			m.ours.write(&b)
			sum.complete += m.complete / time.Duration(x.each)
			sum.sent += up / int64(x.each)
		}
		sums[c.name] = sum
	}
	for _, c := range limited {
		fmt.Fprintf(&b, "\n  mean: %-10s complete %5.1f s, sent %6.2f MiB", c, sums[c.name].complete.Seconds(), mib(sums[c.name].sent))
	}
	t.Log(b.String())
	return sums
}

// start runs the participant, which stays until leave.
func (m *participant) start(t *testing.T, rate library.Limits) {
	t.Helper()
	up, down := strconv.FormatInt(rate.Upload, 10), strconv.FormatInt(rate.Download, 10)
	var argv []string
	switch m.client {
	case starling:
		m.ours = newEmbedded(t, library.Config{
			Dir: m.dir, Listen: m.at.String(), UploadLimit: rate.Upload, DownloadLimit: rate.Download,
		}, m.what)
		m.leave = m.ours.leave
		return
	case libtorrent:
		script, err := filepath.Abs("testdata/limited.py")
		if err != nil {
			t.Fatal(err)
		}
		argv = ltArgv(t, "seed", m.job, nil) // who seeds stays
		argv = slices.Replace(argv, 1, 2, script, "--upload", up, "--download", down)
	case aria2:
		argv = append(aria2Argv(m.job), "--bt-stop-timeout=0", "--seed-ratio=0", "--max-upload-limit="+up, "--max-download-limit="+down)
		argv = append(argv, m.what)
	}
	p := start(t, argv...)
	m.leave = func() { p.end(syscall.SIGINT) } // aria2 says goodbye when interrupted, not when terminated
}

// embeddedClient is a client of the library in this process: with an address of
// its own for everything, which the programs can't have, and so that one can
// look inside.
type embeddedClient struct {
	*library.Client
	torrent *library.Torrent
	seen    map[[20]byte]*exchanged // by peer id
}

// exchanged is what was exchanged with one peer; its counters end with the
// connection.
type exchanged struct {
	name     string
	got, put int64
}

// newEmbedded starts a client, which is closed with the test at the latest, on a
// torrent whose data lie, or get to, its folder.
func newEmbedded(t *testing.T, cfg library.Config, torrent string, peers ...string) *embeddedClient {
	t.Helper()
	at := netip.MustParseAddrPort(cfg.Listen)
	cfg.Network = &boundTo{net.Dialer{LocalAddr: &net.TCPAddr{IP: at.Addr().AsSlice()}}}
	cfg.Trackers.MinInterval = time.Second
	c, err := library.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	e := &embeddedClient{Client: c, seen: make(map[[20]byte]*exchanged)}
	if e.torrent, err = c.AddFile(torrent); err != nil {
		t.Fatal(err)
	}
	e.torrent.AddPeers(peers...)
	return e
}

func (e *embeddedClient) leave() { _ = e.Close() }

// look remembers what was exchanged with whom.
func (e *embeddedClient) look(all []*participant) {
	if e == nil {
		return
	}
	for _, p := range e.torrent.Peers() {
		x := e.seen[p.ID]
		if x == nil {
			x = &exchanged{name: "stranger"}
			for _, m := range all {
				if m.at.Addr() == p.Addr.Addr() {
					x.name = m.name
				}
			}
			e.seen[p.ID] = x
		}
		x.got, x.put = max(x.got, p.Downloaded), max(x.put, p.Uploaded)
	}
}

// write tells what was exchanged with the others, by client.
func (e *embeddedClient) write(b *strings.Builder) {
	if e == nil {
		return
	}
	sums := make(map[string]exchanged)
	for _, x := range e.seen {
		s := sums[x.name]
		sums[x.name] = exchanged{got: s.got + x.got, put: s.put + x.put}
	}
	for _, name := range []string{"seed", starling.name, libtorrent.name, aria2.name, "stranger"} {
		if s, ok := sums[name]; ok {
			fmt.Fprintf(b, "; %s: got %.1f gave %.1f", name, mib(s.got), mib(s.put))
		}
	}
}

var farAddrs atomic.Uint32

// farAddr gives out a public-looking address in a network of its own, and puts
// it on lo: to clients the addresses of 198.51.100.0/24 are those of neighbours,
// who have the same allowed-fast set (BEP 6), so that all ask for the same pieces
// first.
func farAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	n := farAddrs.Add(1)
	a := netip.AddrFrom4([4]byte{45, byte(n >> 8), byte(n), 1})
	if out, err := exec.Command("ip", "addr", "replace", a.String()+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip addr replace %s: %v: %s", a, err, out)
	}
	return netip.AddrPortFrom(a, newPort())
}

// boundTo makes all connections from one address.
type boundTo struct{ net.Dialer }

func (n *boundTo) Listen(network, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), network, address)
}
