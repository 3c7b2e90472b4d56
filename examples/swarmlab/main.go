// Command swarmlab runs swarms in virtual time and compares choking strategies.
//
//	swarmlab [-peers N] [-seeds N] [-strategy NAME,...] [-freeriders SHARE] [-seed N] [-out DIR] ...
//
// It prints a table, a line for each strategy: mean and last completion in units of the least time in which any
// strategy could be done, the copies of the file that the seeds sent before every piece was outside, the pieces begun
// at a time and at the endgame, what came in vain, how well the upload capacity was used until then, and how much
// longer than contributors the free-riders took. With several -runs it is the median, and the extremes behind the two
// completions. With -out it writes CSV files and pictures too.
//
//	swarmlab -peers 1000 -runs 10
//	swarmlab -peers 200 -freeriders 0.2 -seed-up 4 -stay 1m -out pictures
//	swarmlab -peers 60 -model full -strategy default,everyone
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
	"time"

	"github.com/seed1734be99/starling/choke/sim"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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
		fmt.Fprintln(stderr, "swarmlab:", err)
		return exitUsage
	}
	if err := compare(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "swarmlab:", err)
		return exitFailed
	}
	return 0
}

// A result is all runs with one strategy.
type result struct {
	strategy string
	reports  []*sim.Report
	took     time.Duration // real time
}

// compare simulates the scenario with each strategy, and tells what came of it.
func compare(ctx context.Context, o *options, stdout io.Writer) error {
	bound, err := o.scenario.Bound()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\nlower bound of the last completion: %v\n\n", o.describe(), bound.Round(time.Second))
	head(stdout)
	var results []result
	for _, s := range o.strategies {
		from := time.Now()
		reports, err := sim.Repeat(ctx, o.scenario.With(s.New), o.runs)
		if err != nil {
			return err
		}
		r := result{s.Name, reports, time.Since(from)}
		line(stdout, &r)
		results = append(results, r)
	}
	classes(stdout, results)
	if o.out == "" {
		return nil
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return err
	}
	files, err := writeCSV(o.out, results)
	if err != nil {
		return err
	}
	drawn, err := pictures(o.out, o.describe(), results)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	for _, name := range append(files, drawn...) {
		fmt.Fprintln(stdout, "wrote", name)
	}
	return nil
}
