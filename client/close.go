package client

import (
	"context"
	"errors"
	"sync"
)

// Close ends the client: no new work, peers closed, trackers told, pieces
// written, files closed; in this order, within seconds. It may be called more
// than once: later calls wait for the first and return what it does.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		<-c.closed
		return c.closeErr
	}
	c.closing = true // Add refuses from here on
	list := append([]*Torrent(nil), c.list...)
	c.mu.Unlock()

	c.cancel(ErrClosed) // dials, announces, the scheduler
	if c.own.listener != nil {
		c.own.listener.Close()
	}
	c.group.Close()
	c.closeErr = c.shut(list, ErrClosed, false)
	c.disk.Close() // every job is done now
	c.trackers.CloseIdleConnections()
	if c.cfg.HTTPClient == nil {
		c.http.CloseIdleConnections()
	}
	c.udp.close()
	c.hurry()
	close(c.closed)
	return c.closeErr
}

// shut closes torrents side by side: peers first, so that the counters are
// final; then the trackers are told while the disk workers finish; then the
// files. The wait for dead trackers is the same for one torrent and for
// thousands.
func (c *Client) shut(list []*Torrent, reason error, deleteData bool) error {
	ctx, cancel := context.WithTimeout(c.farewell, goodbyeTime)
	defer cancel()
	mine := make([]bool, len(list))
	each(len(list), func(i int) { mine[i] = list[i].life.quiet(reason) })
	var quiet []*Torrent
	var trackers []*announcing
	for i, t := range list {
		if mine[i] { // else somebody else closes it
			quiet = append(quiet, t)
			trackers = append(trackers, &t.trackers)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c.goodbye(ctx, trackers...)
		for _, a := range trackers {
			a.leaving.Close() // of a pause before: no longer than the farewell
		}
	})
	errs := make([]error, len(quiet))
	each(len(quiet), func(i int) { errs[i] = quiet[i].life.flush(deleteData) })
	wg.Wait()
	for _, t := range quiet {
		t.life.ended()
	}
	return errors.Join(errs...)
}

// each calls f for 0 to n-1, some at a time.
func each(n int, f func(i int)) {
	const atOnce = 128
	sem := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			f(i)
		})
	}
	wg.Wait()
}

// DeleteData, given to Remove, deletes the torrent's files too.
const DeleteData = true

// Remove takes a torrent out of the client and returns when its connections
// and files are closed. With DeleteData its own files are deleted, and folders
// that became empty.
func (c *Client) Remove(t *Torrent, deleteData ...bool) error {
	c.mu.Lock()
	mine, closing := c.torrents[t.hashes.Wire()] == t, c.closing
	done := make(chan error, 1)
	if mine && !closing {
		c.forgetLocked(t)
		c.group.Go(func() { done <- c.shut([]*Torrent{t}, ErrRemoved, len(deleteData) > 0 && deleteData[0]) }) // Close waits for it
	}
	c.mu.Unlock()
	switch {
	case closing:
		return ErrClosed
	case !mine:
		return ErrRemoved
	}
	return <-done
}
