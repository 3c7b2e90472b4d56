package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed1734be99/starling/tracker"
)

func ExampleClient_Scrape() {
	hash := [20]byte([]byte("aaaaaaaaaaaaaaaaaaaa"))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "d5:filesd20:"+r.URL.Query().Get("info_hash")+"d8:completei5e10:downloadedi50e10:incompletei10eeee")
	}))
	defer web.Close()

	var c tracker.Client
	r, err := c.Scrape(context.Background(), web.URL+"/announce?passkey=secret", hash)
	if err != nil {
		fmt.Println(err)
		return
	}
	if f, ok := r.Files[hash]; ok {
		fmt.Println(f.Complete, "seeds,", f.Incomplete, "leeches, completed", f.Downloaded, "times")
	}
	// Output: 5 seeds, 10 leeches, completed 50 times
}

func ExampleScrapeURL() {
	fmt.Println(tracker.ScrapeURL("http://tracker.example/x/announce.php?passkey=1"))
	fmt.Println(tracker.ScrapeURL("http://tracker.example/a"))
	// Output:
	// http://tracker.example/x/scrape.php?passkey=1 true
	//  false
}

// A policy of one's own, on top of the default one.
func ExamplePolicy() {
	c := tracker.Client{Policy: func(h tracker.Hop) error {
		if strings.HasSuffix(h.URL.Hostname(), ".test") {
			return errors.New("no tests here")
		}
		return tracker.DefaultPolicy(h)
	}}
	_, err := c.Announce(context.Background(), "http://tracker.test/announce", tracker.Request{})
	var refused *tracker.PolicyError
	fmt.Println(errors.As(err, &refused))
	fmt.Println(err)
	// Output:
	// true
	// announce http://tracker.test: not permitted: no tests here
}
