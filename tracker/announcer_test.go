package tracker

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// webTracker is HTTP trackers without a network that write down their queries.
type webTracker struct {
	mu     sync.Mutex
	start  time.Time
	log    []string
	answer func(host string, r *http.Request) (string, error)
}

func newWebTracker(answer func(host string, r *http.Request) (string, error)) (*webTracker, *Client) {
	w := &webTracker{start: time.Now(), answer: answer}
	return w, &Client{HTTP: &http.Client{Transport: roundTrip(w.roundTrip)}}
}

func (w *webTracker) roundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	w.mu.Lock()
	w.log = append(w.log, fmt.Sprintf("%d %s %s up=%s down=%s left=%s want=%s", int(time.Since(w.start).Seconds()),
		r.URL.Host, q.Get("event"), q.Get("uploaded"), q.Get("downloaded"), q.Get("left"), q.Get("numwant")))
	w.mu.Unlock()
	body, err := w.answer(r.URL.Host, r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (w *webTracker) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log
}

func always(string, *http.Request) (string, error) {
	return "d8:intervali1800e5:peers6:\x01\x02\x03\x04\x00\x50e", nil
}

// hang answers nothing until it is given up.
func hang(_ string, r *http.Request) (string, error) {
	<-r.Context().Done()
	return "", r.Context().Err()
}

// counting is a torrent's counters, set from outside.
type counting struct {
	mu sync.Mutex
	c  Counters
}

func (c *counting) get() Counters  { c.mu.Lock(); defer c.mu.Unlock(); return c.c }
func (c *counting) set(n Counters) { c.mu.Lock(); defer c.mu.Unlock(); c.c = n }

func announcing(t *testing.T, c *Client, counters *counting, trackers ...string) *Announcer {
	t.Helper()
	a, err := NewAnnouncer(AnnouncerConfig{
		Client: c, Trackers: splitTiers(trackers), InfoHash: goldenHash, PeerID: goldenID, Port: 6883,
		Counters: counters.get,
	})
	require.NoError(t, err)
	return a
}

// Both captured sessions, played by an Announcer.
func TestT31_GoldenSessions(t *testing.T) {
	for name, test := range map[string]struct {
		id       [20]byte
		left     int64
		download bool
		want     []string
	}{
		"download": {goldenID, 22169, true, []string{
			goldenHead + goldenIDText + "&port=6883&uploaded=0&downloaded=0&left=22169&event=started",
			goldenHead + goldenIDText + "&port=6883&uploaded=0&downloaded=22169&left=0&event=completed",
			goldenHead + goldenIDText + "&port=6883&uploaded=0&downloaded=22169&left=0&event=stopped",
		}},
		"complete at start": {goldenSeed, 0, false, []string{
			goldenHead + goldenSeedText + "&port=6883&uploaded=0&downloaded=0&left=0&event=started",
			goldenHead + goldenSeedText + "&port=6883&uploaded=0&downloaded=0&left=0&event=stopped",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string // by one announce at a time
				_, c := newWebTracker(func(_ string, r *http.Request) (string, error) {
					query, _, _ := strings.Cut(r.URL.RawQuery, "&compact=")
					got = append(got, query)
					return always("", r)
				})
				counters := &counting{c: Counters{Left: test.left}}
				a, err := NewAnnouncer(AnnouncerConfig{
					Client: c, Trackers: [][]string{{"http://127.0.0.1:6969/announce"}},
					InfoHash: goldenHash, PeerID: test.id, Port: 6883, Counters: counters.get,
				})
				require.NoError(t, err)
				synctest.Wait()
				<-time.After(20 * time.Second)
				if test.download {
					counters.set(Counters{Downloaded: test.left})
					a.Complete()
					synctest.Wait()
				}
				a.Complete()
				<-time.After(20 * time.Second)
				require.NoError(t, a.Close())
				require.Equal(t, test.want, got)
			})
		})
	}
}

// A torrent's life with two tiers: what is counted, wanted and handed on.
func TestAnnouncer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		w, c := newWebTracker(func(host string, r *http.Request) (string, error) {
			if host == "a" && !up.Load() {
				return "", io.ErrUnexpectedEOF
			}
			return always(host, r)
		})
		var peers []Peer
		counters := &counting{c: Counters{Uploaded: 100, Downloaded: 1000, Left: 50}}
		a, err := NewAnnouncer(AnnouncerConfig{
			Client: c, Trackers: splitTiers([]string{"a", "b", "wss://c"}), PeerID: goldenID,
			Counters: counters.get, Peers: func(p []Peer) { peers = append(peers, p...) },
		})
		require.NoError(t, err)
		defer a.Close()
		<-time.After(100 * time.Second)
		counters.set(Counters{Uploaded: 103, Downloaded: 1005, Left: 45, Enough: true})
		a.Force()
		synctest.Wait()
		a.AddTrackers([][]string{{"http://d"}})
		<-time.After(1750 * time.Second)
		list := a.Status()
		require.Len(t, list, 4)
		require.Contains(t, list[0].Err, "announce http://a: unexpected EOF")
		require.True(t, list[1].Started)
		require.True(t, list[2].Retired)
		up.Store(true)
		<-time.After(2000 * time.Second)
		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
		require.Equal(t, []string{
			"0 a started up=0 down=0 left=50 want=",
			"0 b started up=0 down=0 left=50 want=",
			"100 a started up=3 down=5 left=45 want=0",
			"100 b  up=3 down=5 left=45 want=0",
			"1900 a started up=3 down=5 left=45 want=0",
			"3700 a  up=3 down=5 left=45 want=0",
			"3850 a stopped up=3 down=5 left=45 want=0",
			"3850 b stopped up=3 down=5 left=45 want=0",
		}, sortTail(w.lines(), 2))
		require.Len(t, peers, 4)
		require.Equal(t, Peer{Addr: netip.MustParseAddrPort("1.2.3.4:80"), Port: 80}, peers[0])
		a.Complete() // after the end: nothing
		a.Force()
	})
}

// sortTail orders the last n lines, which came side by side.
func sortTail(lines []string, n int) []string {
	tail := lines[len(lines)-n:]
	if len(tail) == 2 && tail[0] > tail[1] {
		tail[0], tail[1] = tail[1], tail[0]
	}
	return lines
}

// A hanging announce is cut off at once, hanging farewells after 5 s, those to
// trackers that failed anyway after one.
func TestRT17_AnnouncerCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newWebTracker(hang)
		a := announcing(t, c, &counting{c: Counters{Left: 1}}, "a", "b")
		<-time.After(20 * time.Second)
		start := time.Now()
		require.NoError(t, a.Close())
		require.Zero(t, time.Since(start), "nobody knows us, so nobody is told")

		var stuck atomic.Bool
		w, c := newWebTracker(func(host string, r *http.Request) (string, error) {
			if stuck.Load() {
				return hang(host, r)
			}
			return always(host, r)
		})
		a = announcing(t, c, &counting{c: Counters{Left: 1}}, "a")
		synctest.Wait()
		stuck.Store(true)
		var wg sync.WaitGroup
		start = time.Now()
		for range 3 {
			wg.Go(func() {
				require.ErrorIs(t, a.Close(), context.DeadlineExceeded)
				require.Equal(t, 5*time.Second, time.Since(start))
			})
		}
		wg.Wait()
		require.Len(t, w.lines(), 2)

		stuck.Store(false)
		a = announcing(t, c, &counting{c: Counters{Left: 1}}, "a")
		synctest.Wait()
		stuck.Store(true)
		<-time.After(1820 * time.Second) // its regular announce hangs
		start = time.Now()
		require.ErrorIs(t, a.Close(), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
	})
}

// A tracker that hangs is given up after 15 s, and cut off after its minute.
func TestRT9_AnnouncerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWebTracker(func(host string, r *http.Request) (string, error) {
			if host == "a" {
				return hang(host, r)
			}
			return always(host, r)
		})
		a := announcing(t, c, &counting{c: Counters{Left: 1}}, "a", "b")
		<-time.After(2 * time.Minute)
		require.Equal(t, []string{
			"0 a started up=0 down=0 left=1 want=",
			"15 b started up=0 down=0 left=1 want=",
		}, w.lines())
		list := a.Status()
		require.Equal(t, 1, list[0].Fails)
		require.Equal(t, time.Minute, list[0].Last.Sub(w.start))
		require.True(t, list[1].Current)
		require.NoError(t, a.Close())
	})
}

// A private torrent's peers are dropped before those of another tracker come.
func TestT18_AnnouncerSwitches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dead atomic.Bool
		_, c := newWebTracker(func(host string, r *http.Request) (string, error) {
			if host == "a" && dead.Load() {
				return "", io.ErrUnexpectedEOF
			}
			return always(host, r)
		})
		var got []string
		a, err := NewAnnouncer(AnnouncerConfig{
			Client: c, Trackers: splitTiers([]string{"a", "b"}), PeerID: goldenID, Private: true,
			Counters: (&counting{c: Counters{Left: 1}}).get,
			Peers:    func(p []Peer) { got = append(got, fmt.Sprint(len(p), " peer")) },
			Switched: func() { got = append(got, "switched") },
		})
		require.NoError(t, err)
		<-time.After(10 * time.Second)
		dead.Store(true)
		<-time.After(1800 * time.Second)
		a.SetPrivate() // it is already
		require.NoError(t, a.Close())
		require.Equal(t, []string{"1 peer", "switched", "1 peer"}, got)
	})
}

// Announces to all, over both families, run side by side, but not without bound;
// so do the farewells.
func TestT15_AnnouncerToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int64
		w, c := newWebTracker(func(host string, r *http.Request) (string, error) {
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			select {
			case <-r.Context().Done():
				return "", r.Context().Err()
			case <-time.After(time.Second):
				return always(host, r)
			}
		})
		var tiers []string
		for i := range 20 {
			tiers = append(tiers, fmt.Sprint("t", i))
		}
		a, err := NewAnnouncer(AnnouncerConfig{
			Client: c, Trackers: splitTiers(tiers), PeerID: goldenID, All: true, Families: []Family{IPv4, IPv6},
			Counters: (&counting{c: Counters{Left: 1}}).get,
		})
		require.NoError(t, err)
		<-time.After(time.Minute)
		require.Len(t, w.lines(), 40)
		require.Equal(t, int64(sideBySide), most.Swap(0))
		for _, st := range a.Status() {
			require.Len(t, st.Endpoints, 2)
			require.True(t, st.Endpoints[0].Started && st.Endpoints[1].Started)
		}
		start := time.Now()
		require.NoError(t, a.Close())
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, int64(40), most.Load())
		require.Len(t, w.lines(), 80)
	})
}

func TestAnnouncerConfig(t *testing.T) {
	_, err := NewAnnouncer(AnnouncerConfig{PeerID: goldenID})
	require.ErrorContains(t, err, "AnnouncerConfig.Counters")
	_, err = NewAnnouncer(AnnouncerConfig{Counters: (&counting{}).get})
	require.ErrorContains(t, err, "AnnouncerConfig.PeerID")
	a, err := NewAnnouncer(AnnouncerConfig{PeerID: goldenID, Counters: (&counting{}).get})
	require.NoError(t, err)
	require.NotZero(t, a.cfg.Key)
	require.Empty(t, a.Status())
	require.NoError(t, a.Close())
}
