package main

import (
	"os"
	"path/filepath"
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
	dir := t.TempDir()
	s := &swarm{dir: dir, members: []*member{{label: "seed"}}}
	var err error
	s.root, err = makeSample(filepath.Join(dir, "seed"))
	require.NoError(t, err)
	for _, label := range []string{"leech 1", "leech 2"} {
		m := &member{label: label, dir: filepath.Join(dir, label)}
		_, err := makeSample(m.dir)
		require.NoError(t, err)
		s.members = append(s.members, m)
	}
	require.NoError(t, s.verify())
	bird := filepath.Join(dir, "leech 2", sampleName, "notes", "bird.txt")
	require.NoError(t, os.WriteFile(bird, make([]byte, 700), 0o666))
	require.ErrorContains(t, s.verify(), "leech 2: notes/bird.txt is not what the seed has")
	require.NoError(t, os.Remove(bird))
	require.ErrorContains(t, s.verify(), "leech 2: ")
}
