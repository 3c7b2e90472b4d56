package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed1734be99/starling/storage"
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
			errs[i] = t.shutWithin(ctx, reason, false)
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
	mine := c.torrents[t.hashes.Wire()] == t
	c.mu.Unlock()
	if !mine {
		return ErrRemoved
	}
	c.forget(t)
	return t.shut(ErrRemoved, len(deleteData) > 0 && deleteData[0])
}

func (t *Torrent) shut(reason error, deleteData bool) error {
	ctx, cancel := context.WithTimeout(t.c.farewell, goodbyeTime)
	defer cancel()
	return t.shutWithin(ctx, reason, deleteData)
}

// shutWithin closes one torrent: peers first, so that the counters are final;
// then the trackers are told while the disk workers finish; then the files.
func (t *Torrent) shutWithin(ctx context.Context, reason error, deleteData bool) error {
	t.mu.Lock()
	if t.gone != nil {
		t.mu.Unlock()
		return nil
	}
	t.gone = reason
	data := t.data
	t.mu.Unlock()
	t.cancel()
	t.c.clock.drop(&t.clock)
	t.trackers.Stop(time.Now())
	t.halt(reason)
	t.group.Close()
	var wg sync.WaitGroup
	wg.Go(func() { t.goodbye(ctx) })
	err := t.flush(data, deleteData)
	wg.Wait()
	t.changedState()
	t.events.close()
	return err
}

// flush lets the disk workers finish what is queued, and closes the files.
func (t *Torrent) flush(data storage.Torrent, deleteData bool) error {
	t.g.Drain(deleteData)
	if data == nil {
		return nil
	}
	if r, ok := data.(storage.Remover); ok && deleteData {
		return r.Remove()
	}
	return data.Close()
}
