package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"

	"github.com/seed1734be99/starling/choke/sim"
)

// colours of the strategies, in their order; distinguishable without telling red from green.
var colours = []drawing.Color{
	drawing.ColorFromHex("0072b2"), drawing.ColorFromHex("d55e00"), drawing.ColorFromHex("009e73"),
	drawing.ColorFromHex("cc79a7"), drawing.ColorFromHex("e69f00"), drawing.ColorFromHex("56b4e9"),
}

// pictures draws the first run of each strategy: who is complete when, and how the upload capacity is used.
func pictures(dir, _ string, results []result) (files []string, err error) {
	for _, p := range []struct {
		name, title string
		curve       func(r *sim.Report) (x, y []float64)
	}{
		{"completion.svg", "complete peers (%)", completion},
		{"use.svg", "upload capacity in use (%)", use},
	} {
		path := filepath.Join(dir, p.name)
		if err := draw(path, p.title, results, p.curve); err != nil {
			return files, fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, path)
	}
	return files, nil
}

func draw(path, title string, results []result, curve func(*sim.Report) (x, y []float64)) error {
	graph := chart.Chart{
		Width: 900, Height: 480,
		Background:     chart.Style{Padding: chart.Box{Top: 20, Left: 20, Right: 20, Bottom: 10}},
		XAxis:          chart.XAxis{Name: "minutes"},
		YAxis:          chart.YAxis{Name: title, AxisType: chart.YAxisSecondary, Ticks: ticks(100)},
		YAxisSecondary: chart.HideYAxis(),
	}
	last := 1.0
	for i, r := range results {
		x, y := curve(r.reports[0])
		if len(x) < 2 {
			continue
		}
		last = max(last, x[len(x)-1])
		graph.Series = append(graph.Series, chart.ContinuousSeries{Name: r.strategy, XValues: x, YValues: y,
			Style: chart.Style{StrokeColor: colours[i%len(colours)], StrokeWidth: 2}})
	}
	bound := results[0].reports[0].Bound.Minutes()
	graph.Series = append(graph.Series, chart.ContinuousSeries{Name: "lower bound", XValues: []float64{bound, bound}, YValues: []float64{0, 100},
		Style: chart.Style{StrokeColor: drawing.ColorFromHex("999999"), StrokeWidth: 1, StrokeDashArray: []float64{5, 5}}})
	graph.XAxis.Ticks = ticks(max(last, bound))
	graph.Elements = []chart.Renderable{chart.LegendThin(&graph)}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := graph.Render(chart.SVG, file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// ticks are some ten round numbers from 0 to most, or a little more: the axis ends with the last.
func ticks(most float64) (list []chart.Tick) {
	step := math.Pow(10, math.Floor(math.Log10(most))-1)
	for _, by := range []float64{2, 2.5, 2, 2} {
		if most/step > 10 {
			step *= by
		}
	}
	for x := 0.0; ; x += step {
		list = append(list, chart.Tick{Value: x, Label: strconv.FormatFloat(x, 'f', -1, 64)})
		if x >= most {
			return list
		}
	}
}

// completion is the share of the downloading peers that are complete, by the time since each one's arrival.
func completion(r *sim.Report) (x, y []float64) {
	var done []time.Duration
	for _, p := range r.Peers {
		if !r.Classes[p.Class].Seed && p.Done >= 0 {
			done = append(done, p.Done)
		}
	}
	slices.SortFunc(done, cmp.Compare)
	x, y = []float64{0}, []float64{0}
	for i, d := range done { // a step for each
		x = append(x, d.Minutes(), d.Minutes())
		y = append(y, 100*float64(i)/float64(r.Leeches), 100*float64(i+1)/float64(r.Leeches))
	}
	return x, y
}

// use is the use of the upload capacity over time.
func use(r *sim.Report) (x, y []float64) {
	for _, s := range r.Samples {
		x = append(x, s.At.Minutes())
		y = append(y, 100*min(s.Use, 1))
	}
	return x, y
}
