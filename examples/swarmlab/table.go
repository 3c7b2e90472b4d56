package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/seed1734be99/starling/choke/sim"
)

func head(w io.Writer) {
	fmt.Fprintf(w, "%-19s %21s %21s %7s %9s %8s %7s %6s %7s %9s\n", "strategy", "mean / bound", "last / bound", "copies", "partials", "endgame", "wasted", "use", "riders", "took")
}

// line prints a result's line of the table.
func line(w io.Writer, r *result) {
	median := func(figure func(*sim.Report) float64) float64 { return sim.SpreadOf(r.reports, figure).Median }
	spread := func(figure func(*sim.Report) float64) string {
		x := sim.SpreadOf(r.reports, figure)
		if len(r.reports) == 1 {
			return fmt.Sprintf("%.3f", x.Median)
		}
		return fmt.Sprintf("%.3f (%.3f-%.3f)", x.Median, x.Low, x.High)
	}
	riders := "-"
	if x := median((*sim.Report).RiderDelay); x > 0 {
		riders = fmt.Sprintf("%.2f", x)
	}
	fmt.Fprintf(w, "%-19s %21s %21s %7.3f %9.1f %8.1f %6.2f%% %6.2f %7s %9v\n", r.strategy, spread((*sim.Report).MeanSlowdown), spread((*sim.Report).Slowdown),
		median(func(x *sim.Report) float64 { return x.SeedCopies }), median(func(x *sim.Report) float64 { return x.Partials }),
		median(func(x *sim.Report) float64 { return x.PartialsEndgame }), median(func(x *sim.Report) float64 { return 100 * x.WasteShare() }),
		median(func(x *sim.Report) float64 { return x.Use(x.All.Mean) }), riders, r.took.Round(100*time.Millisecond))
	for _, x := range r.reports {
		if x.Completed < x.Leeches {
			fmt.Fprintf(w, "%-19s run %d: only %d of %d peers were complete after %v\n", "", x.Seed, x.Completed, x.Leeches, x.Length)
		}
	}
}

// classes prints when each class was complete, where there are several.
func classes(w io.Writer, results []result) {
	if len(results) == 0 || len(results[0].reports[0].Classes) <= 2 {
		return
	}
	fmt.Fprintf(w, "\n%-19s %-22s %6s %10s %10s %10s %10s %7s\n", "strategy", "class", "peers", "mean", "median", "95 %", "last", "ratio")
	for _, r := range results {
		for i, c := range r.reports[0].Classes {
			if c.Seed {
				continue
			}
			at := func(figure func(c *sim.ClassTimes) time.Duration) time.Duration {
				x := sim.SpreadOf(r.reports, func(p *sim.Report) float64 { return float64(figure(&p.Classes[i])) })
				return time.Duration(x.Median).Round(time.Second)
			}
			fmt.Fprintf(w, "%-19s %-22s %6d %10v %10v %10v %10v %7.2f\n", r.strategy, c.Name, c.Count,
				at(func(c *sim.ClassTimes) time.Duration { return c.Mean }), at(func(c *sim.ClassTimes) time.Duration { return c.Median }),
				at(func(c *sim.ClassTimes) time.Duration { return c.P95 }), at(func(c *sim.ClassTimes) time.Duration { return c.Last }),
				sim.SpreadOf(r.reports, func(p *sim.Report) float64 { return p.Classes[i].Ratio }).Median)
		}
	}
}

// writeCSV writes the figures of every run: one line a run, one a peer, one a sample.
func writeCSV(dir string, results []result) (files []string, err error) {
	f := func(x float64) string { return strconv.FormatFloat(x, 'f', 6, 64) }
	n := func(x int64) string { return strconv.FormatInt(x, 10) }
	seconds := func(d time.Duration) string { return f(d.Seconds()) }
	tables := map[string][][]string{
		"runs.csv":    {{"strategy", "seed", "bound_s", "mean_s", "median_s", "p95_s", "last_s", "completed", "leeches", "seed_copies", "partials", "partials_endgame", "wasted_bytes", "received_bytes", "rider_delay"}},
		"peers.csv":   {{"strategy", "seed", "class", "arrived_s", "done_s", "sent_bytes", "received_bytes"}},
		"samples.csv": {{"strategy", "seed", "at_s", "present", "complete", "sent_bytes_per_s", "capacity_bytes_per_s", "use", "progress", "partials"}},
	}
	for _, r := range results {
		for _, x := range r.reports {
			id := []string{r.strategy, strconv.FormatUint(x.Seed, 10)}
			add := func(table string, fields ...string) {
				tables[table] = append(tables[table], append(id[:2:2], fields...))
			}
			add("runs.csv", seconds(x.Bound), seconds(x.All.Mean), seconds(x.All.Median), seconds(x.All.P95), seconds(x.All.Last), n(int64(x.Completed)), n(int64(x.Leeches)),
				f(x.SeedCopies), f(x.Partials), f(x.PartialsEndgame), n(x.Wasted), n(x.Received), f(x.RiderDelay()))
			for _, p := range x.Peers {
				done := ""
				if p.Done >= 0 {
					done = seconds(p.Done)
				}
				add("peers.csv", x.Classes[p.Class].Name, seconds(p.Arrived), done, n(p.Sent), n(p.Received))
			}
			for _, s := range x.Samples {
				add("samples.csv", seconds(s.At), n(int64(s.Present)), n(int64(s.Complete)), f(s.Sent), f(s.Capacity), f(s.Use), f(s.Progress), f(s.Partials))
			}
		}
	}
	for _, name := range []string{"runs.csv", "peers.csv", "samples.csv"} {
		path := filepath.Join(dir, name)
		if err := writeTable(path, tables[name]); err != nil {
			return files, err
		}
		files = append(files, path)
	}
	return files, nil
}

func writeTable(path string, rows [][]string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := csv.NewWriter(file).WriteAll(rows); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
