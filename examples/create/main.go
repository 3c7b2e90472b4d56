// Command create makes a .torrent of a file or a folder.
//
//	create [flags] PATH
//
// It writes NAME.torrent into the current folder, or what -o says, and prints
// the torrent's infohash and magnet link. It never overwrites a file.
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
	"unicode"
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
	switch err := create(ctx, o, stdout); {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		complain(stderr, errors.New("interrupted; nothing was written"))
		return exitInterrupted
	default:
		complain(stderr, err)
		return exitFailed
	}
}

// complain writes an error as one line, whatever is in its text.
func complain(w io.Writer, err error) {
	fmt.Fprintf(w, "create: %s\n", printable(strings.TrimPrefix(err.Error(), "metainfo: ")))
}

// printable escapes what a terminal would not show as it is: names of files
// may hold control characters.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
