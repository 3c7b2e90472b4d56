//go:build linux

package interop_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// openTracker stands in lists of what a test needs.
var openTracker = &client{name: "opentracker", programs: []string{"opentracker", "setpriv"}}

// tracker is a running tracker.
type tracker struct {
	*process
	at netip.AddrPort
}

// announceURL is the tracker's for a scheme, http or udp.
func announceURL(scheme string, at netip.AddrPort) string {
	return scheme + "://" + at.String() + "/announce"
}

// startOpentracker runs Debian's opentracker, which serves only the infohashes
// of a list and refuses to be root.
func startOpentracker(t *testing.T, ctx context.Context, at netip.AddrPort, p *payload) *tracker {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "opentracker-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	list := filepath.Join(dir, "list")
	if err == nil {
		err = os.WriteFile(list, []byte(p.hexID()+"\n"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	argv := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	if os.Getenv(envInside) == "user" { // root by name only: there is no other user to become
		argv = []string{"unshare", "--user", "--map-user=65534", "--map-group=65534"}
	}
	ip, port := at.Addr().String(), portOf(at)
	argv = append(argv, "opentracker", "-i", ip, "-p", port, "-P", port, "-d", dir, "-w", list)
	r := &tracker{process: start(t, argv...), at: at}
	r.await(t, ctx, "opentracker answers for the torrent", func() bool {
		// It reads its list behind the scenes. A stopped peer is not kept.
		body, err := r.announce(ctx, p, "stopped")
		return err == nil && !strings.Contains(body, "failure")
	})
	return r
}

// startOwnTracker runs examples/tracker, over HTTP and UDP at the same address.
func startOwnTracker(t *testing.T, ctx context.Context, at netip.AddrPort, more ...string) *tracker {
	t.Helper()
	argv := append([]string{program(t, "tracker"), "-http", at.String(), "-udp", at.String()}, more...)
	r := &tracker{process: start(t, argv...), at: at}
	r.listening(t, ctx, at)
	return r
}

// announce asks the tracker for peers as a leecher that nobody can reach.
func (r *tracker) announce(ctx context.Context, p *payload, event string) (string, error) {
	q := url.Values{
		"info_hash": {string(p.infoHash[:])}, "peer_id": {"-XX0000-onlyasking--"}, "port": {"9"},
		"uploaded": {"0"}, "downloaded": {"0"}, "left": {"1"}, "compact": {"1"}, "numwant": {"50"},
	}
	if event != "" {
		q.Set("event", event)
	}
	return get(ctx, announceURL("http", r.at)+"?"+q.Encode())
}

// names says whether the tracker hands out an address for the payload.
func (r *tracker) names(t *testing.T, ctx context.Context, p *payload, peer netip.AddrPort) bool {
	t.Helper()
	body, err := r.announce(ctx, p, "")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(body, string(binary.BigEndian.AppendUint16(peer.Addr().AsSlice(), peer.Port())))
}

// forget tells the tracker that who asked in names is gone: it counted.
func (r *tracker) forget(t *testing.T, ctx context.Context, p *payload) {
	t.Helper()
	if _, err := r.announce(ctx, p, "stopped"); err != nil {
		t.Fatal(err)
	}
}

// scrape is what the tracker counts.
type scrape struct{ seeds, leeches, downloaded int }

func (r *tracker) scrape(ctx context.Context, p *payload) (s scrape, err error) {
	q := url.Values{"info_hash": {string(p.infoHash[:])}}
	body, err := get(ctx, "http://"+r.at.String()+"/scrape?"+q.Encode())
	if err != nil {
		return s, err
	}
	for key, to := range map[string]*int{"8:complete": &s.seeds, "10:incomplete": &s.leeches, "10:downloaded": &s.downloaded} {
		if m := regexp.MustCompile(key + `i(\d+)e`).FindStringSubmatch(body); m != nil {
			*to, _ = strconv.Atoi(m[1])
		}
	}
	return s, nil
}

// counts waits until the tracker's figures are as wanted.
func (r *tracker) counts(t *testing.T, ctx context.Context, p *payload, what string, ok func(scrape) bool) {
	t.Helper()
	var last scrape
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the tracker counted %+v while waiting for: %s", last, what)
		}
	})
	r.await(t, ctx, what, func() bool {
		s, err := r.scrape(ctx, p)
		if err != nil {
			return false
		}
		last = s
		return ok(s)
	})
}

func get(ctx context.Context, u string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return "", err
	}
	c := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", u, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(b), err
}
