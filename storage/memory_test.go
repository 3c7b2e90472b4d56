package storage

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
)

func TestMemoryBytes(t *testing.T) {
	m := NewMemory()
	spec := fixture(t, fixtureFile("a", testPiece+10))
	spec.Hashes.V1[0] = 1
	require.Nil(t, m.Bytes(spec.Hashes))
	tor, err := m.Open(spec)
	require.NoError(t, err)
	mustWrite(t, tor, []byte("tail"), testPiece+3)
	want := make([]byte, testPiece+10)
	copy(want[testPiece+3:], "tail")
	require.Equal(t, want, m.Bytes(spec.Hashes))
	require.ErrorIs(t, readErr(tor, 0, 10), io.ErrUnexpectedEOF)
	require.NoError(t, tor.Close())
	require.Equal(t, want, m.Bytes(spec.Hashes), "closing keeps it")

	smaller := fixture(t, fixtureFile("a", 10))
	smaller.Hashes = spec.Hashes
	_, err = m.Open(smaller)
	require.ErrorIs(t, err, ErrSpec)
	tor, err = m.Open(spec)
	require.NoError(t, err)
	require.NoError(t, tor.(Remover).Remove())
	require.Nil(t, m.Bytes(spec.Hashes))
	require.Nil(t, m.Bytes(metainfo.Hashes{}))
}
