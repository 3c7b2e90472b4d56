package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
)

// seed offers what o names until ctx ends, which is no error.
func seed(ctx context.Context, o *options, stdout io.Writer) (err error) {
	specs, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	c, err := client.New(o.config())
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, c.Close()) }()
	list, err := addAll(c, specs)
	if err != nil {
		return err
	}
	for _, t := range list {
		fmt.Fprintln(stdout, t.Magnet())
	}
	for _, t := range list {
		if err := complete(ctx, t); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "seeding %s %s\n", printable(t.Name()), where(o, c))
	}
	err = watch(ctx, list)
	for _, t := range list {
		fmt.Fprintf(stdout, "uploaded %d bytes of %s\n", t.Stats().Uploaded, printable(t.Name()))
	}
	return err
}

// where says how others can connect.
func where(o *options, c *client.Client) string {
	if c.Port() == 0 {
		return "to those we connect to"
	}
	host, _, _ := net.SplitHostPort(o.listen)
	return "on " + net.JoinHostPort(host, strconv.Itoa(c.Port()))
}

// prepare reads or makes the torrents before anything is begun.
func prepare(ctx context.Context, o *options) ([]client.Spec, error) {
	if len(o.torrents) == 0 {
		m, err := metainfo.Build(ctx, o.path, metainfo.BuildOptions{Trackers: tiers(o.announce)})
		if err != nil {
			return nil, err
		}
		// Hashed a moment ago: no need to do it again.
		return []client.Spec{{MetaInfo: m, Dir: parent(o.path), Peers: o.peers, Trust: true}}, nil
	}
	specs := make([]client.Spec, len(o.torrents))
	for i, file := range o.torrents {
		m, err := metainfo.LoadFile(file)
		if err != nil {
			return nil, err
		}
		specs[i] = client.Spec{MetaInfo: m, Trackers: tiers(o.announce), Peers: o.peers, Trust: o.trust}
	}
	if o.path != "" {
		name := specs[0].MetaInfo.Info.Name
		if base := baseName(o.path); base != name {
			return nil, fmt.Errorf("%s is named %q, but the torrent's data must be named %q", o.path, base, name)
		}
		specs[0].Dir = parent(o.path)
	}
	return specs, nil
}

// tiers makes each tracker a tier of its own: all are tried in their order.
func tiers(urls []string) [][]string {
	var ts [][]string
	for _, u := range urls {
		ts = append(ts, []string{u})
	}
	return ts
}

// baseName and parent look at the absolute path, so that "." has a name.
func baseName(path string) string { return filepath.Base(absolute(path)) }
func parent(path string) string   { return filepath.Dir(absolute(path)) }

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func addAll(c *client.Client, specs []client.Spec) ([]*client.Torrent, error) {
	var list []*client.Torrent
	for _, s := range specs {
		t, err := c.Add(s)
		if errors.Is(err, client.ErrExists) { // named twice
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// complete waits for the check of the data, and fails if they are not all there.
func complete(ctx context.Context, t *client.Torrent) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		switch st := t.Stats(); {
		case st.State == client.Faulted:
			return st.Fault
		case st.State == client.Checking:
		case st.Left > 0:
			return fmt.Errorf("%s: %d of %d pieces are missing or damaged in the data", st.Name, st.Pieces-st.Have, st.Pieces)
		default:
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch returns when ctx ends, or when a torrent can't be seeded any more.
func watch(ctx context.Context, list []*client.Torrent) error {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
		for _, t := range list {
			if st := t.Stats(); st.State == client.Faulted {
				return st.Fault
			}
		}
	}
}

// printable escapes what a terminal would not show as it is.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
