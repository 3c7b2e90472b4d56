package server_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"

	"github.com/seed1734be99/starling/tracker"
	"github.com/seed1734be99/starling/tracker/server"
)

// A tracker inside a program, and an announce to it over HTTP.
func Example() {
	s, err := server.New(server.Config{})
	if err != nil {
		panic(err)
	}
	web := httptest.NewServer(s)
	defer web.Close()

	var c tracker.Client
	resp, err := c.Announce(context.Background(), web.URL+"/announce", tracker.Request{
		InfoHash: [20]byte{1}, PeerID: [20]byte{2}, Port: 6881, Left: 1 << 20,
		Event: tracker.Started, NumWant: -1,
	})
	fmt.Println(resp.Interval, resp.Complete, resp.Incomplete, err)
	fmt.Println(s.Stats().Peers)
	// Output:
	// 30m0s 0 1 <nil>
	// 1
}

// The same over UDP. Closing the socket ends the serving.
func ExampleServer_ServeUDP() {
	s, err := server.New(server.Config{})
	if err != nil {
		panic(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- s.ServeUDP(conn) }()

	var c tracker.Client
	resp, err := c.Announce(context.Background(), "udp://"+conn.LocalAddr().String()+"/announce", tracker.Request{
		InfoHash: [20]byte{1}, PeerID: [20]byte{2}, Port: 6881, Left: 0, NumWant: -1,
	})
	fmt.Println(resp.Interval, resp.Complete, resp.Incomplete, err)
	conn.Close()
	fmt.Println(<-ended)
	// Output:
	// 30m0s 1 0 <nil>
	// <nil>
}

// A tracker for one torrent, and for those who know a passkey.
func ExampleServer_SetAllowed() {
	s, err := server.New(server.Config{
		Check: func(r *server.Request) error {
			query, _ := url.ParseQuery(r.Query)
			if !r.Scrape && query.Get("pass") != "s3cret" {
				return errors.New("unknown passkey")
			}
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	web := httptest.NewServer(s)
	defer web.Close()
	hash, _ := hex.DecodeString("8a0fa2b1f4cb0a8a33b0ea2f0bcb1b5d29b6d3aa")
	s.SetAllowed([][20]byte{[20]byte(hash)})

	var c tracker.Client
	for _, url := range []string{"/announce", "/announce?pass=s3cret"} {
		for _, hash := range [][20]byte{{1}, [20]byte(hash)} {
			_, err := c.Announce(context.Background(), web.URL+url, tracker.Request{InfoHash: hash, Port: 6881, NumWant: -1})
			var no *tracker.FailureError
			fmt.Println(errors.As(err, &no), s.Stats().Peers)
		}
	}
	// Output:
	// true 0
	// true 0
	// true 0
	// false 1
}
