package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
)

func TestPercent(t *testing.T) {
	for _, test := range []struct {
		st   client.Stats
		want string
	}{
		{client.Stats{}, "0%"}, // no metadata yet
		{client.Stats{Length: 1000, Left: 1000, Pieces: 10}, "0%"},
		{client.Stats{Length: 1000, Left: 500, Pieces: 10, Have: 5}, "50%"},
		{client.Stats{Length: 1 << 40, Left: 1, Pieces: 10, Have: 9}, "99%"},
		{client.Stats{Length: 1000, Pieces: 10, Have: 10}, "100%"},
		{client.Stats{Length: 1000, Left: 1000, Pieces: 10, State: client.Checking, Checked: 3, ToCheck: 4}, "75%"},
	} {
		require.Equal(t, test.want, percent(&test.st))
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB",
	} {
		require.Equal(t, want, size(n))
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain Ünïcode 椋鳥":        "plain Ünïcode 椋鳥",
		"\x1b[2J\nx\u202egnp.exe": `\u001b[2J\u000ax\u202egnp.exe`,
		"\xff":                    "\ufffd",
	} {
		require.Equal(t, want, printable(in))
	}
}

func TestShorten(t *testing.T) {
	require.Equal(t, "short", shorten("short", 10))
	require.Equal(t, "debi….iso", shorten("debian-13.iso", 10))
	require.Equal(t, "椋鳥…椋鳥", shorten("椋鳥椋鳥椋鳥椋鳥", 10))
	require.Equal(t, "椋鳥の群れ", shorten("椋鳥の群れ", 10))
}

func TestBytesFlag(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "17": 17, "16K": 16 << 10, "2m": 2 << 20, "1G": 1 << 30} {
		var b bytesFlag
		require.NoError(t, b.Set(in), in)
		require.EqualValues(t, want, b, in)
	}
	for _, in := range []string{"", "K", "-1", "1.5M", "1KB", "8589934592G", "0x10", "99999999999999999999"} {
		require.Error(t, new(bytesFlag).Set(in), in)
	}
}

func TestResult(t *testing.T) {
	st := client.Stats{Length: 1 << 20, Left: 1 << 19, Pieces: 2, Have: 1, Downloaded: 1 << 19}
	require.Equal(t, "x: 50% of 1.0 MiB; downloaded 512.0 KiB, uploaded 0 B in 1.2s", result("x", &st, 1234*time.Millisecond))
	st = client.Stats{Length: 1 << 20, Pieces: 2, Have: 2}
	require.Equal(t, "x: complete, 1.0 MiB in 0s", result("x", &st, 0))
}
