package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// parse reads JSON output, and returns what is of each type.
func parse(t *testing.T, out string) map[string][]map[string]any {
	t.Helper()
	byType := make(map[string][]map[string]any)
	for line := range strings.Lines(out) {
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		_, err := time.Parse(time.RFC3339Nano, v["time"].(string))
		require.NoError(t, err)
		kind := v["type"].(string)
		require.Empty(t, byType["total"], "total is the last")
		byType[kind] = append(byType[kind], v)
	}
	require.Len(t, byType["total"], 1)
	return byType
}

func TestJSON(t *testing.T) {
	p := makePayload(t, "data")
	dir := t.TempDir()
	hash := p.meta.Hashes().String()

	got := parse(t, mustRun(t, with("-json", "-dir", dir, "-peer", seed(t, p), p.file)...))
	require.Equal(t, hash, got["progress"][0]["infohash"])
	require.EqualValues(t, 277_777, got["progress"][0]["length"])
	var events []string
	for _, e := range got["event"] {
		require.Equal(t, hash, e["infohash"])
		events = append(events, e["event"].(string))
	}
	require.Contains(t, events, "peer-joined")
	require.Contains(t, events, "completed")
	require.NotContains(t, events, "piece", "as many as a torrent has pieces")
	total := got["total"][0]
	require.Equal(t, true, total["ok"])
	require.EqualValues(t, 277_777, total["downloaded"])
	require.Len(t, total["torrents"], 1)

	got = parse(t, mustRun(t, "-check", "-json", "-dir", dir, p.file))
	require.Equal(t, true, got["check"][0]["complete"])
	require.Equal(t, map[string]any{"path": "one", "length": 200_000.0, "have": 200_000.0, "complete": true},
		got["check"][0]["files"].([]any)[1])

	require.NoError(t, os.Remove(filepath.Join(dir, "data", "sub", "two")))
	var stdout, stderr strings.Builder
	require.Equal(t, exitFailed, run(t.Context(), []string{"-check", "-json", "-dir", dir, p.file}, &stdout, &stderr))
	got = parse(t, stdout.String())
	require.Equal(t, false, got["total"][0]["ok"])
	require.Equal(t, "download: "+got["total"][0]["error"].(string)+"\n", stderr.String())

	// Also of what never began there is a total.
	stdout.Reset()
	require.Equal(t, exitFailed, run(t.Context(), []string{"-json", "/nope.torrent"}, &stdout, &stderr))
	require.Equal(t, false, parse(t, stdout.String())["total"][0]["ok"])
}
