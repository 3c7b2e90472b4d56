//go:build linux

package interop_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a client, or a tracker, started by a test. It is ended with the
// test at the latest, and its last output is shown when the test fails.
type process struct {
	name string
	cmd  *exec.Cmd
	out  transcript // both outputs
	said transcript // standard output alone
	done chan struct{}
	err  error // how it ended; valid once done is closed
	stop sync.Once
	rude bool // end it without asking
}

// transcript keeps the last bytes of what a process prints.
type transcript struct {
	mu sync.Mutex
	b  []byte
}

const transcriptSize = 64 << 10

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, p...)
	if n := len(o.b) - transcriptSize; n > 0 {
		o.b = append(o.b[:0], o.b[n:]...)
	}
	return len(p), nil
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}

// start runs a program in a process group, home and environment of its own.
func start(t *testing.T, argv ...string) *process {
	t.Helper()
	home := t.TempDir()
	p := &process{name: argv[0], cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Dir = home
	// Not the caller's environment: it may name an HTTP proxy.
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "TERM=dumb"}
	p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(&p.out, &p.said), &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("%s\n(%v) %s", strings.Join(argv, " "), p.err, lastLines(p.out.String(), 60))
		}
	})
	return p
}

// end asks the process to stop, gives it some seconds, and then removes what is
// left of its group. It says whether the process ended by itself.
func (p *process) end(ask syscall.Signal) (willing bool) {
	willing = true
	p.stop.Do(func() {
		if p.rude {
			ask = syscall.SIGKILL
		}
		_ = syscall.Kill(p.cmd.Process.Pid, ask)
		late := time.NewTimer(8 * time.Second)
		defer late.Stop()
		select {
		case <-p.done:
		case <-late.C:
			willing = false
		}
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	})
	return willing
}

// finish waits for the process to end by itself, which must be with exit code 0.
func (p *process) finish(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			t.Fatalf("%s: %v: %s", p.name, p.err, lastLines(p.out.String(), 5))
		}
	case <-ctx.Done():
		t.Fatalf("%s is not done: %v", p.name, context.Cause(ctx))
	}
}

// await polls until ok, and fails the test when the process ends before or the
// context is over. A nil process is never over.
func (p *process) await(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var gone <-chan struct{}
	if p != nil {
		gone = p.done
	}
	for {
		if ok() {
			return
		}
		select {
		case <-tick.C:
		case <-gone:
			if !ok() {
				t.Fatalf("%s ended (%v) before: %s", p.name, p.err, what)
			}
			return
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, context.Cause(ctx))
		}
	}
}

// listening waits until the process accepts connections on the port.
func (p *process) listening(t *testing.T, ctx context.Context, at netip.AddrPort) {
	t.Helper()
	p.await(t, ctx, "listening on "+at.String(), func() bool { return listens(at.Port()) })
}

// awaitListener is listening for whoever it is.
func awaitListener(t *testing.T, ctx context.Context, at netip.AddrPort) {
	t.Helper()
	(*process)(nil).await(t, ctx, "somebody listens on "+at.String(), func() bool { return listens(at.Port()) })
}

// listens looks the port up in the kernel's table, since a connection made to
// try it would be a peer that says nothing. Ports are given out once.
func listens(port uint16) bool {
	const stateListen = "0A"
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(b) {
			f := strings.Fields(string(line))
			if len(f) < 4 || f[3] != stateListen {
				continue
			}
			_, p, _ := strings.Cut(f[1], ":")
			if raw, err := hex.DecodeString(p); err == nil && len(raw) == 2 && uint16(raw[0])<<8|uint16(raw[1]) == port {
				return true
			}
		}
	}
	return false
}

var addrs, ports atomic.Uint32

// newAddr gives out an address in 198.51.100.2-254 and a port nobody else gets.
func newAddr() netip.AddrPort {
	n := addrs.Add(1)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(2 + n%253)}), newPort())
}

// homeAddr is the address the kernel takes for sockets bound to none, with a
// port of its own: a client that does not bind its announces is found there.
func homeAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, 1}), newPort())
}

// addrs6 is how many addresses of IPv6 lo has.
const addrs6 = 100

// addr6 is the address of IPv6 with a number from 1 to addrs6. It looks public:
// transmission refuses what is meant for documentation.
func addr6(n byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0x2a, 0x02, 0x26, 0xf0, 15: n})
}

// newAddr6 is newAddr for IPv6.
func newAddr6() netip.AddrPort {
	n := addrs.Add(1)
	return netip.AddrPortFrom(addr6(byte(2+n%(addrs6-1))), newPort())
}

// homeAddr6 has the address that trackers get, and with it who binds nothing: to
// reach a local address of IPv6 the kernel takes that very address.
func homeAddr6() netip.AddrPort { return netip.AddrPortFrom(addr6(1), newPort()) }

func newPort() uint16 { return uint16(20000 + ports.Add(1)%10000) }

func portOf(at netip.AddrPort) string { return strconv.Itoa(int(at.Port())) }

// within bounds one scenario.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, errTooLong(d))
	t.Cleanup(cancel)
	return ctx
}

type errTooLong time.Duration

func (e errTooLong) Error() string { return "not within " + time.Duration(e).String() }

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
