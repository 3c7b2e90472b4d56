package peerwire

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func sampleHandshake() Handshake {
	var h Handshake
	h.Reserved.Set(ExtensionBit)
	h.Reserved.Set(FastBit)
	h.Reserved.Set(DHTBit)
	copy(h.InfoHash[:], "aaaaaaaaaaaaaaaaaaaa")
	copy(h.PeerID[:], "-XX0001-bbbbbbbbbbbb")
	return h
}

func TestHandshakeBytes(t *testing.T) {
	h := sampleHandshake()
	want := "\x13BitTorrent protocol" + "\x00\x00\x00\x00\x00\x10\x00\x05" + "aaaaaaaaaaaaaaaaaaaa" + "-XX0001-bbbbbbbbbbbb"
	require.Equal(t, "before"+want, string(h.Append([]byte("before"))))
	require.Len(t, want, HandshakeLen)

	got, err := ParseHandshake([]byte(want + "\x00\x00\x00\x01\x01"))
	require.NoError(t, err, "messages in the same segment are none of its business")
	require.Equal(t, h, got)
}

func TestReservedBits(t *testing.T) {
	cases := []struct {
		bit  Bit
		byte int
		mask byte
	}{
		{DHTBit, 7, 0x01}, {FastBit, 7, 0x04}, {V2Bit, 7, 0x10}, {ExtensionBit, 5, 0x10}, {63, 0, 0x80},
	}
	for _, c := range cases {
		var r, want Reserved
		require.False(t, r.Has(c.bit))
		r.Set(c.bit)
		want[c.byte] = c.mask
		require.Equal(t, want, r)
		require.True(t, r.Has(c.bit))
	}
	var r Reserved
	r.Set(64)
	r.Set(255)
	require.Equal(t, Reserved{}, r)
	require.False(t, r.Has(64))

	ours, theirs := Reserved{5: 0x10, 7: 0x05}, Reserved{0: 0xff, 7: 0x14}
	require.Equal(t, Reserved{7: 0x04}, ours.Common(theirs))
}

func TestParseHeadTellsTheTorrentAfter48Bytes(t *testing.T) {
	sample := sampleHandshake()
	whole := sample.Append(nil)
	for n := range whole {
		h := Handshake{PeerID: [20]byte{1}}
		err := h.ParseHead(whole[:n])
		if n < HandshakeHead {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, sample.InfoHash, h.InfoHash)
		require.Equal(t, sample.Reserved, h.Reserved)
		require.Equal(t, [20]byte{1}, h.PeerID, "left alone")
		_, err = ParseHandshake(whole[:n])
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

func TestHandshakeRefusesNoiseAtItsFirstWrongByte(t *testing.T) {
	cases := map[string]string{
		"http":              "GET / HTTP/1.1\r\n",
		"one byte":          "G",
		"wrong length byte": "\x12BitTorrent protocol",
		"wrong text":        "\x13BitTorrent protocoL",
		"zeros":             "\x00\x00",
		"wrong case, whole": "\x13bittorrent protocol" + string(make([]byte, 48)),
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			require.False(t, IsHandshake([]byte(in)))
			_, err := ParseHandshake([]byte(in))
			var broken *ProtocolError
			require.ErrorAs(t, err, &broken)
			require.Equal(t, MsgHandshake, broken.ID)
			require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	}
	require.True(t, IsHandshake(nil))
}

func FuzzHandshake(f *testing.F) {
	sample := sampleHandshake()
	f.Add(sample.Append(nil))
	f.Add(sample.Append(nil)[:HandshakeHead])
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Add([]byte{})
	for _, v := range vectors(f) {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseHandshake(in)
		if err != nil {
			if h != (Handshake{}) {
				t.Fatal("a value beside an error")
			}
			return
		}
		if got := h.Append(nil); !bytes.Equal(got, in[:HandshakeLen]) {
			t.Fatalf("written as %x", got)
		}
	})
}
