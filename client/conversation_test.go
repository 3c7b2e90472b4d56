package client_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
)

// session writes announces down as a trace would show them.
func session(all []announced) (lines []string) {
	for _, a := range all {
		event := a.event
		if event == "" {
			event = "-"
		}
		lines = append(lines, fmt.Sprintf("%s up=%d down=%d left=%d", event, a.uploaded, a.downloaded, a.left))
	}
	return lines
}

// The two sessions that S4 prints: 22169 bytes downloaded, and had from the
// start.
func TestT31_Sessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := &recorder{peers: []string{simAddr(ip4(0, 1))}}
		w := newWorld(t, 22169, 256, simnet.Link{Latency: 5 * time.Millisecond}, tracker)
		seeder := w.client(ip4(0, 1), client.Config{Storage: w.full()})
		waitFor(t, add(t, seeder, w.spec()), time.Minute)
		time.Sleep(time.Second)
		require.Equal(t, []string{"started up=0 down=0 left=0"}, session(tracker.all()))

		leech := w.client(ip4(0, 2), client.Config{})
		waitFor(t, add(t, leech, w.spec()), time.Minute)
		time.Sleep(time.Second)
		require.NoError(t, leech.Close())
		require.NoError(t, seeder.Close())
		require.Equal(t, []string{
			"started up=0 down=0 left=0",
			"started up=0 down=0 left=22169",
			"completed up=0 down=22169 left=0",
			"stopped up=0 down=22169 left=0",
			"stopped up=22169 down=0 left=0",
		}, session(tracker.all()))
	})
}

// A download of seventeen minutes and the seeding after it, as its tracker sees
// them: started first and with counters at zero (T2), regular announces at the
// interval without an event, completed once and when it is so (T3), stopped
// last, with what was true at the end (T4).
func TestT2_T3_T4_AConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, rate, interval = 8 << 20, 8 << 10, 5 * time.Minute
		tracker := &recorder{interval: interval, peers: []string{simAddr(ip4(0, 1))}}
		w := newWorld(t, size, 64<<10, simnet.Link{Latency: 20 * time.Millisecond}, tracker)
		waitFor(t, add(t, w.client(ip4(0, 1), client.Config{Storage: w.full(), UploadLimit: rate}), client.Spec{MetaInfo: w.m}), time.Minute)
		leech := w.client(ip4(0, 2), client.Config{})
		tor := add(t, leech, w.spec())
		waitFor(t, tor, time.Hour)
		done := time.Now()
		other := add(t, w.client(ip4(0, 3), client.Config{}), client.Spec{MetaInfo: w.m, Peers: []string{simAddr(ip4(0, 2))}})
		waitFor(t, other, time.Hour)
		require.EqualValues(t, size, tor.Stats().Uploaded)
		time.Sleep(12 * time.Minute)
		require.NoError(t, leech.Close())

		all := tracker.all()
		require.Equal(t, "started up=0 down=0 left=8388608", session(all)[0])
		completed, regular := 0, 0
		for i, a := range all[1:] {
			before := all[i]
			require.GreaterOrEqual(t, a.downloaded, before.downloaded)
			require.GreaterOrEqual(t, a.uploaded, before.uploaded)
			require.LessOrEqual(t, a.left, before.left)
			require.LessOrEqual(t, a.downloaded, int64(size))
			require.GreaterOrEqual(t, a.downloaded+a.left, int64(size), "what is received may be unverified yet")
			switch a.event {
			case "completed":
				completed++
				require.InDelta(t, 0, a.at.Sub(done).Seconds(), 1)
				require.Equal(t, [2]int64{size, 0}, [2]int64{a.downloaded, a.left})
			case "":
				regular++
				require.InDelta(t, interval.Seconds(), a.at.Sub(before.at).Seconds(), 1)
			}
		}
		require.Equal(t, 1, completed)
		require.Equal(t, 3+2, regular, "at 5, 10 and 15 minutes, and twice while seeding")
		last := all[len(all)-1]
		require.Equal(t, fmt.Sprintf("stopped up=%d down=%d left=0", size, size), session(all)[len(all)-1], "%+v", last)
		require.Equal(t, 1, tracker.count("stopped"))
	})
}

// Pausing says stopped, resuming started; what trackers are told begins at zero
// again, the totals of Stats go on.
func TestT5_PauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := &recorder{peers: []string{simAddr(ip4(0, 1))}}
		w := newWorld(t, 1<<20, 64<<10, simnet.Link{Latency: 20 * time.Millisecond, Up: 50 << 10}, tracker)
		waitFor(t, add(t, w.client(ip4(0, 1), client.Config{Storage: w.full()}), client.Spec{MetaInfo: w.m}), time.Minute)
		tor := add(t, w.client(ip4(0, 2), client.Config{}), w.spec())
		until(t, tor, time.Minute, "half is there", func() bool { return tor.Stats().Downloaded > 512<<10 })
		tor.Pause()
		time.Sleep(time.Minute)
		first := tor.Stats().Downloaded
		require.Equal(t, first, tracker.last(t, "stopped").downloaded, "final when it was told")
		tor.Resume()
		waitFor(t, tor, 10*time.Minute)
		time.Sleep(time.Second)
		again := tracker.last(t, "started")
		require.Zero(t, again.downloaded+again.uploaded)
		require.Less(t, again.left, int64(1<<20))
		total := tor.Stats().Downloaded
		require.Equal(t, total-first, tracker.last(t, "completed").downloaded)
		require.GreaterOrEqual(t, total, int64(1<<20))
		events := session(tracker.all())
		require.Equal(t, []string{"started", "stopped", "started", "completed"},
			[]string{word(events[0]), word(events[1]), word(events[2]), word(events[3])})
	})
}

func word(line string) string { return strings.Fields(line)[0] }

// Who has peers enough asks for none.
func TestT6_NumWant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := &recorder{interval: 2 * time.Minute, peers: []string{simAddr(ip4(0, 1))}}
		w := newWorld(t, 4<<20, 64<<10, simnet.Link{Latency: 20 * time.Millisecond, Up: 5 << 10}, tracker)
		waitFor(t, add(t, w.client(ip4(0, 1), client.Config{Storage: w.full()}), client.Spec{MetaInfo: w.m}), time.Minute)
		c := w.client(ip4(0, 2), client.Config{MaxPeersPerTorrent: 1})
		add(t, c, w.spec())
		time.Sleep(3 * time.Minute)
		require.NoError(t, c.Close())
		var wants []string
		for _, a := range tracker.all() {
			wants = append(wants, a.numwant)
		}
		require.Equal(t, []string{"", "0", "0"}, wants, "started, regular with the one peer, stopped")
	})
}

// A peer id and a key are made for each torrent and session.
func TestT27_IDs(t *testing.T) {
	one, two := &recorder{}, &recorder{}
	c := start(t, client.Config{Dir: t.TempDir()})
	urls := [][]string{{serveOn(t, one)}, {serveOn(t, two)}}
	heard := func(tor *client.Torrent, r *recorder, n int) announced {
		until(t, tor, 10*time.Second, "an announce", func() bool { return len(r.all()) == n })
		return r.all()[n-1]
	}
	m := torrentOf(t, "a", noise(100, 1), 16<<10)
	tor := add(t, c, client.Spec{MetaInfo: m, Trackers: urls[:1]})
	first := heard(tor, one, 1)
	require.Len(t, first.id, 20)
	require.Equal(t, "-sG", first.id[:3], "BEP 20")
	require.GreaterOrEqual(t, len(first.key), 8, "32 bits")

	other := heard(add(t, c, client.Spec{MetaInfo: torrentOf(t, "b", noise(100, 2), 16<<10), Trackers: urls[1:]}), two, 1)
	require.NoError(t, c.Remove(tor)) // the second is its stopped
	second := heard(add(t, c, client.Spec{MetaInfo: m, Trackers: urls[:1]}), one, 3)
	ids := map[string]bool{first.id: true, other.id: true, second.id: true}
	keys := map[string]bool{first.key: true, other.key: true, second.key: true}
	require.Len(t, ids, 3)
	require.Len(t, keys, 3)
}

// A torrent behind a login: cookies of the user's client go along, with the
// torrent file and with announces.
func TestT19_Cookies(t *testing.T) {
	m := torrentOf(t, "a", noise(100, 1), 16<<10)
	tracker := &recorder{}
	mux := http.NewServeMux()
	var agents []string
	mux.HandleFunc("/a.torrent", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("pass"); err != nil || c.Value != "word" {
			http.Error(w, "log in first", http.StatusForbidden)
			return
		}
		agents = append(agents, r.UserAgent())
		m.Write(w)
	})
	mux.HandleFunc("/announce", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("pass")
		if err != nil || c.Value != "word" {
			fmt.Fprint(w, "d14:failure reason6:log ine")
			return
		}
		tracker.ServeHTTP(w, r)
	})
	web := httptest.NewServer(mux)
	defer web.Close()
	at, err := url.Parse(web.URL)
	require.NoError(t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar.SetCookies(at, []*http.Cookie{{Name: "pass", Value: "word"}})

	_, err = start(t, client.Config{Dir: t.TempDir()}).AddURL(t.Context(), web.URL+"/a.torrent")
	require.ErrorContains(t, err, "403")
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	c := start(t, client.Config{Dir: t.TempDir(), HTTPClient: &http.Client{Jar: jar, Transport: transport}, UserAgent: "mine/1"})
	tor, err := c.AddURL(t.Context(), web.URL+"/a.torrent")
	require.NoError(t, err)
	require.Equal(t, []string{"mine/1"}, agents)
	_, err = c.Add(client.Spec{MetaInfo: m, Trackers: [][]string{{web.URL + "/announce"}}})
	require.ErrorIs(t, err, client.ErrExists)
	until(t, tor, 10*time.Second, "the tracker knows us", func() bool { return tracker.count("started") == 1 })
}
