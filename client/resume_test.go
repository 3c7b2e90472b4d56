package client

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/metainfo"
)

func TestRecordKeepsWhatItDoesNotKnow(t *testing.T) {
	r := record{hash: metainfo.Hash{1}}
	require.NoError(t, r.set("counters", map[string]int64{"uploaded": 5}))
	require.NoError(t, r.set("from a later version", []string{"a", "b"}))
	b, err := r.marshal()
	require.NoError(t, err)
	p, err := parseRecord(b, metainfo.Hash{1})
	require.NoError(t, err)
	var counters map[string]int64
	require.True(t, p.get("counters", &counters))
	require.EqualValues(t, 5, counters["uploaded"])
	require.False(t, p.get("counters", new([]string)), "of another kind")
	require.False(t, p.get("missing", &counters))
	again, err := p.marshal()
	require.NoError(t, err)
	require.Equal(t, b, again)
}

func TestRecordRefusesDamage(t *testing.T) {
	r := record{hash: metainfo.Hash{1}}
	require.NoError(t, r.set("x", "y"))
	b, err := r.marshal()
	require.NoError(t, err)
	_, err = parseRecord(b, metainfo.Hash{2})
	require.ErrorIs(t, err, errRecord)
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		_, err := parseRecord(bad, metainfo.Hash{1})
		require.ErrorIs(t, err, errRecord)
		_, err = parseRecord(b[:i], metainfo.Hash{1})
		require.ErrorIs(t, err, errRecord)
	}
}

func FuzzResume(f *testing.F) {
	r := record{hash: metainfo.Hash{1}}
	if r.set("x", []int{1, 2}) != nil {
		f.Fatal("no seed")
	}
	b, _ := r.marshal()
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseRecord(b, metainfo.Hash{1}); err == nil {
			if again, err := p.marshal(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("accepted, but comes out as %q", again)
			}
		}
	})
}
