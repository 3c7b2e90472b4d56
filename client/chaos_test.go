package client_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed1734be99/starling/client"
)

// Adding, pausing, rechecking and removing by many at once, and closing amid it:
// nothing hangs or panics, and in the end the torrent can still be downloaded.
func TestAnythingAtOnce(t *testing.T) {
	f := newFixture(t, 256<<10, 32<<10)
	for n := range 8 {
		c, err := client.New(client.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		for g := range 6 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(n), uint64(g)))
				for ctx.Err() == nil {
					s := f.spec()
					if r.IntN(2) == 0 {
						s.MetaInfo, s.Magnet = nil, f.m.Magnet().String()
					}
					s.Paused = r.IntN(3) == 0
					tor, _ := c.Add(s)
					if tor == nil {
						continue
					}
					for range 20 {
						switch r.IntN(12) {
						case 0, 1:
							tor.Pause()
						case 2, 3:
							tor.Resume()
						case 4, 5:
							tor.Recheck(ctx)
						case 6:
							w, cc := context.WithTimeout(ctx, 10*time.Millisecond)
							tor.Wait(w)
							cc()
						case 7:
							if r.IntN(6) == 0 {
								c.Remove(tor, r.IntN(2) == 0)
							}
						case 8:
							tor.Stats()
							tor.Files()
							tor.Peers()
						case 9:
							tor.AddPeers(address(f.seeder))
						case 10:
							tor.SetChoker(nil)
						case 11: // so that the others get ahead, each time differently
							time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
						}
					}
				}
			})
		}
		if n%2 == 0 {
			// No condition to wait for: the close comes at any moment.
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
			within(t, 12*time.Second, "close", func() { c.Close() })
			cancel()
			wg.Wait()
			continue
		}
		wg.Wait()
		cancel()
		tor, _ := c.Add(f.spec())
		tor.Resume()
		w, cc := context.WithTimeout(context.Background(), 20*time.Second)
		for {
			err := tor.Wait(w)
			if err == nil {
				break
			}
			if w.Err() != nil {
				t.Fatalf("round %d: %v %+v %+v", n, err, tor.Stats(), tor.Peers())
			}
			tor.Resume() // a fault: files deleted under it
			tor.Recheck(w)
		}
		cc()
		within(t, 12*time.Second, "close", func() { c.Close() })
	}
}
