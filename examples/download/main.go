// Command download fetches torrents.
//
//	download [flags] FILE.torrent|URL|MAGNET...
//
// It ends with exit code 0 when all of them are complete and verified, and
// otherwise with one line on standard error. Interrupted, it stops cleanly
// with exit code 130; started again, it goes on with what is there.
//
// Without an argument it runs a whole swarm by itself, on loopback and with
// sample data of its own, and shows it at work.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it for SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout)
		return 0
	case err != nil:
		complain(stderr, err)
		return exitUsage
	}
	show := newDisplay(o, stdout)
	err = act(ctx, o, show)
	interrupted := ctx.Err() != nil && errors.Is(err, context.Canceled)
	if interrupted {
		err = errors.New("interrupted; what is complete is kept")
	}
	show.close(err)
	switch {
	case err == nil:
		return 0
	case interrupted:
		complain(stderr, err)
		return exitInterrupted
	}
	complain(stderr, err)
	return exitFailed
}

// act does what the options ask for.
func act(ctx context.Context, o *options, show display) error {
	switch {
	case o.check:
		return check(ctx, o, show)
	case len(o.what) == 0:
		return demo(ctx, show)
	}
	return download(ctx, o, show)
}

// complain writes an error as one line, whatever is in its text: names of
// files and torrents come from strangers.
func complain(w io.Writer, err error) {
	fmt.Fprintf(w, "download: %s\n", printable(text(err)))
}
