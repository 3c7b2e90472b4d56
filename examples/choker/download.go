package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
)

const fileSize = 8 << 20

// counted is our strategy, and counts what it did.
type counted struct {
	choke.Strategy
	rounds, unchoked *atomic.Int64
}

// Choose implements choke.Strategy.
func (c counted) Choose(r *choke.Round) choke.Decision {
	d := c.Strategy.Choose(r)
	c.rounds.Add(1)
	c.unchoked.Add(int64(len(d.Unchoke)))
	return d
}

// download lets a real client with our strategy download a file from a seed, and a second client download it from
// both. Everything stays on this machine.
func download(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "choker")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"seed", "ours", "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			return err
		}
	}
	meta, err := sample(ctx, filepath.Join(dir, "seed", "sample"))
	if err != nil {
		return err
	}
	start := func(name string, limit int64, choker func() choke.Strategy, peers ...string) (*client.Client, *client.Torrent, error) {
		c, err := client.New(client.Config{Dir: filepath.Join(dir, name), Listen: "127.0.0.1:0", UploadLimit: limit, Choker: choker})
		if err != nil {
			return nil, nil, err
		}
		t, err := c.Add(client.Spec{MetaInfo: meta, Peers: peers})
		if err != nil {
			c.Close()
		}
		return c, t, err
	}
	address := func(c *client.Client) string { return fmt.Sprintf("127.0.0.1:%d", c.Port()) }

	seed, seeding, err := start("seed", 0, nil)
	if err != nil {
		return err
	}
	defer seed.Close()
	if err := seeding.Wait(ctx); err != nil {
		return err
	}
	var rounds, unchoked atomic.Int64
	ours, mine, err := start("ours", 4<<20, func() choke.Strategy { return counted{newProportional(), &rounds, &unchoked} }, address(seed))
	if err != nil {
		return err
	}
	defer ours.Close()
	other, theirs, err := start("other", 0, nil, address(ours))
	if err != nil {
		return err
	}
	defer other.Close()
	for _, t := range []*client.Torrent{mine, theirs} {
		if err := t.Wait(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "\na real client downloaded %d MiB from a seed and passed them on to a client that knew only it; its strategy was asked %d times and unchoked %d peers\n",
		mine.Stats().Length>>20, rounds.Load(), unchoked.Load())
	return nil
}

// sample writes a file and makes a torrent of it.
func sample(ctx context.Context, path string) (*metainfo.MetaInfo, error) {
	data := make([]byte, fileSize)
	rand.NewChaCha8([32]byte{1}).Read(data)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		return nil, err
	}
	return metainfo.Build(ctx, path, metainfo.BuildOptions{})
}
