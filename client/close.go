package client

import (
	"context"
	"errors"
	"sync"
	"time"
)

// goodbyeTime bounds the announces of "stopped" (T4).
const goodbyeTime = 5 * time.Second

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
	if c.listener != nil {
		c.listener.Close()
	}
	c.group.Close()
	c.closeErr = c.shutAll(list, ErrClosed)
	c.disk.Close() // every job is done now
	if c.cfg.HTTPClient == nil {
		c.http.CloseIdleConnections()
	}
	c.hurry()
	close(c.closed)
	return c.closeErr
}

// shutAll closes torrents side by side: the wait for dead trackers is the
// same for one and for thousands.
func (c *Client) shutAll(list []*Torrent, reason error) error {
	errs := make([]error, len(list))
	sem := make(chan struct{}, 4*announcesAtOnce)
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(c.farewell, goodbyeTime)
	defer cancel()
	for i, t := range list {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			errs[i] = t.life.shut(ctx, reason, false)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
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
		c.group.Go(func() { done <- c.shut(t, ErrRemoved, len(deleteData) > 0 && deleteData[0]) }) // Close waits for it
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

func (c *Client) shut(t *Torrent, reason error, deleteData bool) error {
	ctx, cancel := context.WithTimeout(c.farewell, goodbyeTime)
	defer cancel()
	return t.life.shut(ctx, reason, deleteData)
}
