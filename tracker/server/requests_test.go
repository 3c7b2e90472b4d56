package server

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
)

// How the tests ask a tracker.

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	return s
}

// ask sends a request as if from a remote address and returns the answer.
func ask(t testing.TB, s *Server, remote, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.RemoteAddr = remote
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func query(params ...string) string {
	q := url.Values{"info_hash": {strings.Repeat("h", 20)}, "peer_id": {strings.Repeat("p", 20)}, "port": {"6881"}, "left": {"1"}}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
		if params[i+1] == "" {
			q.Del(params[i])
		}
	}
	return "/announce?" + q.Encode()
}

// told is what an announce over HTTP is told.
type told struct {
	Complete   int    `bencode:"complete"`
	Downloaded int    `bencode:"downloaded"`
	Incomplete int    `bencode:"incomplete"`
	Interval   int    `bencode:"interval"`
	Min        int    `bencode:"min interval"`
	Failure    string `bencode:"failure reason"`
	Peers      string `bencode:"peers"`
	Peers6     string `bencode:"peers6"`
}

func (g told) counts() []int { return []int{g.Complete, g.Incomplete, g.Downloaded} }

func announced(t testing.TB, s *Server, remote string, params ...string) told {
	t.Helper()
	var got told
	body := ask(t, s, remote, query(append([]string{"compact", "1"}, params...)...)).Body.Bytes()
	require.NoError(t, bencode.Unmarshal(body, &got), "%q", body)
	return got
}

// udpPeer is somebody who speaks UDP with a tracker, without a network.
type udpPeer struct {
	l    *udpLoop
	from netip.AddrPort
}

func newUDPPeer(s *Server, from string) *udpPeer {
	return &udpPeer{newUDPLoop(s), netip.MustParseAddrPort(from)}
}

func (p *udpPeer) send(packet []byte) []byte {
	return append([]byte(nil), p.l.answer(packet, p.from)...)
}

func connectPacket(tid uint32) []byte {
	b := binary.BigEndian.AppendUint64(nil, udpMagic)
	b = binary.BigEndian.AppendUint32(b, actionConnect)
	return binary.BigEndian.AppendUint32(b, tid)
}

// connect returns a connection id.
func (p *udpPeer) connect(t testing.TB) uint64 {
	t.Helper()
	got := p.send(connectPacket(77))
	require.Len(t, got, 16)
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 77}, got[:8])
	return binary.BigEndian.Uint64(got[8:])
}

// udpAnnounce is the fields of a packet that the tests change.
type udpAnnounce struct {
	hash, id byte
	left     int64
	event    uint32
	ip       [4]byte
	want     int32
	port     uint16
	options  string
}

func (a udpAnnounce) packet(id uint64) []byte {
	be := binary.BigEndian
	b := be.AppendUint64(nil, id)
	b = be.AppendUint32(b, actionAnnounce)
	b = be.AppendUint32(b, 99)
	b = append(b, strings.Repeat(string(rune(a.hash)), 20)...)
	b = append(b, strings.Repeat(string(rune(a.id)), 20)...)
	b = be.AppendUint64(b, 7)
	b = be.AppendUint64(b, uint64(a.left))
	b = be.AppendUint64(b, 8)
	b = be.AppendUint32(b, a.event)
	b = append(b, a.ip[:]...)
	b = be.AppendUint32(b, 0xabcd)
	b = be.AppendUint32(b, uint32(a.want))
	b = be.AppendUint16(b, a.port)
	return append(b, a.options...)
}

// udpTold is what an announce over UDP is told.
type udpTold struct {
	interval, leeches, seeds uint32
	peers                    string
	failure                  string
}

func (p *udpPeer) announce(t testing.TB, a udpAnnounce) udpTold {
	t.Helper()
	got := p.send(a.packet(p.connect(t)))
	require.GreaterOrEqual(t, len(got), 8)
	require.Equal(t, uint32(99), binary.BigEndian.Uint32(got[4:]))
	if got[3] == actionError {
		return udpTold{failure: string(got[8:])}
	}
	require.Equal(t, []byte{0, 0, 0, actionAnnounce}, got[:4])
	be := binary.BigEndian
	return udpTold{be.Uint32(got[8:]), be.Uint32(got[12:]), be.Uint32(got[16:]), string(got[20:]), ""}
}

func peerAddr(i int) string { return fmt.Sprintf("10.%d.%d.%d:1000", i>>16&255, i>>8&255, i&255) }
