// Command tracker runs a BitTorrent tracker that keeps everything in memory.
//
//	tracker [-http ADDR] [-udp ADDR]
//
// It prints its announce URL, tracks every torrent that is announced to it, and
// runs until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed1734be99/starling/tracker/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("tracker", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told in one line
	httpAddr := flags.String("http", ":6969", "`address` to answer HTTP announces and scrapes on")
	udpAddr := flags.String("udp", "", "`address` to answer UDP announces on (not built yet)")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "tracker [flags]")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "tracker:", err)
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "tracker: unexpected argument %q\n", flags.Arg(0))
		return 2
	case *udpAddr != "":
		fmt.Fprintln(stderr, "tracker: -udp: announces over UDP are not built yet; use -http alone")
		return 2
	}
	if err := serve(ctx, *httpAddr, stdout); err != nil {
		fmt.Fprintln(stderr, "tracker:", err)
		return 1
	}
	return 0
}

// serve answers on an address until ctx ends, then finishes what is under way.
func serve(ctx context.Context, addr string, stdout io.Writer) error {
	tracker, err := server.New(server.Config{})
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           tracker,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	fmt.Fprintf(stdout, "tracker: listening on %s\nannounce URL: %s\n", listener.Addr(), announceURL(listener.Addr()))

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	<-ended
	stats := tracker.Stats()
	fmt.Fprintf(stdout, "tracker: stopped after %d announces and %d scrapes\n", stats.Announces, stats.Scrapes)
	return nil
}

// announceURL returns a URL that works at least on this machine.
func announceURL(a net.Addr) string {
	host := a.String()
	if ap, err := netip.ParseAddrPort(host); err == nil && ap.Addr().IsUnspecified() {
		host = fmt.Sprintf("127.0.0.1:%d", ap.Port())
	}
	return "http://" + host + "/announce"
}
