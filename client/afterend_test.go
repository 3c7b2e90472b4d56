package client_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
)

// anythings calls every exported method of a client and a torrent; those that
// fail must do it with an error that want accepts.
func anythings(t *testing.T, c *client.Client, tor *client.Torrent, closed bool, want error) {
	t.Helper()
	dir := t.TempDir()
	m := payload(t, dir, 1000, 16<<10)
	file := filepath.Join(dir, "x.torrent")
	b, err := m.Marshal()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, b, 0o666))
	web := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer web.Close()
	ctx := t.Context()
	second := func(_ *client.Torrent, err error) error { return err }
	errs := map[string]func() error{ // those that fail
		"Torrent.Wait":     func() error { return tor.Wait(ctx) },
		"Torrent.Metadata": func() error { _, err := tor.Metadata(ctx); return err },
		"Torrent.Checked":  func() error { return tor.Checked(ctx) },
		"Torrent.Recheck":  func() error { return tor.Recheck(ctx) },
		"Client.Remove":    func() error { return c.Remove(tor, client.DeleteData) },
	}
	calls := map[string]func(){ // those that do nothing, or answer
		"Client.Port":          func() { c.Port() },
		"Client.Torrents":      func() { c.Torrents() },
		"Client.Torrent":       func() { c.Torrent(m.Hashes()) },
		"Client.SetLimits":     func() { c.SetLimits(client.Limits{}) },
		"Client.MemoryUse":     func() { c.MemoryUse() },
		"Torrent.AddPeers":     func() { tor.AddPeers("127.0.0.1:1", "localhost:2", "junk") },
		"Torrent.Announce":     func() { tor.Announce() },
		"Torrent.Files":        func() { tor.Files() },
		"Torrent.Hashes":       func() { tor.Hashes() },
		"Torrent.Info":         func() { tor.Info() },
		"Torrent.Magnet":       func() { tor.Magnet() },
		"Torrent.Name":         func() { tor.Name() },
		"Torrent.Pause":        func() { tor.Pause() },
		"Torrent.Peers":        func() { require.Empty(t, tor.Peers()) },
		"Torrent.Resume":       func() { tor.Resume() },
		"Torrent.SetChoker":    func() { tor.SetChoker(nil) },
		"Torrent.SetOrder":     func() { tor.SetOrder(nil) },
		"Torrent.SetSuperSeed": func() { tor.SetSuperSeed(true) },
		"Torrent.Explain":      func() { require.Equal(t, "closed", tor.Explain().Summary) },
		"Torrent.ExplainPiece": func() { require.Equal(t, "the torrent is closed", tor.ExplainPiece(0)) },
		"Torrent.Scrape": func() {
			_, err := tor.Scrape(ctx)
			require.Error(t, err)
		},
		"Client.SetPeerLimits": func() { c.SetPeerLimits(client.Limits{}) },
		"Torrent.SetLimits":    func() { tor.SetLimits(client.Limits{}) },
		"Torrent.SetSlots":     func() { tor.SetSlots(3) },
		"Torrent.Stats":        func() { require.Equal(t, client.Closed, tor.Stats().State) },
		"Torrent.Tag":          func() { tor.Tag() },
		"Torrent.Trackers":     func() { tor.Trackers() },
		"Torrent.Events":       func() { eventsEnd(t, tor) },
	}
	adds := map[string]func() error{
		"Client.Add":       func() error { return second(c.Add(client.Spec{MetaInfo: m})) },
		"Client.AddFile":   func() error { return second(c.AddFile(file)) },
		"Client.AddMagnet": func() error { return second(c.AddMagnet(m.Magnet().String())) },
		"Client.AddURL":    func() error { return second(c.AddURL(ctx, web.URL+"/x.torrent")) },
	}
	if closed {
		maps.Copy(errs, adds)
		errs["Client.Close"] = nil
		calls["Client.Close"] = func() { require.NoError(t, c.Close()) }
	}
	for _, v := range []any{c, tor} {
		for i := range reflect.TypeOf(v).NumMethod() {
			name := reflect.TypeOf(v).Elem().Name() + "." + reflect.TypeOf(v).Method(i).Name
			if errs[name] == nil && calls[name] == nil && (closed || adds[name] == nil && name != "Client.Close") {
				t.Errorf("%s is not tried", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		if call := errs[name]; call != nil {
			within(t, 5*time.Second, name, func() {
				if err := call(); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", name, err, want)
				}
			})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		within(t, 5*time.Second, name, calls[name])
	}
}

func eventsEnd(t testing.TB, tor *client.Torrent) {
	t.Helper()
	within(t, 5*time.Second, "Events", func() {
		for range tor.Events(context.Background()) {
			t.Error("an event behind the end")
		}
	})
}

// RL3.
func TestEverythingAfterTheEnd(t *testing.T) {
	f := newFixture(t, 1<<20, 32<<10)
	for _, tc := range []struct {
		name string
		spec func() client.Spec
	}{
		{"complete", func() client.Spec { return client.Spec{MetaInfo: f.m, Dir: f.src} }},
		{"incomplete", func() client.Spec { return client.Spec{MetaInfo: f.m} }},
		{"without metadata", func() client.Spec { return client.Spec{Magnet: f.m.Magnet().String()} }},
		{"paused", func() client.Spec { return client.Spec{MetaInfo: f.m, Paused: true} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Run("Remove", func(t *testing.T) {
				c := start(t, client.Config{Dir: t.TempDir()})
				tor := add(t, c, tc.spec())
				require.NoError(t, c.Remove(tor))
				anythings(t, c, tor, false, client.ErrRemoved)
				require.NoError(t, c.Remove(add(t, c, tc.spec())), "it can be added again")
			})
			t.Run("Close", func(t *testing.T) {
				c := start(t, client.Config{Dir: t.TempDir()})
				tor := add(t, c, tc.spec())
				require.NoError(t, c.Close())
				anythings(t, c, tor, true, client.ErrClosed)
			})
		})
	}
	_, err := os.Stat(filepath.Join(f.src, "payload"))
	require.NoError(t, err, "nothing was deleted behind the end")
}
