package peerwire

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vectors reads testdata/*.hex: bytes as they went over a wire, their source in the first line.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.hex")
	require.NoError(t, err)
	require.Len(t, files, 7, "the captured session")
	all := make(map[string][]byte)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		source, digits, _ := strings.Cut(string(text), "\n")
		require.Regexp(t, `^# seed document 004_\w+\.txt, lines? \d+`, source)
		raw, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		require.NoError(t, err, file)
		all[strings.TrimSuffix(filepath.Base(file), ".hex")] = raw
	}
	return all
}

// The session of 2003 in seed document 004, between two clients of 22169 bytes
// in 87 pieces of 256.
func TestCapturedSession(t *testing.T) {
	v := vectors(t)

	t.Run("handshakes", func(t *testing.T) {
		var head Handshake
		require.NoError(t, head.ParseHead(v["handshake-head-48"]))
		_, err := ParseHandshake(v["handshake-head-48"])
		require.Error(t, err, "a NAT check sends no peer id")

		client, err := ParseHandshake(v["handshake-client-68"])
		require.NoError(t, err)
		require.Equal(t, head.InfoHash, client.InfoHash)
		require.Equal(t, Reserved{}, client.Reserved)
		require.Equal(t, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf5\x1a\xe4\xe8Z\x87X\x08", string(client.PeerID[:]))
		require.Equal(t, v["handshake-client-68"], client.Append(nil))
		require.Equal(t, v["handshake-head-48"], client.Append(nil)[:HandshakeHead])

		peer, err := ParseHandshake(v["handshake-peer-68"])
		require.NoError(t, err)
		require.Equal(t, v["handshake-peer-68"], peer.Append(nil))
		require.Equal(t, client.InfoHash, peer.InfoHash)
		require.NotEqual(t, client.PeerID, peer.PeerID)
	})

	haveAll := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}
	request := func(index uint32) Message { return Message{ID: MsgRequest, Index: index, Length: 256} }
	for name, want := range map[string][]Message{
		"bitfield-unchoke-21": {{ID: MsgBitfield, Data: haveAll}, {ID: MsgUnchoke}},
		"unchoke-5":           {{ID: MsgUnchoke}},
		"interested-requests-90": {
			{ID: MsgInterested}, request(0x27), request(0x3b), request(0x46), request(0x49), request(0x38),
		},
		"bitfield-16": {{ID: MsgBitfield, Data: haveAll}},
	} {
		t.Run(name, func(t *testing.T) {
			limits := Limits{Pieces: 87}
			got, rest, err := decodeAll(&limits, v[name])
			require.NoError(t, err)
			require.Empty(t, rest)
			require.Equal(t, want, got)
			require.Equal(t, v[name], encodeAll(got))
		})
	}
	require.False(t, SpareBits(haveAll, 87))
	require.True(t, SpareBits(haveAll, 86))
}

// What the session's text only tells of, frames 54 to 63, in the bytes it describes.
func TestNarratedSession(t *testing.T) {
	block := []byte(strings.Repeat("x", 256))
	piece := AppendPiece(nil, 0x27, 0, block)
	require.Equal(t, "\x00\x00\x01\x09\x07"+"\x00\x00\x00\x27"+"\x00\x00\x00\x00"+string(block), string(piece))

	have := AppendHave(nil, 0x3b)
	require.Equal(t, "\x00\x00\x00\x05\x04\x00\x00\x00\x3b", string(have))

	limits := Limits{Pieces: 87}
	got, rest, err := decodeAll(&limits, append(piece, have...))
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, []Message{
		{ID: MsgPiece, Index: 0x27, Length: 256, Data: block},
		{ID: MsgHave, Index: 0x3b},
	}, got)
}

// decodeAll reads messages until more bytes are needed or one is refused.
func decodeAll(l *Limits, in []byte) (all []Message, rest []byte, err error) {
	for {
		var m Message
		n, err := l.Next(in, &m)
		if n == 0 || err != nil {
			return all, in, err
		}
		all, in = append(all, m), in[n:]
	}
}

func encodeAll(all []Message) (out []byte) {
	for i := range all {
		out = all[i].Append(out)
	}
	return out
}
