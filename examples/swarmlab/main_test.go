package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunComparesStrategies(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	code := run(t.Context(), strings.Fields("-peers 20 -pieces 40 -connections 8 -freeriders 0.2 -stay 1m -up 0.5,2 -strategy default,everyone -runs 2 -out "+dir), &out, &errs)
	require.Zero(t, code, errs.String())
	for _, want := range []string{"lower bound", "default ", "everyone ", "2 Mbit/s free-rider", "runs.csv"} {
		require.Contains(t, out.String(), want)
	}
	lines := func(name string) int {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return strings.Count(string(text), "\n")
	}
	require.Equal(t, 1+2*2, lines("runs.csv"))
	require.Equal(t, 1+2*2*21, lines("peers.csv"))
	require.Greater(t, lines("samples.csv"), 20)
}

func TestRunFull(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), strings.Fields("-peers 5 -pieces 10 -piece-length 64K -model full -strategy default -super-seed -no-allowed-fast -order random -arrival 1"), &out, &errs), errs.String())
	require.Contains(t, out.String(), "model full: 5 peers")
}

func TestRunRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-strategy nonsense": "there is no \"nonsense\"",
		"-model other":       "neither flow nor full",
		"-up x":              "not a rate",
		"-order of-merit":    "neither rarest",
		"-super-seed":        "only in the model full",
		"-seed-up -1":        "not a rate",
		"-freeriders 2":      "not between 0 and 1",
		"-freeriders NaN":    "not between 0 and 1",
		"-peers -1":          "scenario",
		"-seeds 0":           "scenario",
		"-runs 0":            "-runs",
		"-piece-length 4Q":   "piece-length",
		"-piece-length 9G":   "piece-length",
		"more":               "unexpected argument",
	} {
		t.Run(args, func(t *testing.T) {
			var out, errs bytes.Buffer
			require.Equal(t, exitUsage, run(t.Context(), strings.Fields(args), &out, &errs))
			require.Contains(t, errs.String(), want)
			require.Equal(t, 1, strings.Count(errs.String(), "\n"))
		})
	}
	var out bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-h"}, &out, &out))
	require.Contains(t, out.String(), "-freeriders")
}
