// Command tracker runs a BitTorrent tracker that keeps everything in memory.
//
//	tracker [-http ADDR] [-udp ADDR] [-interval TIME] [-allow FILE] [-natcheck] [-peer-ids=false]
//
// It answers announces and scrapes over HTTP and UDP, over IPv4 and IPv6, until
// it is interrupted; by default on port 6969. UDP is on the address of HTTP unless
// -udp says otherwise. An empty address turns its protocol off. It prints its announce URLs, and has its numbers at /metrics in
// the text form that Prometheus reads.
//
// It tracks every torrent that is announced to it, unless -allow names a file
// with infohashes in hexadecimal, one in a line; SIGHUP reads the file again.
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
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed1734be99/starling/tracker/server"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40) // the heap is peers, which stay: room for as much garbage would double it
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// sameAddress as the address of UDP is that of HTTP.
const sameAddress = "same"

// options is what the command line says.
type options struct {
	http, udp string
	allow     string
	config    server.Config
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("tracker", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told in one line
	var o options
	flags.StringVar(&o.http, "http", ":6969", "`address` to answer HTTP on; empty: none")
	flags.StringVar(&o.udp, "udp", sameAddress, "`address` to answer UDP on, \"same\" as HTTP; empty: none")
	flags.DurationVar(&o.config.Interval, "interval", 30*time.Minute, "how often peers are to announce")
	flags.StringVar(&o.allow, "allow", "", "`file` with the infohashes that are tracked; empty: all are")
	flags.BoolVar(&o.config.NATCheck, "natcheck", false, "connect back to peers and refuse those that can't be reached")
	peerIDs := flags.Bool("peer-ids", true, "keep peer ids, which only answers that are not compact have; 20 bytes a peer")
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
	case o.http == "" && (o.udp == "" || o.udp == sameAddress):
		fmt.Fprintln(stderr, "tracker: -http and -udp are both off")
		return 2
	}
	o.config.NoPeerIDs = !*peerIDs
	if err := serve(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "tracker:", err)
		return 1
	}
	return 0
}

// serve answers until ctx ends, then finishes what is under way.
func serve(ctx context.Context, o options, stdout, stderr io.Writer) error {
	tracker, err := server.New(o.config)
	if err != nil {
		return err
	}
	if o.allow != "" {
		if err := allow(tracker, o.allow); err != nil {
			return err
		}
		stop := allowAgain(tracker, o.allow, stderr)
		defer stop()
	}
	running := make(chan error, 2)
	var addresses strings.Builder // told when all are bound
	var closers []func()
	stopAll := func() {
		for _, c := range closers {
			c()
		}
	}
	if o.http != "" {
		addr, stop, err := serveHTTP(ctx, tracker, o.http, running)
		if err != nil {
			return err
		}
		closers = append(closers, stop)
		if o.udp == sameAddress {
			o.udp = addr.String()
		}
		fmt.Fprintf(&addresses, "tracker: listening on %s\nannounce URL: %s\n", addr, announceURL("http", addr))
	}
	if o.udp != "" {
		addr, stop, err := serveUDP(ctx, tracker, o.udp, running)
		if err != nil {
			stopAll()
			return err
		}
		closers = append(closers, stop)
		fmt.Fprintf(&addresses, "tracker: listening on %s, UDP\nannounce URL: %s\n", addr, announceURL("udp", addr))
	}
	io.WriteString(stdout, addresses.String())
	select {
	case err = <-running:
	case <-ctx.Done():
	}
	stopAll()
	stats := tracker.Stats()
	fmt.Fprintf(stdout, "tracker: stopped after %d announces and %d scrapes\n",
		stats.HTTP.Announces+stats.UDP.Announces, stats.HTTP.Scrapes+stats.UDP.Scrapes)
	return err
}

// serveHTTP answers HTTP in the background. stop waits for what is under way.
func serveHTTP(ctx context.Context, tracker *server.Server, addr string, failed chan<- error) (on net.Addr, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", tracker)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		writeMetrics(w, tracker.Stats())
	})
	srv := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return listener.Addr(), func() {
		grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
		<-ended
	}, nil
}

// serveUDP answers UDP in the background, on all CPUs.
func serveUDP(ctx context.Context, tracker *server.Server, addr string, failed chan<- error) (on net.Addr, stop func(), err error) {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", addr)
	if err != nil {
		return nil, nil, err
	}
	if c, ok := conn.(*net.UDPConn); ok {
		c.SetReadBuffer(4 << 20) // a burst should not be lost; the system may allow less
	}
	var readers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			if err := tracker.ServeUDP(conn); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	return conn.LocalAddr(), func() {
		conn.Close()
		readers.Wait()
	}, nil
}

// announceURL returns a URL that works at least on this machine.
func announceURL(scheme string, a net.Addr) string {
	host := a.String()
	if ap, err := netip.ParseAddrPort(host); err == nil && ap.Addr().IsUnspecified() {
		host = fmt.Sprintf("127.0.0.1:%d", ap.Port())
	}
	return scheme + "://" + host + "/announce"
}
