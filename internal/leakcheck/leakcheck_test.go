package leakcheck

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

// recorder is a test that only notes what happens to it.
type recorder struct {
	testing.TB
	cleanups []func()
	errors   []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) end() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

// leaks are ways to leave something behind; each returns how to clean it up and a part of what should be said.
var leaks = []struct {
	name string
	make func(dir string) (undo func(), said string)
}{
	{"goroutine", func(string) (func(), string) {
		stop := make(chan struct{})
		go func() { <-stop }()
		return func() { close(stop) }, "leakcheck_test.go"
	}},
	{"file", func(dir string) (func(), string) {
		f, err := os.Create(filepath.Join(dir, "left-open"))
		if err != nil {
			panic(err)
		}
		return func() { f.Close() }, "left-open"
	}},
	{"socket", func(string) (func(), string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		return func() { l.Close() }, "socket:["
	}},
}

func needProc(t *testing.T, name string) {
	if name != "goroutine" && runtime.GOOS != "linux" {
		t.Skip("descriptors are only looked at on Linux")
	}
}

func TestCheck(t *testing.T) {
	for _, leak := range leaks {
		t.Run(leak.name, func(t *testing.T) {
			needProc(t, leak.name)
			r := &recorder{TB: t}
			Check(r)
			undo, said := leak.make(t.TempDir())
			r.end()
			undo()
			require.Len(t, r.errors, 1)
			require.Contains(t, r.errors[0], said)
		})
	}
}

func TestCheck_Clean(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { <-stop; close(done) }() // there before, so it is not this test's
	f, err := os.Create(filepath.Join(t.TempDir(), "before"))
	require.NoError(t, err)
	r := &recorder{TB: t}
	Check(r)
	for _, leak := range leaks {
		undo, _ := leak.make(t.TempDir())
		undo()
	}
	later, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone := make(chan struct{})
	go func() { // closed in the background, a little late
		<-time.After(patience / 10)
		later.Close()
		close(gone)
	}()
	r.end()
	require.Empty(t, r.errors)
	<-gone
	close(stop)
	<-done
	f.Close()
}

// A package whose tests pass but leave something behind fails: this test runs this test binary again.
func TestMain_Fails(t *testing.T) {
	const variable = "LEAKCHECK_LEAVES"
	if name := os.Getenv(variable); name != "" {
		for _, leak := range leaks {
			if leak.name == name {
				undo, _ := leak.make(os.TempDir())
				keep = append(keep, undo)
			}
		}
		return
	}
	for _, leak := range leaks {
		t.Run(leak.name, func(t *testing.T) {
			needProc(t, leak.name)
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestMain_Fails$")
			cmd.Env = append(os.Environ(), variable+"="+leak.name, "TMPDIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, string(out))
			require.Equal(t, 1, exit.ExitCode())
			require.Contains(t, string(out), "PASS")
			require.Contains(t, string(out), "left over after the tests")
		})
	}
}

// keep holds what was left behind, so that no finalizer closes it.
var keep []func()
