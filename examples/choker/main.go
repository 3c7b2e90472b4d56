// Command choker shows how a choking strategy of one's own is made, tried, and used.
//
//	choker [-peers N]
//
// The strategy is in proportional.go. First it is compared with the bundled ones in simulated swarms: when everybody
// uses it, when one peer in ten does, and how long free-riders wait. Then it runs in a real client that downloads a
// file from a seed on this machine, and passes it on to a second one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/choke/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("choker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	peers := flags.Int("peers", 50, "in the simulated swarms")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "choker: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if err := compare(ctx, *peers, stdout); err != nil {
		fmt.Fprintln(stderr, "choker:", err)
		return 1
	}
	if err := download(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, "choker:", err)
		return 1
	}
	return 0
}

// compare prints how swarms do with our strategy and with the bundled ones.
func compare(ctx context.Context, peers int, stdout io.Writer) error {
	swarm := sim.FlashCrowd(peers)
	swarm.Pieces = 200
	for i := range swarm.Classes {
		swarm.Classes[i].KnownLimit = true // as Config.UploadLimit does in a client
	}
	swarm.Classes[0].Up *= 4                     // so that the seed is not what everybody waits for
	swarm.Classes[1].SeedTime = 30 * time.Second // those that are complete leave soon
	fmt.Fprintf(stdout, "%d simulated peers and a seed; completion in units of the least that is possible\n\n", peers)
	fmt.Fprintf(stdout, "%-20s %10s %10s %16s %24s\n", "strategy", "mean", "last", "1 in 10: mean", "free-riders wait")
	strategies := append(sim.Bundled(), sim.Named{Name: "proportional", New: newProportional})
	for _, s := range strategies {
		all, err := sim.Run(ctx, swarm.With(s.New))
		if err != nil {
			return err
		}
		few, err := sim.Run(ctx, swarm.WithShare(0.1, "few", func(c *sim.Class) { c.Strategy = s.New }))
		if err != nil {
			return err
		}
		riders, err := sim.Run(ctx, swarm.With(s.New).WithFreeRiders(0.2))
		if err != nil {
			return err
		}
		mean := few.Bound // of those few
		if c := few.Class("few"); c != nil {
			mean = c.Mean
		}
		fmt.Fprintf(stdout, "%-20s %10.3f %10.3f %16.3f %18.2f times\n", s.Name, all.MeanSlowdown(), all.Slowdown(), mean.Seconds()/few.Bound.Seconds(), riders.RiderDelay())
	}
	return nil
}

var _ choke.Strategy = (*proportional)(nil)
