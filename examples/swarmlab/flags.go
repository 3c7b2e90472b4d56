package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seed1734be99/starling/choke/sim"
	"github.com/seed1734be99/starling/piece"
)

// options are what the command line says.
type options struct {
	peers, seeds, runs  int
	pieces, connections int
	pieceLength         sizeFlag
	up, seedUp          string // Mbit/s
	down                float64
	delay, stay         time.Duration
	arrival, freeRiders float64
	seed                uint64
	names, model, out   string
	order               string
	noAllowedFast       bool
	superSeed           bool

	scenario   sim.Scenario
	strategies []sim.Named
}

func flagSet(o *options) *flag.FlagSet {
	fs := flag.NewFlagSet("swarmlab", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are told in one line, by run
	var known []string
	for _, s := range sim.Bundled() {
		known = append(known, s.Name)
	}
	fs.IntVar(&o.peers, "peers", 100, "how many download")
	fs.IntVar(&o.seeds, "seeds", 1, "how many are complete from the start")
	fs.StringVar(&o.names, "strategy", "all", "`names` of strategies, separated by commas: "+strings.Join(known, ", ")+"; all: every one")
	fs.Float64Var(&o.freeRiders, "freeriders", 0, "`share` of the peers, 0 to 1, that never upload")
	fs.Uint64Var(&o.seed, "seed", 0, "`number` that makes another run of the same swarm")
	fs.StringVar(&o.out, "out", "", "`folder` for CSV files and pictures; empty: none")
	fs.IntVar(&o.runs, "runs", 1, "how many runs, with -seed and the numbers behind it")
	fs.IntVar(&o.pieces, "pieces", 400, "pieces of the file")
	o.pieceLength = 256 << 10
	fs.Var(&o.pieceLength, "piece-length", "bytes in a piece: a `size` like 262144 or 256K")
	fs.StringVar(&o.up, "up", "1", "`Mbit/s` that a peer can send; several, separated by commas, make classes of equal size")
	fs.StringVar(&o.seedUp, "seed-up", "1", "`Mbit/s` that a seed can send")
	fs.Float64Var(&o.down, "down", 8, "`Mbit/s` that anybody can receive")
	fs.DurationVar(&o.delay, "delay", 50*time.Millisecond, "`time` that a message takes one way")
	fs.IntVar(&o.connections, "connections", 40, "that each peer has")
	fs.Float64Var(&o.arrival, "arrival", 0, "`peers` that come each second; 0: all are there from the start")
	fs.DurationVar(&o.stay, "stay", 0, "`time` that a peer stays once it is complete; 0: to the end; negative: not at all")
	fs.StringVar(&o.model, "model", "flow", "flow, for up to ten thousand peers and more, or full, the real thing for a hundred")
	fs.StringVar(&o.order, "order", "rarest", "the `order` in which pieces are begun: rarest, random or sequential")
	fs.BoolVar(&o.superSeed, "super-seed", false, "in the model full, seeds show each peer one piece at a time (BEP 16)")
	fs.BoolVar(&o.noAllowedFast, "no-allowed-fast", false, "in the model full, make no use of allowed-fast sets (BEP 6)")
	return fs
}

// parseFlags reads the command line. flag.ErrHelp asks for usage.
func parseFlags(args []string) (*options, error) {
	o := new(options)
	fs := flagSet(o)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.runs < 1 || o.runs > 10_000 {
		return nil, fmt.Errorf("-runs: %d is not between 1 and 10,000", o.runs)
	}
	if !(o.freeRiders >= 0 && o.freeRiders <= 1) {
		return nil, fmt.Errorf("-freeriders: %v is not between 0 and 1", o.freeRiders)
	}
	for name := range strings.SplitSeq(o.names, ",") {
		found := false
		for _, s := range sim.Bundled() {
			if s.Name == name || name == "all" {
				o.strategies = append(o.strategies, s)
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("-strategy: there is no %q; -h lists them", name)
		}
	}
	return o, o.build()
}

// build makes the scenario.
func (o *options) build() error {
	o.scenario = sim.Scenario{Pieces: o.pieces, PieceLength: int64(o.pieceLength), Connections: o.connections, ArrivalRate: o.arrival, Seed: o.seed, NoAllowedFast: o.noAllowedFast}
	switch o.model {
	case "flow":
	case "full":
		o.scenario.Model = sim.Full
	default:
		return fmt.Errorf("-model: %q is neither flow nor full", o.model)
	}
	var order piece.Strategy
	switch o.order {
	case "rarest":
	case "random":
		order = piece.RandomOrder{}
	case "sequential":
		order = piece.InOrder{}
	default:
		return fmt.Errorf("-order: %q is neither rarest, random nor sequential", o.order)
	}
	seedUp, err := mbit(o.seedUp)
	if err != nil {
		return fmt.Errorf("-seed-up: %w", err)
	}
	class := sim.Class{Name: "seed", Count: o.seeds, Up: seedUp, Down: int64(o.down * 125_000), Delay: o.delay, Seed: true, SuperSeed: o.superSeed}
	if o.delay == 0 {
		class.Delay = -1 // none
	}
	o.scenario.Classes = append(o.scenario.Classes, class)
	class.Seed, class.SuperSeed, class.SeedTime, class.Order = false, false, o.stay, order
	ups := strings.Split(o.up, ",")
	for i, text := range ups {
		if class.Up, err = mbit(text); err != nil {
			return fmt.Errorf("-up: %w", err)
		}
		class.Name = "leech"
		if len(ups) > 1 {
			class.Name = text + " Mbit/s"
		}
		class.Count = (o.peers*(i+1))/len(ups) - o.peers*i/len(ups)
		o.scenario.Classes = append(o.scenario.Classes, class)
	}
	o.scenario = o.scenario.WithFreeRiders(o.freeRiders)
	_, err = o.scenario.Bound()
	return err
}

// describe is the scenario in a line.
func (o *options) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "model %s: %d peers of %s Mbit/s up, %d seeds of %s, %v down; %d pieces of %v KiB; %d connections, %v", o.model, o.peers, o.up, o.seeds, o.seedUp, o.down,
		o.pieces, float64(o.pieceLength)/1024, o.connections, o.delay)
	if o.arrival > 0 {
		fmt.Fprintf(&b, "; %v peers come each second", o.arrival)
	}
	switch {
	case o.stay < 0:
		b.WriteString("; who is complete leaves")
	case o.stay > 0:
		fmt.Fprintf(&b, "; who is complete leaves after %v", o.stay)
	}
	if o.freeRiders > 0 {
		fmt.Fprintf(&b, "; %.0f %% free-riders", 100*o.freeRiders)
	}
	if o.order != "rarest" {
		fmt.Fprintf(&b, "; order %s", o.order)
	}
	if o.superSeed {
		b.WriteString("; super-seeding")
	}
	if o.noAllowedFast && o.model == "full" {
		b.WriteString("; no allowed-fast sets")
	}
	if o.runs > 1 {
		fmt.Fprintf(&b, "; %d runs", o.runs)
	}
	return b.String()
}

// mbit reads a rate in Mbit/s and returns bytes per second.
func mbit(text string) (int64, error) {
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(x > 0 && x < 1e6) {
		return 0, fmt.Errorf("%q is not a rate in Mbit/s", text)
	}
	return int64(math.Round(x * 125_000)), nil
}

// sizeFlag is bytes, with an optional K, M or G (1024s).
type sizeFlag int64

// String implements flag.Value.
func (s *sizeFlag) String() string { return strconv.FormatInt(int64(*s), 10) }

// Set implements flag.Value.
func (s *sizeFlag) Set(text string) error {
	shift := 0
	if n := len(text); n > 0 {
		if at := strings.IndexByte("KMG", text[n-1]); at >= 0 {
			shift, text = 10*(at+1), text[:n-1]
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1<<30>>shift {
		return errors.New("not a size up to 1G")
	}
	*s = sizeFlag(n << shift)
	return nil
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "swarmlab [flags]")
	fs := flagSet(new(options))
	fs.SetOutput(w)
	fs.PrintDefaults()
}
