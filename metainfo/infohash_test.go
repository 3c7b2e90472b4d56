package metainfo

import (
	"encoding/base32"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseHash(t *testing.T) {
	h := SumHash([]byte("spam"))
	text := h.String()
	for _, s := range []string{
		text, strings.ToUpper(text), text[:20] + strings.ToUpper(text[20:]),
		base32.StdEncoding.EncodeToString(h[:]), strings.ToLower(base32.StdEncoding.EncodeToString(h[:])),
	} {
		got, err := ParseHash(s)
		require.NoError(t, err, s)
		require.Equal(t, h, got)
	}
	for _, s := range []string{
		"", text[:39], text + "0", text[:39] + "g", strings.Repeat("1", 32), strings.Repeat("=", 32),
		strings.Repeat("A", 31) + "=", strings.Repeat("A", 24) + "========", "\x00" + text[1:], strings.Repeat("\n", 32),
	} {
		_, err := ParseHash(s)
		require.ErrorIs(t, err, ErrInvalid, "%q", s)
	}
}

func TestParseHashV2(t *testing.T) {
	var h HashV2
	for i := range h {
		h[i] = byte(i)
	}
	got, err := ParseHashV2(strings.ToUpper(h.String()))
	require.NoError(t, err)
	require.Equal(t, h, got)
	require.Equal(t, h[:20], func() []byte { t := h.Truncated(); return t[:] }())
	for _, s := range []string{"", h.String()[1:], h.String() + "0", strings.Repeat("g", 64)} {
		_, err := ParseHashV2(s)
		require.ErrorIs(t, err, ErrInvalid)
	}
}

func TestHashes(t *testing.T) {
	v1, v2 := SumHash(nil), HashV2{1, 2, 3}
	require.True(t, Hashes{}.IsZero())
	require.Equal(t, v1, Hashes{V1: v1, V2: v2}.Wire())
	require.Equal(t, v2.Truncated(), Hashes{V2: v2}.Wire())
	require.Equal(t, v1.String(), Hashes{V1: v1, V2: v2}.String())
	require.Equal(t, v2.String(), Hashes{V2: v2}.String())
	require.Equal(t, strings.Repeat("0", 40), Hashes{}.String())
	require.False(t, Hashes{V2: v2}.IsZero())
}

func TestHashesAsJSON(t *testing.T) {
	in := Hashes{V1: SumHash(nil), V2: HashV2{9}}
	b, err := json.Marshal(in)
	require.NoError(t, err)
	require.Contains(t, string(b), in.V1.String())
	var out Hashes
	require.NoError(t, json.Unmarshal(b, &out))
	require.Equal(t, in, out)
	require.Error(t, json.Unmarshal([]byte(`{"V1":"xyz"}`), &out))
	require.Error(t, json.Unmarshal([]byte(`{"V2":"xyz"}`), &out))
	require.Equal(t, in, out)
}
