package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	loadOn      = flag.Bool("load", false, "measure announces beside opentracker (TestLoad)")
	loadPeers   = flag.Int("load.peers", 1_000_000, "peers")
	loadSwarms  = flag.Int("load.swarms", 100_000, "torrents")
	loadSkew    = flag.Bool("load.skew", false, "few large torrents and many small ones, instead of all alike")
	loadRounds  = flag.Int("load.rounds", 5, "rounds, each of both trackers")
	loadTime    = flag.Duration("load.time", 5*time.Second, "length of a measurement")
	loadTracker = flag.String("load.tracker", "", "our tracker's program; empty: examples/tracker is built")
	loadArgs    = flag.String("load.args", "-peer-ids=false", "further arguments of our tracker, with commas between them; opentracker keeps no ids")
)

// TestLoad measures announces per second, CPU and memory of examples/tracker
// beside opentracker, each in a process of its own on the same CPU, the load on
// another one:
//
//	go test ./tracker/server -run TestLoad -load -v -timeout 20m
//
// Without opentracker and setpriv (or not as root, whom setpriv needs), ours is
// measured alone.
func TestLoad(t *testing.T) {
	if !*loadOn {
		t.Skip("run with -load")
	}
	p := newPopulation(*loadPeers, *loadSwarms, *loadSkew)
	dir, err := os.MkdirTemp("", "tracker-load-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	list := filepath.Join(dir, "list")
	var hashes bytes.Buffer
	for i := range p.hashes {
		fmt.Fprintln(&hashes, hex.EncodeToString(p.hashes[i][:]))
	}
	require.NoError(t, os.WriteFile(list, hashes.Bytes(), 0o644))

	serverCPU := ""
	if runtime.NumCPU() > 1 {
		serverCPU = "0"
		require.NoError(t, exec.Command("taskset", "-acp", fmt.Sprintf("1-%d", runtime.NumCPU()-1), strconv.Itoa(os.Getpid())).Run())
	}
	trackers := []*underLoad{startOurs(t, dir, list, serverCPU)}
	if other := startOpentracker(t, dir, list, serverCPU); other != nil {
		trackers = append(trackers, other)
	}
	for _, tr := range trackers {
		tr.g = newGenerator(t, p, tr.at)
		tr.await(t, p)
		tr.fill(t)
	}
	for round := range *loadRounds {
		for i := range trackers {
			tr := trackers[(i+round)%len(trackers)]
			tr.measure(t, "udp", func() (int, time.Duration) { return tr.g.run(t, *loadTime) })
		}
	}
	for round := range *loadRounds {
		for i := range trackers {
			tr := trackers[(i+round)%len(trackers)]
			tr.measure(t, "http", func() (int, time.Duration) { return tr.http(t, p, false) })
		}
	}
	ours := trackers[0]
	ours.measure(t, "http, kept alive", func() (int, time.Duration) { return ours.http(t, p, true) })
	for _, kind := range []string{"udp", "http"} {
		if len(trackers) == 2 {
			t.Logf("%s: %.2f of opentracker's announces/s, %.2f of its CPU time (medians of %d)", kind,
				median(ours.rates[kind])/median(trackers[1].rates[kind]), median(ours.cpus[kind])/median(trackers[1].cpus[kind]), *loadRounds)
		}
	}
}

// underLoad is a running tracker.
type underLoad struct {
	name  string
	at    netip.AddrPort
	pid   int
	empty int // KiB before it was filled
	g     *generator
	rates map[string][]float64 // announces a second
	cpus  map[string][]float64 // seconds a million announces
}

func startOurs(t *testing.T, dir, list, cpu string) *underLoad {
	program := *loadTracker
	if program == "" {
		program = filepath.Join(dir, "tracker")
		out, err := exec.Command("go", "build", "-o", program, "../../examples/tracker").CombinedOutput()
		require.NoError(t, err, string(out))
	}
	at := freePort(t)
	args := []string{program, "-http", at.String(), "-udp", at.String(), "-allow", list}
	if *loadArgs != "" {
		args = append(args, strings.Split(*loadArgs, ",")...)
	}
	return start(t, "starling", at, cpu, args)
}

func startOpentracker(t *testing.T, dir, list, cpu string) *underLoad {
	for _, program := range []string{"opentracker", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Log(err)
			return nil
		}
	}
	if os.Getuid() != 0 {
		t.Log("not root: without opentracker")
		return nil
	}
	at := freePort(t)
	port := strconv.Itoa(int(at.Port()))
	return start(t, "opentracker", at, cpu, []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"opentracker", "-i", at.Addr().String(), "-p", port, "-P", port, "-d", dir, "-w", list})
}

func start(t *testing.T, name string, at netip.AddrPort, cpu string, args []string) *underLoad {
	if cpu != "" {
		args = append([]string{"taskset", "-c", cpu}, args...)
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stderr = os.Stderr
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	return &underLoad{name: name, at: at, pid: c.Process.Pid, rates: make(map[string][]float64), cpus: make(map[string][]float64)}
}

func freePort(t *testing.T) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// await waits until a tracker knows its list.
func (u *underLoad) await(t *testing.T, p *population) {
	for until := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", u.at.String())
		if err == nil {
			_, body := get(c, bufio.NewReader(c), announceQuery(p, 0, "stopped"), false)
			c.Close()
			if bytes.Contains(body, []byte("8:interval")) {
				break
			}
		}
		require.True(t, time.Now().Before(until), "%s is not ready", u.name)
		time.Sleep(100 * time.Millisecond)
	}
	u.empty = rss(t, u.pid)
}

func (u *underLoad) fill(t *testing.T) {
	begin := time.Now()
	u.g.fill(t)
	t.Logf("%-12s filled with %d peers in %d torrents in %.1f s; %s", u.name, *loadPeers, *loadSwarms, time.Since(begin).Seconds(), u.g)
	require.Zero(t, u.g.refused)
	full := rss(t, u.pid)
	t.Logf("%-12s RSS %d KiB, with its list but empty %d KiB: %.1f bytes a peer", u.name, full, u.empty, float64(full-u.empty)*1024/float64(*loadPeers))
}

func (u *underLoad) measure(t *testing.T, kind string, run func() (int, time.Duration)) {
	before := cpuSeconds(t, u.pid)
	n, took := run()
	cpu := cpuSeconds(t, u.pid) - before
	require.Positive(t, n)
	rate, each := float64(n)/took.Seconds(), cpu/float64(n)*1e6
	u.rates[kind], u.cpus[kind] = append(u.rates[kind], rate), append(u.cpus[kind], each)
	note := ""
	if kind == "udp" {
		note = u.g.String()
	}
	t.Logf("%-12s %-16s %8.0f announces/s, %6.2f CPU s a million, RSS %d KiB; %s", u.name, kind, rate, each, rss(t, u.pid), note)
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// cpuSeconds is the CPU time of a process, user and system.
func cpuSeconds(t *testing.T, pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) / 100 // ticks: 100 a second on Linux
}

// rss is the resident memory of a process in KiB.
func rss(t *testing.T, pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, line, _ := strings.Cut(string(b), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(line)[0])
	require.NoError(t, err)
	return n
}

func announceQuery(p *population, peer int, event string) string {
	left := "1048576"
	if peer/7%3 == 0 {
		left = "0"
	}
	q := "/announce?info_hash=" + strings.ReplaceAll(url.QueryEscape(string(p.hashes[p.swarmOf[peer]][:])), "+", "%20") + fmt.Sprintf(
		"&peer_id=-LD0001-%012d&port=%d&uploaded=0&downloaded=0&left=%s&compact=1&numwant=50", peer, p.port(peer), left)
	if event != "" {
		q += "&event=" + event
	}
	return q
}

// get makes one request and reads the answer.
func get(c net.Conn, r *bufio.Reader, path string, keep bool) (ok bool, body []byte) {
	connection := "close"
	if keep {
		connection = "keep-alive"
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: tracker\r\nConnection: %s\r\n\r\n", path, connection); err != nil {
		return false, nil
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false, nil
		}
		if n, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(n))
		}
		if len(line) <= 2 {
			break
		}
	}
	body, err := r.Peek(length)
	if err != nil || length == 0 {
		return false, nil
	}
	ok = bytes.HasPrefix(body, []byte("d8:complete"))
	r.Discard(length)
	return ok, body
}

// http announces over HTTP, each over a connection of its own or, with keep, all
// over a few; that needs a tracker that honours ip=.
func (u *underLoad) http(t *testing.T, p *population, keep bool) (answered int, took time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), *loadTime)
	defer cancel()
	var n, failed atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for worker := range 16 {
		all.Go(func() {
			r := bufio.NewReader(nil)
			var c net.Conn
			for peer := worker * 7919; ctx.Err() == nil; peer += 104729 {
				peer %= len(p.swarmOf)
				if c == nil {
					from := sourceAddr(p.source(peer))
					var err error
					if c, err = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from[:]}}).Dial("tcp", u.at.String()); err != nil {
						failed.Add(1)
						continue
					}
					r.Reset(c)
				}
				query := announceQuery(p, peer, "")
				if keep { // a connection has one address, the peers have theirs
					query += "&ip=" + netip.AddrFrom4(sourceAddr(p.source(peer))).String()
				}
				ok, _ := get(c, r, query, keep)
				if ok {
					n.Add(1)
				} else {
					failed.Add(1)
				}
				if !keep || !ok {
					c.Close()
					c = nil
				}
			}
			if c != nil {
				c.Close()
			}
		})
	}
	all.Wait()
	require.Less(t, failed.Load(), n.Load()/100+1, "failed announces")
	return int(n.Load()), time.Since(begin)
}
