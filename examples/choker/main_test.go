package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunComparesAndDownloads(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-peers", "20"}, &out, &errs), errs.String())
	for _, want := range []string{"default ", "everyone ", "proportional ", "a real client downloaded 8 MiB"} {
		require.Contains(t, out.String(), want)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	require.Equal(t, 1, run(ctx, nil, &out, &errs))
	require.Equal(t, 2, run(ctx, []string{"-nonsense"}, &out, &errs))
}

// A strategy of one's own is short.
func TestStrategyIsShort(t *testing.T) {
	source, err := os.ReadFile("proportional.go")
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(string(source), "\n"), 50)
}
