package client_test

import (
	"crypto/sha1"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
)

// BenchmarkTransfer downloads from a seed over loopback, both in this process,
// from files to files.
func BenchmarkTransfer(b *testing.B) {
	for _, bc := range []struct {
		name         string
		size, length int64
	}{
		{"size=256MiB/piece=256KiB", 256 << 20, 256 << 10},
		{"size=1GiB/piece=1MiB", 1 << 30, 1 << 20},
	} {
		b.Run(bc.name, func(b *testing.B) {
			src, dst := b.TempDir(), b.TempDir()
			m := patterned(b, src, bc.size, bc.length)
			seed := start(b, client.Config{Dir: src, Listen: "127.0.0.1:0"})
			wait(b, add(b, seed, client.Spec{MetaInfo: m, Trust: true}))
			b.SetBytes(bc.size)
			for b.Loop() {
				leech := start(b, client.Config{Dir: dst, Listen: "127.0.0.1:0"})
				tor := add(b, leech, client.Spec{MetaInfo: m, Peers: []string{address(seed)}})
				wait(b, tor)
				b.StopTimer()
				require.NoError(b, leech.Remove(tor, client.DeleteData))
				b.StartTimer()
			}
		})
	}
}

// patterned writes a file whose pieces are all different but cheap to make.
func patterned(t testing.TB, dir string, size, length int64) *metainfo.MetaInfo {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "payload"))
	require.NoError(t, err)
	defer f.Close()
	piece, sums := noise(int(length), 1), []byte(nil)
	for i := range size / length {
		piece[0], piece[1] = byte(i), byte(i>>8)
		sum := sha1.Sum(piece)
		sums = append(sums, sum[:]...)
		_, err := f.Write(piece)
		require.NoError(t, err)
	}
	raw, err := bencode.Marshal(map[string]any{"length": size, "name": "payload", "piece length": length, "pieces": string(sums)})
	require.NoError(t, err)
	m, err := metainfo.New(raw)
	require.NoError(t, err)
	return m
}
