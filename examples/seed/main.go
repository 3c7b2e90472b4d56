// Command seed offers files to others until it is interrupted.
//
//	seed [flags] PATH                      makes a torrent of a file or folder
//	seed [flags] -torrent FILE...          seeds data that lie in -dir
//	seed [flags] -torrent FILE PATH        seeds the data at PATH
//
// It prints a magnet link for each torrent. The data are verified first,
// unless -trust says that they are known to be complete; it ends with one line
// on standard error if they are not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // before there was anything to seed
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
	switch err := seed(ctx, o, stdout); {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		complain(stderr, errors.New("interrupted"))
		return exitInterrupted
	default:
		complain(stderr, err)
		return exitFailed
	}
}

// complain writes an error as one line, whatever is in its text.
func complain(w io.Writer, err error) {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "client: "), "metainfo: ")
	fmt.Fprintf(w, "seed: %s\n", printable(text))
}
