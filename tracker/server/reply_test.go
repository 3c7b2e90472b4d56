package server

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The 149 bytes are a tracker's of 2003, which it sent as 108.
func TestT29_PlainTextAndGzip(t *testing.T) {
	old, err := hex.DecodeString(strings.Join(strings.Fields(`
		1f8b080060c3793f02ff4bb1b0cacc2b 492d2a4bccc934b4303048 35b52a484d 2d2ace4931b2ca2cb0b4323432d73300
		424373b0b842668a91811503 12a8d17b 28fb5e7d719a8955417e51 49a6998585 616a2ab19abf4a3d7911d51ec181d06c
		9c0a0400f920775c95000000`), ""))
	require.NoError(t, err)
	body := unpack(t, bytes.NewReader(old))
	require.Len(t, body, 149)
	r := httptest.NewRequest("GET", "/announce", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	reply(w, r, body)
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	require.Less(t, w.Body.Len(), 120, "108 then")
	require.Equal(t, fmt.Sprint(w.Body.Len()), w.Header().Get("Content-Length"))
	require.Equal(t, body, unpack(t, w.Body))

	w = httptest.NewRecorder()
	reply(w, r, body[:88])
	require.Empty(t, w.Header().Get("Content-Encoding"), "88 bytes came plain")
	require.Equal(t, 88, w.Body.Len())
}

// What does not get smaller is sent as it is, whether that was foreseen or not.
func TestT29_NotSmaller(t *testing.T) {
	r := httptest.NewRequest("GET", "/announce", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	random := rand.New(rand.NewPCG(1, 2))
	for kinds, tried := range map[int]bool{40: true, 256: false} {
		body := make([]byte, 110)
		for i := range body {
			body[i] = byte(random.IntN(kinds))
		}
		require.Equal(t, tried, packable(body))
		w := httptest.NewRecorder()
		reply(w, r, body)
		require.Empty(t, w.Header().Get("Content-Encoding"))
		require.Equal(t, body, w.Body.Bytes())
	}
}

func unpack(t *testing.T, packed io.Reader) []byte {
	z, err := gzip.NewReader(packed)
	require.NoError(t, err)
	body, err := io.ReadAll(z)
	require.NoError(t, err)
	return body
}

func TestT29_Announces(t *testing.T) {
	s := newServer(t, Config{})
	small := ask(t, s, "192.0.2.1:1", query("compact", "1"), "Accept-Encoding", "gzip")
	require.Empty(t, small.Header().Get("Content-Encoding"))
	require.Equal(t, "text/plain", small.Header().Get("Content-Type"))
	for i := range 20 {
		ask(t, s, fmt.Sprintf("192.0.2.%d:1", i), query())
	}
	for _, compact := range []string{"0", "1"} { // all of one network: compact peers are alike, too
		plain := ask(t, s, "192.0.2.1:1", query("compact", compact))
		require.Empty(t, plain.Header().Get("Content-Encoding"))
		require.Equal(t, fmt.Sprint(plain.Body.Len()), plain.Header().Get("Content-Length"))
		packed := ask(t, s, "192.0.2.1:1", query("compact", compact), "Accept-Encoding", "br, gzip;q=0.5")
		require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
		require.Less(t, packed.Body.Len(), plain.Body.Len())
		require.Len(t, unpack(t, packed.Body), plain.Body.Len())
	}
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "deflate": false, "gzip;q=0": false, "gzip; q=0.000": false,
		"deflate, gzip;q=1.0": true, "gzip;q=x": true,
	} {
		require.Equal(t, want, wantsGzip([]string{header}), header)
	}
}
