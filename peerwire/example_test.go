package peerwire_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/seed1734be99/starling/peerwire"
)

// A connection's first bytes, then messages as they come in. A real reader
// would read more from its socket where this one stops.
func Example() {
	var theirs peerwire.Handshake
	theirs.Reserved.Set(peerwire.FastBit)
	copy(theirs.PeerID[:], "-TR3000-abcdefghijkl")
	in := theirs.Append(nil)
	in = peerwire.AppendHaveAll(in)
	in = peerwire.AppendUnchoke(in)
	in = append(in, 0, 0, 0, 13, 6, 0) // the beginning of a request

	h, err := peerwire.ParseHandshake(in)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(peerwire.ClientName(h.PeerID), "fast:", h.Reserved.Has(peerwire.FastBit))
	in = in[peerwire.HandshakeLen:]

	limits := peerwire.Limits{Pieces: 100}
	var m peerwire.Message
	for {
		n, err := limits.Next(in, &m)
		if err != nil {
			fmt.Println(err) // drop the peer
			return
		}
		if n == 0 {
			fmt.Printf("%d bytes there, %d needed\n", len(in), limits.Need(in))
			return
		}
		fmt.Println(m)
		in = in[n:]
	}
	// Output:
	// Transmission 3.00 fast: true
	// have all
	// unchoke
	// 6 bytes there, 17 needed
}

// A peer that claims a message of 4 GiB is refused at its prefix.
func ExampleLimits_Next() {
	var limits peerwire.Limits
	_, err := limits.Next([]byte{0xff, 0xff, 0xff, 0xff, byte(peerwire.MsgPiece)}, new(peerwire.Message))
	var broken *peerwire.ProtocolError
	fmt.Println(errors.As(err, &broken), broken.ID)
	fmt.Println(err)
	// Output:
	// true piece
	// peerwire: piece: length 4294967295, want 9 to 131081
}

// A tracker that checks whether a peer can be reached sends 48 bytes and waits.
func ExampleHandshake_ParseHead() {
	check := new(peerwire.Handshake).Append(nil)[:peerwire.HandshakeHead]
	var h peerwire.Handshake
	fmt.Println(h.ParseHead(check))
	fmt.Println(h.ParseHead([]byte("GET / HTTP/1.1\r\n")))
	// Output:
	// <nil>
	// peerwire: handshake: does not begin with BitTorrent protocol
}

func ExampleExtHandshake() {
	ours := peerwire.ExtHandshake{
		M:    map[string]uint8{peerwire.ExtMetadata: 1, peerwire.ExtPEX: 2},
		V:    "example 1.0",
		ReqQ: 500,
	}
	payload := ours.AppendPayload(nil)
	fmt.Printf("%s\n", payload)
	message := peerwire.AppendExtended(nil, peerwire.ExtHandshakeID, payload)
	fmt.Printf("%x\n", message[:6])

	theirs, err := peerwire.ParseExtHandshake([]byte("d1:md11:ut_metadatai3eee"))
	fmt.Println(theirs.M[peerwire.ExtMetadata], theirs.M[peerwire.ExtPEX], err)
	// Output:
	// d1:md11:ut_metadatai1e6:ut_pexi2ee4:reqqi500e1:v11:example 1.0e
	// 000000411400
	// 3 0 <nil>
}

func ExampleMetadataMsg() {
	ask := peerwire.MetadataMsg{Type: peerwire.MetadataRequest, Piece: 1}
	fmt.Printf("%s\n", ask.Append(nil))

	m, err := peerwire.ParseMetadataMsg([]byte("d8:msg_typei1e5:piecei1e10:total_sizei16389eehello"))
	fmt.Println(m.Piece, m.TotalSize, string(m.Data), err)
	fmt.Println(peerwire.MetadataPieceLen(m.TotalSize, m.Piece) == len(m.Data))
	// Output:
	// d8:msg_typei0e5:piecei1ee
	// 1 16389 hello <nil>
	// true
}

func ExampleAppendAllowedFast() {
	infohash := [20]byte{}
	for i := range infohash {
		infohash[i] = 0xaa
	}
	fmt.Println(peerwire.AppendAllowedFast(nil, netip.MustParseAddr("80.4.4.200"), infohash, 1313, 7))
	// Output: [1059 431 808 1217 287 376 1188]
}

func ExampleClientName() {
	var id [20]byte
	copy(id[:], "-qB4520-............")
	fmt.Println(peerwire.ClientName(id))
	// Output: qBittorrent 4.5.2
}
