package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/seed1734be99/starling/tracker/server"
)

// allow makes the tracker one for the torrents of a file alone.
func allow(tracker *server.Server, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	hashes, err := readHashes(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	tracker.SetAllowed(hashes)
	return nil
}

// allowAgain reads the file again at each SIGHUP, where there is such a signal.
// A file that cannot be read leaves the list as it is.
func allowAgain(tracker *server.Server, file string, stderr io.Writer) (stop func()) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	var ended sync.WaitGroup
	ended.Go(func() {
		for range again {
			if err := allow(tracker, file); err != nil {
				fmt.Fprintln(stderr, "tracker:", err)
			}
		}
	})
	return func() {
		signal.Stop(again)
		close(again)
		ended.Wait()
	}
}

// readHashes reads infohashes in hexadecimal, one in a line. Of version 2's 32
// bytes trackers know the first 20. What follows a "#" is a comment.
func readHashes(r io.Reader) ([][20]byte, error) {
	hashes := [][20]byte{} // an empty file allows nothing
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != 20 && len(b) != 32 {
			return nil, fmt.Errorf("line %d: no infohash of 40 or 64 hexadecimal digits", n)
		}
		hashes = append(hashes, [20]byte(b[:20]))
	}
	return hashes, lines.Err()
}
