package client_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/leakcheck"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/tracker/server"
)

// loopbackTracker runs a tracker for the length of the test.
func loopbackTracker(t testing.TB) (url string, s *server.Server) {
	t.Helper()
	s, err := server.New(server.Config{})
	require.NoError(t, err)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return web.URL + "/announce", s
}

// waitFor waits until the torrent is complete, and says how it stands when
// that takes longer than d.
func waitFor(t testing.TB, tor *client.Torrent, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	require.NoError(t, tor.Wait(ctx), "%+v\n%+v", tor.Stats(), tor.Peers())
}

// sameFile checks a downloaded payload against the original.
func sameFile(t testing.TB, src, dst string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join(src, "payload"))
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(dst, "payload"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "the payload differs")
}

// swarmBounds is what a swarm must show: the leeches did the work.
func swarmBounds(t testing.TB, m *metainfo.MetaInfo, seed *client.Torrent, leeches []*client.Torrent) {
	t.Helper()
	size := m.Info.Length()
	least, most := size*100, int64(0)
	for _, l := range leeches {
		st := l.Stats()
		require.True(t, st.Complete())
		require.Zero(t, st.HashFails)
		least, most = min(least, st.Uploaded), max(most, st.Uploaded)
	}
	sent := seed.Stats().Uploaded
	t.Logf("payload %d KiB; the seeder sent %.2f of it, the leeches %.2f to %.2f each",
		size>>10, float64(sent)/float64(size), float64(least)/float64(size), float64(most)/float64(size))
	require.LessOrEqual(t, sent, 3*size, "the seeder sent too much")
	require.GreaterOrEqual(t, least, size/10, "a leech sent too little")
}

// A swarm on real sockets. On loopback one unbounded seeder would serve
// everybody before the leeches have anything to trade, so it is limited to a
// rate that takes some seconds for one copy: then it is the swarm that
// distributes. The leeches are limited too, or the one that happens to be
// first served could serve all others. Four slots, since a seeder that serves
// all at once is asked for the same pieces by several of them.
func TestSwarm(t *testing.T) {
	const (
		leeches  = 20
		size     = 12 << 20
		seedRate = 2560 << 10
		peerRate = 3 << 20
	)
	leakcheck.Check(t)
	url, _ := loopbackTracker(t)
	src := t.TempDir()
	m := payload(t, src, size, 32<<10)
	spec := client.Spec{MetaInfo: m, Trackers: [][]string{{url}}}

	seed := add(t, start(t, client.Config{Dir: src, UploadLimit: seedRate, UploadSlots: 4}), spec)
	wait(t, seed)
	began := time.Now()
	var dirs []string
	var list []*client.Torrent
	for range leeches {
		dir := t.TempDir()
		dirs = append(dirs, dir)
		list = append(list, add(t, start(t, client.Config{Dir: dir, UploadLimit: peerRate}), spec))
	}
	for i, l := range list {
		waitFor(t, l, 2*time.Minute)
		sameFile(t, src, dirs[i])
	}
	t.Logf("all complete after %v", time.Since(began).Round(time.Millisecond))
	swarmBounds(t, m, seed, list)
}
