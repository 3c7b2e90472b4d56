package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/seed1734be99/starling/tracker"
	"github.com/seed1734be99/starling/tracker/server"
)

// A tracker inside a program, and an announce to it.
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
