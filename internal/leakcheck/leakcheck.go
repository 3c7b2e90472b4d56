package leakcheck

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// What is closed in the background has this long to go.
const patience = time.Second

// Main runs the tests of a package and exits. When they pass, but goroutines, sockets or files are left over, it says
// which ones and exits with status 1.
func Main(m *testing.M) {
	before := openFiles()
	code := m.Run()
	if code == 0 && !fuzzing() {
		if left := leftovers(before); left != "" {
			fmt.Fprintln(os.Stderr, "leakcheck: left over after the tests:\n"+left)
			code = 1
		}
	}
	os.Exit(code)
}

// Check fails the test if, when it and its later cleanups have ended, there are goroutines, sockets or files that were
// not there at the call. Call it first in a test that does not run in parallel with others, and not in a synctest
// bubble (which looks after its goroutines by itself).
func Check(t testing.TB) {
	t.Helper()
	before := openFiles()
	running := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if left := leftovers(before, running); left != "" {
			t.Errorf("leakcheck: left over after the test:\n%s", left)
		}
	})
}

// leftovers describes what is there now and was not before; empty when all is well.
func leftovers(before map[string]int, ignore ...goleak.Option) string {
	var left []string
	if err := goleak.Find(ignore...); err != nil {
		left = append(left, err.Error())
	}
	for end := time.Now().Add(patience); ; time.Sleep(patience / 50) {
		files := added(before, openFiles())
		if len(files) == 0 || time.Now().After(end) {
			left = append(left, files...)
			break
		}
	}
	return strings.Join(left, "\n")
}

// openFiles counts the descriptors of sockets and files by what they point to. It knows nothing (nil) where there is
// no /proc. Pipes, terminals, devices and what the runtime polls with are left out.
func openFiles() map[string]int {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	open := make(map[string]int)
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // the descriptor of the listing itself
		}
		file := strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/dev/") && !strings.HasPrefix(target, "/proc/")
		if file || strings.HasPrefix(target, "socket:") {
			open[target]++
		}
	}
	return open
}

// added lists what there is more of, sorted.
func added(before, after map[string]int) []string {
	var more []string
	for target, n := range after {
		if n > before[target] {
			more = append(more, fmt.Sprintf("open: %s (%d more)", target, n-before[target]))
		}
	}
	slices.Sort(more)
	return more
}

// fuzzing says that this process runs or coordinates fuzz targets, which keep files and goroutines of their own.
func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" && f.Value.String() != "false" {
			return true
		}
	}
	return false
}
