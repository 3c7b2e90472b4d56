//go:build linux

package interop_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// Set by TestMain for the run inside the namespace.
const (
	envInside   = "STARLING_INTEROP_INSIDE"   // "root" or "user": how the namespace was made
	envPrograms = "STARLING_INTEROP_PROGRAMS" // folder of the built example programs
)

const moduleRoot = "../.."

// programs are the examples that stand for the library.
var programs = []string{"download", "seed", "create", "tracker"}

var (
	noNamespace string // why there is no namespace, "" inside one
	noIPv6      string // why there is no IPv6 in the namespace
	scratch     string // folder of this run, removed at its end; readable by every user
)

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.list"); f != nil && f.Value.String() != "" {
		os.Exit(m.Run())
	}
	if os.Getenv(envInside) == "" {
		noNamespace = enterNamespace().Error() // does not return when it works
		os.Exit(m.Run())
	}
	scratch = os.Getenv(envPrograms)
	code := 1
	if err := setUpLoopback(); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
	} else {
		raiseParallel()
		code = m.Run()
	}
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// raiseParallel lets more tests run at once than there are processors: most of
// a test's time is another client's waiting for its next tick.
func raiseParallel() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "12")
	}
}

// enterNamespace builds the programs, while there may still be a network, and
// replaces this process by itself in a namespace. It returns only on failure.
func enterNamespace() error {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return errors.New("no unshare (Debian: util-linux) to make a network namespace with")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("no ip (Debian: iproute2) to set up a network namespace with")
	}
	flags, kind := "-n", "root"
	if os.Geteuid() != 0 {
		flags, kind = "-rn", "user"
	}
	if out, err := exec.Command(unshare, flags, "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("no network namespace can be made here: %w: %s", err, bytes.TrimSpace(out))
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "starling-interop-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the tracker runs as another user
		return err
	}
	buildPrograms(dir)
	env := append(os.Environ(), envInside+"="+kind, envPrograms+"="+dir)
	args := append([]string{"unshare", flags, "--", self}, os.Args[1:]...)
	err = syscall.Exec(unshare, args, env)
	_ = os.RemoveAll(dir)
	return fmt.Errorf("exec unshare: %w", err)
}

// buildPrograms puts each example program into dir, or the reason why there is
// none into a file NAME.err beside its place. Tests run with -race get programs
// that watch for races too.
func buildPrograms(dir string) {
	if os.Getenv("STARLING_PROGRAMS") != "" {
		return
	}
	args := []string{"build"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" {
				args = append(args, "-race="+s.Value)
			}
		}
	}
	for _, p := range programs {
		cmd := exec.Command("go", append(args, "-o", filepath.Join(dir, p), "./examples/"+p)...)
		cmd.Dir = moduleRoot
		if out, err := cmd.CombinedOutput(); err != nil {
			msg := fmt.Appendf(nil, "go build ./examples/%s: %v\n%s", p, err, out)
			_ = os.WriteFile(filepath.Join(dir, p+".err"), msg, 0o644)
		}
	}
}

// setUpLoopback brings lo up with public-looking networks on it. Every address
// of the IPv4 network is then local; of IPv6 each has to be added. Without IPv6
// in the kernel there is none, and noIPv6 says so.
func setUpLoopback() error {
	for _, args := range []string{"link set lo up", "addr add 198.51.100.1/24 dev lo"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, bytes.TrimSpace(out))
		}
	}
	var batch strings.Builder
	for n := range byte(addrs6) {
		fmt.Fprintf(&batch, "addr add %s/128 dev lo nodad\n", addr6(1+n))
	}
	cmd := exec.Command("ip", "-6", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		noIPv6 = fmt.Sprintf("no IPv6 here: %v: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// program is the path of an example program; the test fails when it could not be built.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := scratch
	if given := os.Getenv("STARLING_PROGRAMS"); given != "" {
		abs, err := filepath.Abs(given)
		if err != nil {
			t.Fatal(err)
		}
		dir = abs
	}
	if msg, err := os.ReadFile(filepath.Join(dir, name+".err")); err == nil {
		t.Fatal(string(msg))
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	touchSources(t)
	return path
}

// needPrograms skips what makes no sense with another client in our place.
func needPrograms(t *testing.T) {
	t.Helper()
	if subject != starling {
		t.Skipf("%s stands in for the example programs", subject)
	}
}

// touchSources reads the module's folders, so that go test sees what the
// programs were built from and does not answer from its cache after a change.
func touchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(moduleRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil { // a folder that vanishes meanwhile
			return nil
		}
		if d.IsDir() && path != moduleRoot && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// need skips the test, or fails it under STARLING_REQUIRE_CLIENTS=1, unless
// there is a namespace and every client named is installed.
func need(t *testing.T, clients ...*client) {
	t.Helper()
	if noNamespace != "" {
		unavailable(t, noNamespace)
	}
	if testing.Short() {
		t.Skip("other clients are left out of short runs")
	}
	for _, c := range clients {
		if !required() && (c == transmission || c == aria2 || c == ctorrent) {
			t.Skip(c.name + " takes its time (up to 25 s): only with STARLING_REQUIRE_CLIENTS=1")
		}
		if c == starling {
			needPrograms(t)
			program(t, "download")
			program(t, "seed")
		}
		if why := c.missing(); why != "" {
			unavailable(t, why)
		}
	}
}

// required reports whether this is the whole run, in which nothing is left out.
func required() bool { return os.Getenv("STARLING_REQUIRE_CLIENTS") == "1" }

func unavailable(t *testing.T, why string) {
	t.Helper()
	if required() {
		t.Fatalf("%s, and STARLING_REQUIRE_CLIENTS=1", why)
	}
	t.Skip(why)
}
