package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/seed1734be99/starling/metainfo"
)

// options are what the command line says.
type options struct {
	out          string
	pieceLength  bytesFlag
	trackers     []string
	webSeeds     []string
	private      bool
	v1, v2, both bool
	path         string
}

func flagSet(o *options) *flag.FlagSet {
	fs := flag.NewFlagSet("create", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are told in one line, by run
	fs.StringVar(&o.out, "o", "", "`file` to write (default NAME.torrent)")
	fs.Var(&o.pieceLength, "piece-length", "bytes in a piece: a `size` like 262144 or 256K; 0: chosen by the length of the data")
	fs.Func("tracker", "announce `URL`; may be repeated, each is tried after those before it", func(s string) error {
		o.trackers = append(o.trackers, s)
		return checkURL(s, "http://", "https://", "udp://")
	})
	fs.Func("webseed", "`URL` of a web server that has the data (BEP 19); may be repeated", func(s string) error {
		o.webSeeds = append(o.webSeeds, s)
		return checkURL(s, "http://", "https://", "ftp://")
	})
	fs.BoolVar(&o.private, "private", false, "only the torrent's trackers may name peers (BEP 27)")
	fs.BoolVar(&o.v1, "v1", false, "a torrent of version 1 (BEP 3), which is what is made without this too")
	fs.BoolVar(&o.v2, "v2", false, "a torrent of version 2 (BEP 52); not built yet")
	fs.BoolVar(&o.both, "hybrid", false, "a torrent of both versions (BEP 52); not built yet")
	return fs
}

// parseFlags reads the command line. flag.ErrHelp asks for usage.
func parseFlags(args []string) (*options, error) {
	o := new(options)
	fs := flagSet(o)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.path = fs.Arg(0)
	switch {
	case o.v2, o.both:
		return nil, errors.New("-v2, -hybrid: torrents of version 2 are not built yet; leave the flag out for version 1")
	case fs.NArg() == 0:
		return nil, errors.New("a torrent of what? Name a file or folder")
	case fs.NArg() > 1:
		return nil, fmt.Errorf("%s: there is one PATH, behind the flags", fs.Arg(1))
	case o.pieceLength > metainfo.MaxPieceLength:
		return nil, fmt.Errorf("-piece-length %d: it is at most %d", o.pieceLength, metainfo.MaxPieceLength)
	}
	return o, nil
}

func checkURL(s string, schemes ...string) error {
	for _, scheme := range schemes {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return nil
		}
	}
	return fmt.Errorf("it does not begin with %s", strings.Join(schemes, ", "))
}

// bytesFlag is a number of bytes, written with K, M or G for 1024, 1024² or
// 1024³ of them.
type bytesFlag int64

func (b *bytesFlag) String() string { return strconv.FormatInt(int64(*b), 10) }

// Set implements flag.Value.
func (b *bytesFlag) Set(s string) error {
	digits, shift := s, 0
	if n := len(s) - 1; n > 0 {
		if i := strings.IndexByte("KMG", s[n]&^0x20); i >= 0 {
			digits, shift = s[:n], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return errors.New("it is no number of bytes, such as 65536, 64K or 2M")
	}
	*b = bytesFlag(n << shift)
	return nil
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "create [flags] PATH")
	fs := flagSet(new(options))
	fs.SetOutput(w)
	fs.PrintDefaults()
}
