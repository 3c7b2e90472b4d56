package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
)

// download fetches what o names, and returns nil when all is complete.
func download(ctx context.Context, o *options, show display) (err error) {
	sources, err := open(o.what)
	if err != nil {
		return err
	}
	c, err := client.New(o.config())
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, c.Close()) }()
	list, err := addAll(ctx, c, o, sources)
	if err != nil {
		return err
	}
	show.begin(rowsOf(list))
	if err := waitAll(ctx, o, list); err != nil {
		return err
	}
	if o.seed {
		show.say("all is complete; seeding until interrupted")
		<-ctx.Done()
	}
	return nil
}

// A source is an argument: a .torrent that is read, or a link.
type source struct {
	meta *metainfo.MetaInfo
	link string
}

// open reads the files among the arguments before anything is begun.
func open(what []string) ([]source, error) {
	sources := make([]source, len(what))
	for i, w := range what {
		switch {
		case isURL(w):
			sources[i].link = w
		case isMagnet(w):
			if _, err := metainfo.ParseMagnet(w); err != nil {
				return nil, err
			}
			sources[i].link = w
		default:
			m, err := metainfo.LoadFile(w)
			if err != nil {
				return nil, err
			}
			sources[i].meta = m
		}
	}
	return sources, nil
}

func isMagnet(s string) bool { return hasScheme(s, "magnet:") }
func isURL(s string) bool    { return hasScheme(s, "http:") || hasScheme(s, "https:") }

// hasScheme ignores case, as RFC 3986 says.
func hasScheme(s, scheme string) bool {
	return len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme)
}

// addAll adds every source; one that is named twice counts once.
func addAll(ctx context.Context, c *client.Client, o *options, sources []source) ([]*client.Torrent, error) {
	var list []*client.Torrent
	for _, s := range sources {
		t, err := add(ctx, c, o, s)
		if err != nil && !errors.Is(err, client.ErrExists) {
			return nil, err
		}
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list, nil
}

func add(ctx context.Context, c *client.Client, o *options, s source) (*client.Torrent, error) {
	switch {
	case s.meta != nil:
		return c.Add(client.Spec{MetaInfo: s.meta, Peers: o.peers, Order: o.order()})
	case isURL(s.link):
		t, err := c.AddURL(ctx, s.link)
		if t != nil {
			t.AddPeers(o.peers...)
		}
		return t, err
	}
	return c.Add(client.Spec{Magnet: s.link, Peers: o.peers, Order: o.order()})
}

// waitAll waits for all torrents side by side. What befalls one doesn't stop
// the others.
func waitAll(ctx context.Context, o *options, list []*client.Torrent) error {
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, t := range list {
		wg.Go(func() { errs[i] = wait(ctx, o, t) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return oneLine(errs)
}

// wait returns nil when a torrent is complete.
func wait(ctx context.Context, o *options, t *client.Torrent) error {
	st, err := checked(ctx, t)
	if err != nil {
		return err
	}
	if st.Left > 0 {
		// Known before the first byte arrives, which may take long.
		if err := writable(o.dir); err != nil {
			return err
		}
	}
	return t.Wait(ctx)
}

// checked waits until the metadata is known and what lies on disk is verified.
func checked(ctx context.Context, t *client.Torrent) (client.Stats, error) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		st := t.Stats()
		switch st.State {
		case client.Faulted:
			return st, st.Fault
		case client.NoInfo, client.Checking:
		default:
			return st, nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return st, ctx.Err()
		}
	}
}

// writable makes the folder and tries whether files can be made in it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".starling-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// oneLine makes one error of several.
func oneLine(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w (and %d more torrents failed)", errs[0], len(errs)-1)
}
