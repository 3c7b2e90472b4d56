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
)

// options are what the command line says.
type options struct {
	dir, listen string
	dirGiven    bool
	torrents    []string
	announce    []string
	peers       []string
	trackers    bool
	trust       bool
	maxUp       bytesFlag
	memory      bytesFlag
	encryption  string
	path        string
	wanted      []string // switched on, but not built yet
}

// config is the client's part of the options.
func (o *options) config() client.Config {
	return client.Config{
		Dir: o.dir, Listen: o.listen, Trackers: client.TrackerConfig{Off: !o.trackers},
		Memory: int64(o.memory), UploadLimit: int64(o.maxUp),
	}
}

// flagSet declares the flags. What is not built yet is off, and may be turned
// off; asking for it is noted in o.wanted.
func flagSet(o *options) *flag.FlagSet {
	fs := flag.NewFlagSet("seed", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are told in one line, by run
	fs.StringVar(&o.dir, "dir", ".", "`folder` that the data of -torrent lie in")
	fs.StringVar(&o.listen, "listen", "", "`address:port` for incoming connections; a range of ports is first-last (default: port 6881 to 6889, or any)")
	fs.Func("tracker", "announce to this `URL` too; may be repeated", func(s string) error {
		o.announce = append(o.announce, s)
		return checkTracker(s)
	})
	fs.Func("torrent", "seed this .torrent `file`; may be repeated", func(s string) error {
		o.torrents = append(o.torrents, s)
		return nil
	})
	fs.Func("peer", "`host:port` of a peer to connect to; may be repeated", func(s string) error {
		o.peers = append(o.peers, s)
		return checkPeer(s)
	})
	fs.BoolVar(&o.trust, "trust", false, "take the data for complete, without verifying them")
	fs.BoolVar(&o.trackers, "trackers", true, "announce to trackers")
	for _, f := range [][2]string{
		{"dht", "announce in the DHT"},
		{"lsd", "announce in the local network"},
		{"pex", "exchange peers with peers"},
		{"utp", "connect over uTP"},
	} {
		fs.BoolFunc(f[0], f[1]+" (not built yet)", o.notBuilt(f[0]))
	}
	fs.StringVar(&o.encryption, "encryption", "disable", "`mode` of connections: prefer, require or disable encryption (only disable is built yet)")
	fs.Var(&o.maxUp, "max-upload", "most bytes per second to upload: a `rate` like 500K or 2M; 0: no limit")
	fs.Var(&o.memory, "memory", "most bytes of payload to keep in memory: a `size` like 64M (default 64M)")
	return fs
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
	fs.Visit(func(f *flag.Flag) { o.dirGiven = o.dirGiven || f.Name == "dir" })
	if fs.NArg() > 1 {
		return nil, fmt.Errorf("%s: there is one PATH, behind the flags", fs.Arg(1))
	}
	o.path = fs.Arg(0)
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
	case o.memory != 0 && o.memory < client.MinMemory:
		return fmt.Errorf("-memory %d: it is at least 8M", o.memory)
	case o.path == "" && len(o.torrents) == 0:
		return errors.New("seed what? Name a file or folder, or -torrent files")
	case o.path != "" && len(o.torrents) > 1:
		return errors.New("PATH is the data of one -torrent; there are several")
	case o.path != "" && o.dirGiven:
		return errors.New("-dir and PATH both say where the data lie; use one of them")
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

// checkTracker refuses what can't be announced to.
func checkTracker(s string) error {
	for _, scheme := range []string{"http://", "https://", "udp://"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return nil
		}
	}
	return errors.New("it is no http, https or udp URL")
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
	fmt.Fprintln(w, "seed [flags] [-torrent FILE]... [PATH]")
	fs := flagSet(new(options))
	fs.SetOutput(w)
	fs.PrintDefaults()
}
