package client_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
)

// A teller is a scripted peer that offers metadata, true or not.
type teller struct {
	infohash metainfo.Hash
	raw      []byte // what it serves
	says     int64  // the size that it claims; 0: the true one
	silent   bool   // it never answers a request
}

// serve makes the handshakes and answers requests for metadata until the
// connection ends.
func (s *teller) serve(nc net.Conn) error {
	ours := greeting(s.infohash, false)
	ours.Reserved.Set(peerwire.ExtensionBit)
	p, err := greetAs(nc, ours)
	if err != nil {
		return err
	}
	size := s.says
	if size == 0 {
		size = int64(len(s.raw))
	}
	hs := peerwire.ExtHandshake{M: map[string]uint8{peerwire.ExtMetadata: 7}, MetadataSize: size}
	if _, err := nc.Write(peerwire.AppendExtended(nil, peerwire.ExtHandshakeID, hs.AppendPayload(nil))); err != nil {
		return err
	}
	var theirs peerwire.ExtHandshake
	for {
		m, err := p.next()
		if err != nil {
			return err
		}
		switch {
		case m.ID != peerwire.MsgExtended:
		case m.Index == peerwire.ExtHandshakeID:
			if err := theirs.Update(m.Data); err != nil {
				return err
			}
		case m.Index == 7 && !s.silent:
			q, err := peerwire.ParseMetadataMsg(m.Data)
			if err != nil {
				return err
			}
			if q.Type != peerwire.MetadataRequest {
				continue
			}
			from := min(q.Piece*peerwire.MetadataPieceSize, len(s.raw))
			a := peerwire.MetadataMsg{
				Type: peerwire.MetadataData, Piece: q.Piece, TotalSize: size,
				Data: s.raw[from:min(from+peerwire.MetadataPieceSize, len(s.raw))],
			}
			b := peerwire.AppendExtended(nil, theirs.M[peerwire.ExtMetadata], a.Append(nil))
			if _, err := nc.Write(b); err != nil {
				return err
			}
		}
	}
}

// A magnet link with nothing but the address of a peer, in the link or beside
// it.
func TestMagnetWithAPeer(t *testing.T) {
	f := newFixture(t, 3<<20, 1<<10) // its metadata take four messages
	link := f.m.Magnet()
	link.Trackers = nil
	for _, tc := range []struct {
		name  string
		link  func() string
		peers []string
	}{
		{"beside it", func() string { return link.String() }, []string{address(f.seeder)}},
		{"x.pe", func() string { l := link; l.Peers = []string{address(f.seeder)}; return l.String() }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dst := t.TempDir()
			tor := add(t, start(t, client.Config{Dir: dst}), client.Spec{Magnet: tc.link(), Peers: tc.peers})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			info, err := tor.Metadata(ctx)
			require.NoError(t, err)
			require.Equal(t, f.m.Info.Pieces, info.Pieces)
			wait(t, tor)
			sameFile(t, f.src, dst)
		})
	}
}

// The metadata goes on from one who got it as a magnet.
func TestMagnetFromMagnet(t *testing.T) {
	f := newFixture(t, 100<<10, 32<<10)
	link := f.m.Magnet().String()
	second := start(t, client.Config{Dir: t.TempDir()})
	tor := add(t, second, client.Spec{Magnet: link, Peers: []string{address(f.seeder)}})
	wait(t, tor)
	require.NoError(t, f.seeder.Close())
	dst := t.TempDir()
	wait(t, add(t, start(t, client.Config{Dir: dst}), client.Spec{Magnet: link, Peers: []string{address(second)}}))
	sameFile(t, f.src, dst)
}

// Peers with false metadata are there first; then an honest one comes. In
// fake time, since what a liar claims may have to be waited for.
func TestHostileMetadata(t *testing.T) {
	for _, tc := range []struct {
		name string
		lie  func(raw []byte) teller
	}{
		{"does not hash", func(raw []byte) teller { return teller{raw: noise(len(raw), 3)} }},
		{"does not hash, another size", func([]byte) teller { return teller{raw: noise(40_000, 3)} }},
		{"one byte is wrong", func(raw []byte) teller {
			b := append([]byte(nil), raw...)
			b[len(b)/2] ^= 1
			return teller{raw: b}
		}},
		{"claims more than it has", func(raw []byte) teller { return teller{raw: raw, says: 20 << 20} }},
		{"claims less than it has", func(raw []byte) teller { return teller{raw: raw, says: int64(len(raw)) - 1} }},
		{"claims the most and is silent", func([]byte) teller { return teller{says: peerwire.MaxMetadataSize, silent: true} }},
		{"claims more than is allowed", func([]byte) teller { return teller{says: 1 << 40, silent: true} }},
		{"claims a negative size", func([]byte) teller { return teller{says: -5, silent: true} }},
		{"the right size, and silent", func(raw []byte) teller { return teller{says: int64(len(raw)), silent: true} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1<<20, 1<<10, simnet.Link{Latency: 10 * time.Millisecond}, nil)
				c := newCrew(t)
				liar := tc.lie(w.m.InfoBytes)
				liar.infohash = w.m.Hashes().V1
				s := client.Spec{Magnet: w.m.Magnet().String()}
				for i := range 3 {
					at := c.listen(t, w.Host(ip4(2, byte(i))), ":6881", liar.serve)
					s.Peers = append(s.Peers, at.String())
				}
				tor := add(t, w.client(ip4(0, 1), client.Config{}), s)
				time.Sleep(2 * time.Second)
				require.Equal(t, client.NoInfo, tor.Stats().State)
				good := add(t, w.client(ip4(0, 2), client.Config{Storage: w.full()}), client.Spec{MetaInfo: w.m})
				waitFor(t, good, time.Minute)
				tor.AddPeers(simAddr(ip4(0, 2)))
				began := time.Now()
				waitFor(t, tor, 10*time.Minute)
				t.Log("complete after", time.Since(began).Round(time.Second))
				require.Less(t, time.Since(began), 3*time.Minute)
			})
		})
	}
}

// RX5: metadata that hashes, and is no torrent that we would use. It is a
// fault with a name, for Metadata and Wait too.
func TestMetadataOfAHostileTorrent(t *testing.T) {
	for _, tc := range []struct{ name, raw string }{
		{"not bencoded", "hello"},
		{"no name", "d6:lengthi1e12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"},
		{"too few pieces", "d6:lengthi999999e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"},
		{"negative length", "d6:lengthi-1e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"},
		{"piece length of zero", "d6:lengthi1e4:name1:x12:piece lengthi0e6:pieces20:aaaaaaaaaaaaaaaaaaaae"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := newCrew(t).listen(t, new(loopback), "127.0.0.1:0", (&teller{infohash: sha1.Sum([]byte(tc.raw)), raw: []byte(tc.raw)}).serve)
			c := start(t, client.Config{Dir: t.TempDir()})
			tor := add(t, c, client.Spec{Hashes: metainfo.Hashes{V1: sha1.Sum([]byte(tc.raw))}, Peers: []string{at.String()}})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := tor.Metadata(ctx)
			var fault *client.FaultError
			require.ErrorAs(t, err, &fault)
			err = tor.Wait(ctx)
			require.True(t, errors.As(err, &fault), "%v", err)
			require.Equal(t, client.Faulted, tor.Stats().State)
			require.Nil(t, tor.Info())
			require.NoError(t, c.Remove(tor))
		})
	}
}

// loopback is the operating system's network.
type loopback struct{ net.Dialer }

func (*loopback) Listen(network, address string) (net.Listener, error) {
	return net.Listen(network, address)
}

// greetAs is greet with a handshake of one's own.
func greetAs(nc net.Conn, ours peerwire.Handshake) (*scripted, error) {
	if _, err := nc.Write(ours.Append(nil)); err != nil {
		return nil, err
	}
	p := &scripted{Conn: nc, in: bufio.NewReaderSize(nc, 4<<10)}
	var b [peerwire.HandshakeLen]byte
	_, err := io.ReadFull(p.in, b[:])
	if err == nil {
		p.theirs, err = peerwire.ParseHandshake(b[:])
	}
	return p, err
}
