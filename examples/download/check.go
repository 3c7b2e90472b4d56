package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/seed1734be99/starling/client"
)

// check verifies what lies in -dir, says what is complete, and returns nil
// only if all of it is. It needs no network.
func check(ctx context.Context, o *options, show display) (err error) {
	for _, w := range o.what {
		if isMagnet(w) || isURL(w) {
			return errors.New("-check: it needs no network; name a .torrent file")
		}
	}
	sources, err := open(o.what)
	if err != nil {
		return err
	}
	cfg := o.config()
	cfg.Listen, cfg.Trackers.Off = "none", true
	o.peers = nil
	c, err := client.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, c.Close()) }()
	list, err := addAll(ctx, c, o, sources)
	if err != nil {
		return err
	}
	show.begin(rowsOf(list))
	errs := make([]error, len(list))
	for i, t := range list {
		errs[i] = verify(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		show.files(row{Torrent: t})
	}
	return oneLine(errs)
}

// verify waits for a torrent's check and fails if anything is missing.
func verify(ctx context.Context, t *client.Torrent) error {
	st, err := checked(ctx, t)
	if err == nil && st.Left > 0 {
		err = fmt.Errorf("%s: %d of %d pieces are missing or damaged", st.Name, st.Pieces-st.Have, st.Pieces)
	}
	return err
}
