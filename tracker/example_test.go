package tracker_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/seed1734be99/starling/tracker"
	"github.com/seed1734be99/starling/tracker/server"
)

func ExampleClient_Announce() {
	s, _ := server.New(server.Config{})
	web := httptest.NewServer(s)
	defer web.Close()
	url := web.URL + "/announce?passkey=secret"

	var c tracker.Client
	ctx := context.Background()
	r := tracker.Request{InfoHash: [20]byte{1}, Left: 1000, Event: tracker.Started, NumWant: -1}
	for i := range 3 {
		r.PeerID, r.Port = [20]byte{byte(i)}, 6881+uint16(i)
		resp, err := c.Announce(ctx, url, r)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(resp.Peers), "others; again in", resp.Interval)
	}
	// Output:
	// 0 others; again in 30m0s
	// 1 others; again in 30m0s
	// 2 others; again in 30m0s
}

func ExampleSchedule() {
	s := tracker.NewSchedule(tracker.ScheduleConfig{
		Trackers: [][]string{{"http://first.example/announce"}, {"udp://backup.example:6969"}},
	})
	now := time.Unix(1_000_000, 0)
	s.Start(now, false)
	for range 4 {
		due, ok, wake := s.Next(now)
		if !ok {
			fmt.Println("nothing for", wake.Sub(now))
			now = wake
			continue
		}
		fmt.Println(due.URL, due.Event)
		if due.URL == "http://first.example/announce" {
			s.Done(due, now, nil, context.DeadlineExceeded)
		} else {
			s.Done(due, now, &tracker.Response{Interval: time.Hour}, nil)
		}
	}
	// Output:
	// http://first.example/announce started
	// udp://backup.example:6969 started
	// nothing for 1h0m0s
	// http://first.example/announce started
}
