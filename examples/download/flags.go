package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/piece"
)

// options are what the command line says.
type options struct {
	dir, listen      string
	peers            []string
	trackers         bool
	seed, check      bool
	maxDown, maxUp   bytesFlag
	memory           bytesFlag
	quiet, json      bool
	what             []string
	encryption, glob string
	sequential       bool
	wanted           []string // switched on, but not built yet
}

// config is the client's part of the options.
func (o *options) config() client.Config {
	return client.Config{
		Dir: o.dir, Listen: o.listen, Trackers: client.TrackerConfig{Off: !o.trackers}, Memory: int64(o.memory),
		DownloadLimit: int64(o.maxDown), UploadLimit: int64(o.maxUp),
	}
}

// flagSet declares the flags. What is not built yet is off, and may be turned
// off; asking for it is noted in o.wanted.
func flagSet(o *options) *flag.FlagSet {
	fs := flag.NewFlagSet("download", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are told in one line, by run
	fs.StringVar(&o.dir, "dir", ".", "`folder` to save in")
	fs.StringVar(&o.listen, "listen", "", "`address:port` for incoming connections; a range of ports is first-last (default: port 6881 to 6889, or any)")
	fs.Func("peer", "`host:port` of a peer to connect to; may be repeated", func(s string) error {
		o.peers = append(o.peers, s)
		return checkPeer(s)
	})
	fs.BoolVar(&o.trackers, "trackers", true, "ask the torrent's trackers for peers")
	for _, f := range [][2]string{
		{"dht", "find peers in the DHT"},
		{"lsd", "find peers in the local network"},
		{"pex", "exchange peers with peers"},
		{"utp", "connect over uTP"},
	} {
		fs.BoolFunc(f[0], f[1]+" (not built yet)", o.notBuilt(f[0]))
	}
	fs.StringVar(&o.encryption, "encryption", "disable", "`mode` of connections: prefer, require or disable encryption (only disable is built yet)")
	fs.BoolVar(&o.seed, "seed", false, "go on seeding when all is complete, until interrupted")
	fs.BoolVar(&o.check, "check", false, "only verify what -dir holds; needs no network")
	fs.StringVar(&o.glob, "select", "", "download only the files that `glob` matches (not built yet)")
	fs.BoolVar(&o.sequential, "sequential", false, "download pieces in their order")
	fs.Var(&o.maxDown, "max-download", "most bytes per second to download: a `rate` like 500K or 2M; 0: no limit")
	fs.Var(&o.maxUp, "max-upload", "most bytes per second to upload: a `rate` like 500K or 2M; 0: no limit")
	fs.Var(&o.memory, "memory", "most bytes of payload to keep in memory: a `size` like 64M (default 64M)")
	fs.BoolVar(&o.quiet, "quiet", false, "print nothing but errors")
	fs.BoolVar(&o.json, "json", false, "print what happens as JSON, one object a line")
	return fs
}

// order is the rule by which pieces are begun; nil: the default.
func (o *options) order() piece.Strategy {
	if o.sequential {
		return piece.InOrder{}
	}
	return nil
}

func (o *options) notBuilt(name string) func(string) error {
	return func(s string) error {
		on, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("it is neither true nor false")
		}
		if on {
			o.wanted = append(o.wanted, name)
		}
		return nil
	}
}

// parseFlags reads the command line. flag.ErrHelp asks for usage.
func parseFlags(args []string) (*options, error) {
	o := new(options)
	fs := flagSet(o)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	o.what = fs.Args()
	onlyShow := true // no flag but those of the display
	fs.Visit(func(f *flag.Flag) { onlyShow = onlyShow && (f.Name == "quiet" || f.Name == "json") })
	if len(o.what) == 0 && !onlyShow {
		return nil, errors.New("which torrent? Name a .torrent file, a URL or a magnet link behind the flags")
	}
	return o, o.validate()
}

// validate refuses what is not built yet, and what contradicts itself.
func (o *options) validate() error {
	switch {
	case len(o.wanted) > 0:
		return fmt.Errorf("-%s: this is not built yet; leave it out, or turn it off with -%s=false", o.wanted[0], o.wanted[0])
	case o.encryption == "prefer" || o.encryption == "require":
		return fmt.Errorf("-encryption %s: encrypted connections are not built yet; use -encryption disable", o.encryption)
	case o.encryption != "disable":
		return fmt.Errorf("-encryption %s: it is prefer, require or disable", o.encryption)
	case o.glob != "":
		return errors.New("-select: choosing files is not built yet; leave it out to download all of them")
	case o.memory != 0 && o.memory < client.MinMemory:
		return fmt.Errorf("-memory %d: it is at least 8M", o.memory)
	case o.dir == "":
		return errors.New("-dir: it names no folder")
	case o.quiet && o.json:
		return errors.New("-quiet and -json exclude each other")
	case o.check && o.seed:
		return errors.New("-check and -seed exclude each other")
	}
	for _, w := range o.what {
		if strings.HasPrefix(w, "-") {
			return fmt.Errorf("%s: flags go before the torrents", w)
		}
	}
	return nil
}

// checkPeer refuses what is no host:port.
func checkPeer(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("it is no host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return errors.New("it is no host:port")
	}
	return nil
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
	fmt.Fprintln(w, "download [flags] FILE.torrent|URL|MAGNET...\nWithout an argument: a whole swarm on this machine, to look at.")
	fs := flagSet(new(options))
	fs.SetOutput(w)
	fs.PrintDefaults()
}
