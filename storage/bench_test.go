package storage

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoAllocsOnFiles(t *testing.T) {
	const mib = 1 << 20
	tor := openDisk(t, NewFiles(t.TempDir()), fixture(t, fixtureFile("x/a", 2*mib), fixtureFile("x/b", 2*mib)))
	slab := noise(mib)
	for _, off := range []int64{0, 2*mib - 1000} { // in one file; across two
		write := func() { _, _ = tor.WriteAt(slab, off) }
		read := func() { _, _ = tor.ReadAt(slab, off) }
		write()
		require.Zero(t, testing.AllocsPerRun(50, write))
		require.Zero(t, testing.AllocsPerRun(50, read))
	}
}

func BenchmarkFilesWrite(b *testing.B) { benchmarkFiles(b, Torrent.WriteAt) }

func BenchmarkFilesRead(b *testing.B) { benchmarkFiles(b, Torrent.ReadAt) }

func benchmarkFiles(b *testing.B, do func(Torrent, []byte, int64) (int, error)) {
	const total = 64 << 20
	for _, size := range []int64{16 << 10, 1 << 20} {
		name := fmt.Sprintf("size=%dKiB", size>>10)
		if size == 1<<20 {
			name = "size=1MiB"
		}
		b.Run(name, func(b *testing.B) {
			tor := openDisk(b, NewFiles(b.TempDir()), fixture(b, fixtureFile("a", total)))
			buf := noise(size)
			for off := int64(0); off < total; off += size {
				mustWrite(b, tor, buf, off)
			}
			b.SetBytes(size)
			b.ReportAllocs()
			off := int64(0)
			for b.Loop() {
				if _, err := do(tor, buf, off); err != nil {
					b.Fatal(err)
				}
				off = (off + size) % total
			}
		})
	}
}
