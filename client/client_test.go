package client_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
)

// payload writes a file of n bytes below dir and returns a torrent of it.
func payload(t testing.TB, dir string, n int, pieceLength int64) *metainfo.MetaInfo {
	t.Helper()
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	path := filepath.Join(dir, "payload")
	require.NoError(t, os.WriteFile(path, b, 0o666))
	m, err := metainfo.Build(context.Background(), path, metainfo.BuildOptions{PieceLength: pieceLength})
	require.NoError(t, err)
	return m
}

// start makes a client on loopback that is closed with the test.
func start(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	c, err := client.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func add(t testing.TB, c *client.Client, s client.Spec) *client.Torrent {
	t.Helper()
	tor, err := c.Add(s)
	require.NoError(t, err)
	return tor
}

func wait(t testing.TB, tor *client.Torrent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := tor.Wait(ctx)
	require.NoError(t, err, "%+v\n%+v", tor.Stats(), tor.Peers())
}

func address(c *client.Client) string {
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.Port()}).String()
}

func TestDownloadFromSeed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		size   int
		length int64
	}{
		{"several slabs a piece", 20<<20 + 12345, 4 << 20},
		{"one slab a piece", 32<<20 + 1, 256 << 10},
		{"W14: pieces smaller than a block", 22169, 256},
		{"one piece", 1000, 16 << 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, dst := t.TempDir(), t.TempDir()
			m := payload(t, src, tc.size, tc.length)
			seed := start(t, client.Config{Dir: src})
			wait(t, add(t, seed, client.Spec{MetaInfo: m}))
			leech := start(t, client.Config{Dir: dst})
			tor := add(t, leech, client.Spec{MetaInfo: m, Peers: []string{address(seed)}})
			wait(t, tor)
			want, err := os.ReadFile(filepath.Join(src, "payload"))
			require.NoError(t, err)
			got, err := os.ReadFile(filepath.Join(dst, "payload"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
			st := tor.Stats()
			require.True(t, st.Complete())
			require.EqualValues(t, tc.size, st.Downloaded)
			require.Zero(t, st.Wasted)
		})
	}
}
