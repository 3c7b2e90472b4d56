//go:build linux

package interop_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// job is one client's part in a transfer.
type job struct {
	*payload
	what  string           // the torrent's path or a magnet link
	dir   string           // where the payload lies, or gets to
	at    netip.AddrPort   // where to listen, and to dial from if the client can
	peers []netip.AddrPort // to be dialed
	track bool             // use the trackers that what names
}

// client is how one BitTorrent program is run.
type client struct {
	name     string
	programs []string              // executables it needs
	probe    func() string         // why it can't run here although they exist; may be nil
	addr     func() netip.AddrPort // nil: newAddr
	tracked  bool                  // refuses torrents without a tracker
	noEmpty  bool                  // makes no empty files
	// seed returns when the program accepts connections.
	seed func(t *testing.T, ctx context.Context, j job) *process
	// leech starts the download; finish returns when all is there and the program has ended.
	leech func(t *testing.T, ctx context.Context, j job) (finish func())
}

func (c *client) String() string { return c.name }

func (c *client) missing() string {
	for _, p := range c.programs {
		if _, err := exec.LookPath(p); err != nil {
			return c.name + " is not installed (no " + p + ")"
		}
	}
	if c.probe != nil {
		return c.probe()
	}
	return ""
}

func (c *client) newAddr() netip.AddrPort {
	if c.addr != nil {
		return c.addr()
	}
	return newAddr()
}

// subject is whom all this is about.
var subject = map[string]*client{"": starling, "libtorrent": libtorrent}[os.Getenv("STARLING_INTEROP_AS")]

var starling = &client{name: "starling", addr: homeAddr, seed: starlingSeed, leech: starlingLeech}

// quiet turns off what looks for peers by itself.
func quiet(j job) []string {
	args := []string{"-listen", j.at.String(), "-dht=false", "-lsd=false", "-pex=false", "-utp=false", "-encryption", "disable"}
	if !j.track {
		args = append(args, "-trackers=false")
	}
	for _, p := range j.peers {
		args = append(args, "-peer", p.String())
	}
	return args
}

func starlingSeed(t *testing.T, ctx context.Context, j job) *process {
	t.Helper()
	argv := append([]string{program(t, "seed"), "-dir", j.dir}, quiet(j)...)
	p := start(t, append(argv, "-torrent", j.what)...)
	p.listening(t, ctx, j.at)
	return p
}

func starlingLeech(t *testing.T, ctx context.Context, j job) func() {
	t.Helper()
	argv := append([]string{program(t, "download"), "-quiet", "-dir", j.dir}, quiet(j)...)
	p := start(t, append(argv, j.what)...)
	return func() { t.Helper(); p.finish(t, ctx) }
}

const python = "/usr/bin/python3" // Debian's: python3-libtorrent is built for it

var libtorrent = &client{
	name: "libtorrent", programs: []string{python},
	seed:  func(t *testing.T, ctx context.Context, j job) *process { return ltSeed(t, ctx, j) },
	leech: func(t *testing.T, ctx context.Context, j job) func() { return ltLeech(t, ctx, j) },
	probe: sync.OnceValue(func() string {
		if exec.Command(python, "-c", "import libtorrent").Run() != nil {
			return "libtorrent is not installed (Debian: python3-libtorrent)"
		}
		return ""
	}),
}

// libtorrentDefaults keeps uTP on, as libtorrent comes.
var libtorrentDefaults = &client{
	name: "libtorrent-defaults", programs: libtorrent.programs, probe: libtorrent.probe,
	seed: func(t *testing.T, ctx context.Context, j job) *process {
		return ltSeed(t, ctx, j, "--defaults")
	},
	leech: func(t *testing.T, ctx context.Context, j job) func() {
		return ltLeech(t, ctx, j, "--defaults")
	},
}

func ltScript(t *testing.T) string {
	t.Helper()
	p, err := filepath.Abs("testdata/lt.py")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ltArgv(t *testing.T, role string, j job, more []string) []string {
	t.Helper()
	argv := []string{python, ltScript(t), role, "--listen", j.at.String(), "--dir", j.dir}
	if j.track {
		argv = append(argv, "--trackers")
	}
	for _, p := range j.peers {
		argv = append(argv, "--peer", p.String())
	}
	return append(append(argv, more...), j.what)
}

func ltSeed(t *testing.T, ctx context.Context, j job, more ...string) *process {
	t.Helper()
	p := start(t, ltArgv(t, "seed", j, more)...)
	p.await(t, ctx, "libtorrent seeds", func() bool { return strings.Contains(p.said.String(), "READY\n") })
	return p
}

func ltLeech(t *testing.T, ctx context.Context, j job, more ...string) func() {
	t.Helper()
	p := start(t, ltArgv(t, "leech", j, more)...)
	return func() { t.Helper(); p.finish(t, ctx) }
}

// aria2 can't be told a peer. Its UDP trackers share the DHT's socket and work
// only with the DHT on.
var aria2 = &client{name: "aria2", programs: []string{"aria2c"}, seed: aria2Seed, leech: aria2Leech}

func aria2Argv(j job) []string {
	argv := []string{
		"aria2c", "--no-conf", "--dht-listen-port=" + portOf(j.at),
		"--bt-enable-lpd=false", "--enable-peer-exchange=false", "--listen-port=" + portOf(j.at),
		"--interface=" + j.at.Addr().String(), "--file-allocation=none",
		"--console-log-level=info", "--summary-interval=0", "--show-console-readout=false", "--bt-stop-timeout=60",
		"--dir=" + j.dir,
	}
	if j.at.Addr().Is6() {
		return append(argv, "--enable-dht=false", "--enable-dht6=true", "--dht-listen-addr6="+j.at.Addr().String())
	}
	return append(argv, "--enable-dht=true", "--enable-dht6=false", "--disable-ipv6=true")
}

func aria2Seed(t *testing.T, ctx context.Context, j job) *process {
	t.Helper()
	p := start(t, append(aria2Argv(j), "--check-integrity=true", "--seed-ratio=0", j.what)...)
	p.listening(t, ctx, j.at)
	return p
}

func aria2Leech(t *testing.T, ctx context.Context, j job) func() {
	t.Helper()
	p := start(t, append(aria2Argv(j), "--seed-time=0", j.what)...)
	return func() { t.Helper(); p.finish(t, ctx) }
}

// ctorrent knows neither the fast extension (BEP 6) nor the extension protocol
// (BEP 10) nor encryption nor UDP trackers. It binds nothing but its listener,
// so trackers see the address the kernel picks.
var ctorrent = &client{name: "ctorrent", tracked: true, programs: []string{"ctorrent"}, addr: homeAddr, seed: ctorrentSeed, leech: ctorrentLeech}

func ctorrentArgv(j job) []string {
	return []string{"ctorrent", "-v", "-p", portOf(j.at), "-s", filepath.Join(j.dir, j.name)}
}

func ctorrentSeed(t *testing.T, ctx context.Context, j job) *process {
	t.Helper()
	p := start(t, append(ctorrentArgv(j), "-e", "1", j.what)...)
	p.rude = true // its goodbye to the tracker takes 9 s
	p.listening(t, ctx, j.at)
	return p
}

func ctorrentLeech(t *testing.T, ctx context.Context, j job) func() {
	t.Helper()
	p := start(t, append(ctorrentArgv(j), "-e", "0", "-E", "0", j.what)...)
	return func() { t.Helper(); p.finish(t, ctx) }
}

// rtorrent has no fast extension. It wants a tracker in every torrent.
var rtorrent = &client{name: "rtorrent", tracked: true, programs: []string{"rtorrent"}, seed: rtorrentSeed, leech: rtorrentLeech}

func rtorrentStart(t *testing.T, ctx context.Context, j job) (p *process, finished string) {
	t.Helper()
	conf := t.TempDir()
	finished = filepath.Join(conf, "finished")
	rc := strings.Join([]string{
		"directory.default.set = " + j.dir,
		"session.path.set = " + conf,
		"network.bind_address.set = " + j.at.Addr().String(),
		"network.port_range.set = " + portOf(j.at) + "-" + portOf(j.at),
		"network.port_random.set = no",
		"dht.mode.set = disable",
		"protocol.pex.set = no",
		"trackers.use_udp.set = yes",
		"system.daemon.set = true",
		"pieces.hash.on_completion.set = yes",
		`method.set_key = event.download.finished, tell, "execute.nothrow=touch,` + finished + `"`,
		`schedule2 = load, 0, 0, "load.start=` + j.what + `"`,
		"",
	}, "\n")
	path := filepath.Join(conf, "rtorrent.rc")
	if err := os.WriteFile(path, []byte(rc), 0o644); err != nil {
		t.Fatal(err)
	}
	p = start(t, "rtorrent", "-n", "-o", "import="+path)
	p.listening(t, ctx, j.at)
	return p, finished
}

func rtorrentSeed(t *testing.T, ctx context.Context, j job) *process {
	t.Helper()
	p, _ := rtorrentStart(t, ctx, j)
	return p
}

func rtorrentLeech(t *testing.T, ctx context.Context, j job) func() {
	t.Helper()
	p, finished := rtorrentStart(t, ctx, j)
	return func() {
		t.Helper()
		p.await(t, ctx, "rtorrent's download", func() bool {
			_, err := os.Stat(finished)
			return err == nil
		})
		p.end(syscall.SIGTERM)
	}
}
