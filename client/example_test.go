package client_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/storage"
)

// seedHello makes a torrent of a small file and seeds it on loopback: what the
// examples download.
func seedHello() (m *metainfo.MetaInfo, addr string, stop func()) {
	dir, err := os.MkdirTemp("", "hello")
	if err != nil {
		log.Fatal(err)
	}
	file := filepath.Join(dir, "hello.txt")
	if err := os.WriteFile(file, bytes.Repeat([]byte("hello, swarm\n"), 5000), 0o666); err != nil {
		log.Fatal(err)
	}
	m, err = metainfo.Build(context.Background(), file, metainfo.BuildOptions{PieceLength: 32 << 10})
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.New(client.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	t, err := c.Add(client.Spec{MetaInfo: m})
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	return m, fmt.Sprintf("127.0.0.1:%d", c.Port()), func() {
		c.Close()
		os.RemoveAll(dir)
	}
}

// Download a torrent to a folder and wait for it.
func Example() {
	m, seeder, stop := seedHello()
	defer stop()
	dir, err := os.MkdirTemp("", "downloads")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	c, err := client.New(client.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	t, err := c.Add(client.Spec{MetaInfo: m, Peers: []string{seeder}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := t.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "hello.txt"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %d bytes: %s", t.Name(), len(b), b[:13])
	// Output: hello.txt, 65000 bytes: hello, swarm
}

// A magnet link names a torrent by its hash: what it contains is asked of the
// peers first.
func ExampleClient_AddMagnet() {
	m, seeder, stop := seedHello()
	defer stop()
	link := m.Magnet()
	link.Peers = []string{seeder} // nobody else knows this torrent

	c, err := client.New(client.Config{Listen: "127.0.0.1:0", Storage: storage.NewMemory()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	t, err := c.AddMagnet(link.String())
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	info, err := t.Metadata(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Name, info.Length())
	fmt.Println(t.Wait(ctx))
	// Output:
	// hello.txt 65000
	// <nil>
}

// neediest is a strategy: it uploads to the peers that have the fewest pieces.
type neediest struct{ slots int }

func (s neediest) Choose(r *choke.Round) choke.Decision {
	slices.SortFunc(r.Peers, func(a, b choke.Peer) int { return a.Pieces - b.Pieces })
	var ids []choke.PeerID
	for _, p := range r.Peers {
		if p.Interested && len(ids) < s.slots {
			ids = append(ids, p.ID)
		}
	}
	return choke.Peers(ids...)
}

// A choking strategy of one's own decides who may download from us.
func ExampleConfig_choker() {
	c, err := client.New(client.Config{
		Listen: "127.0.0.1:0",
		Choker: func() choke.Strategy { return neediest{slots: 4} },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(len(c.Torrents()))
	// Output: 0
}

// Events tell what happens, from the call of Events on.
func ExampleTorrent_Events() {
	m, seeder, stop := seedHello()
	defer stop()
	c, err := client.New(client.Config{Listen: "127.0.0.1:0", Storage: storage.NewMemory()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	t, err := c.Add(client.Spec{MetaInfo: m, Peers: []string{seeder}, Paused: true, Tag: "my torrent"})
	if err != nil {
		log.Fatal(err)
	}
	events := t.Events(context.Background())
	t.Resume()
	pieces := 0
	for ev := range events {
		if ev.Kind == client.EventPiece {
			pieces++
		}
		if ev.Kind == client.EventCompleted {
			fmt.Println(ev.Tag, "is complete:", pieces, "pieces")
			break
		}
	}
	// Output: my torrent is complete: 2 pieces
}

// Add says more than AddFile and AddMagnet: here a torrent that waits, with
// limits of its own.
func ExampleClient_Add() {
	m, _, stop := seedHello()
	defer stop()
	c, err := client.New(client.Config{Listen: "127.0.0.1:0", Storage: storage.NewMemory()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	t, err := c.Add(client.Spec{MetaInfo: m, Paused: true, Limits: client.Limits{Upload: 100 << 10}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Add(client.Spec{MetaInfo: m})
	fmt.Println(err)
	fmt.Println(len(c.Torrents()), t.Files()[0].Path)
	// Output:
	// client: torrent exists already
	// 1 hello.txt
}
