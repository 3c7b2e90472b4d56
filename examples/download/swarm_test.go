package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSwarm is what the program does without an argument.
func TestSwarm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: the seed is slow on purpose")
	}
	t.Setenv("TMPDIR", t.TempDir())
	out := mustRun(t)
	require.Contains(t, out, "leech 6: complete, 24.0 MiB; downloaded 24.0 MiB, uploaded ")
	require.Contains(t, out, "every file of all 6 leeches is verified by SHA-256")
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestSwarmNoticesDamage(t *testing.T) {
	s := &swarm{dir: t.TempDir()}
	require.NoError(t, s.begin(t.Context()))
	defer func() { require.NoError(t, s.close()) }()
	root, err := makeSample(s.leeches()[0].dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(root+"/notes/bird.txt", make([]byte, 700), 0o666))
	require.ErrorContains(t, s.verify(), "leech 1: notes/bird.txt is not what the seed has")
}
