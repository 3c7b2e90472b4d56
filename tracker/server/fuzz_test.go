package server

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
)

// Whatever a datagram says, with a valid id or without: answers are bounded, and
// without one never longer than the packet, and than what is said of old ids.
func FuzzUDP(f *testing.F) {
	f.Add(connectPacket(1), false)
	f.Add(udpAnnounce{hash: 'h', left: 1, want: -1, port: 1, options: "\x02\x05/a?b="}.packet(0), true)
	f.Add(append(connectPacket(1)[:8:8], "\x00\x00\x00\x02\x00\x00\x00\x01"+strings.Repeat("h", 40)...), true)
	s := newServer(f, Config{MaxSwarms: 100, MaxPeers: 300, Check: func(r *Request) error { return nil }})
	p := newUDPPeer(s, "192.0.2.1:1")
	six := newUDPPeer(s, "[2001:db8::1]:1")
	f.Fuzz(func(t *testing.T, packet []byte, valid bool) {
		for _, p := range []*udpPeer{p, six} {
			if valid && len(packet) >= 8 {
				id := p.send(connectPacket(1))
				packet = append(append([]byte(nil), id[8:16]...), packet[8:]...)
			}
			out := p.send(packet)
			require.LessOrEqual(t, len(out), 1472)
			if !valid {
				require.LessOrEqual(t, len(out), min(len(packet), 8+len(badID)))
			}
			if len(out) > 0 {
				require.GreaterOrEqual(t, len(out), 8)
				require.Equal(t, packet[12:16], out[4:8])
			}
		}
	})
}

// Whatever a query says, the answer is bencoding; and a query is read as
// url.ParseQuery reads it.
func FuzzQuery(f *testing.F) {
	f.Add(strings.TrimPrefix(query("compact", "1", "numwant", "5", "event", "paused"), "/announce?"))
	f.Add("info_hash=%2&peer_id=+&port=%31&ip=::1&left=-1&%6cey=1")
	f.Add("&&=&a=b;c=d&info%5fhash=x")
	s := newServer(f, Config{MaxSwarms: 100, MaxPeers: 300})
	f.Fuzz(func(t *testing.T, q string) {
		x := new(exchange)
		no := s.parseAnnounce(x, "127.0.0.1:1", q)
		if no == "" {
			no = s.announce(&x.a, 1, &x.ans)
		}
		if no == "" {
			body := s.appendAnswer(nil, x)
			n, err := bencode.Scan(body)
			require.NoError(t, err)
			require.Equal(t, len(body), n)
		}
		if hashes, no := scrapeHashes(q); no == "" && len(hashes) > 0 {
			_, err := bencode.Scan(s.scrape(hashes, 1))
			require.NoError(t, err)
		}
		if strings.Contains(q, ";") { // an error there, a character here
			return
		}
		want, _ := url.ParseQuery(q)
		for rest := q; ; {
			var p pair
			var ok bool
			if p, rest, ok = nextPair(rest); !ok {
				break
			}
			buf := make([]byte, len(q))
			name, nameErr := url.QueryUnescape(p.name)
			value, valueErr := url.QueryUnescape(p.value)
			n := unescape(buf, p.value)
			require.Equal(t, valueErr != nil, n < 0)
			if nameErr == nil && valueErr == nil {
				require.Equal(t, value, string(buf[:n]))
				require.Contains(t, want[name], value)
			}
		}
	})
}

func BenchmarkUDPAnnounce(b *testing.B) {
	for name, peers := range map[string]int{"peers=10": 10, "peers=100000": 100_000} {
		b.Run(name, func(b *testing.B) {
			s := newServer(b, Config{})
			a := announce{left: 1}
			var ans answer
			a.hash = natHash
			for i := range peers {
				a.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
				s.announce(&a, s.now(), &ans)
			}
			p := newUDPPeer(s, "10.0.0.1:1")
			packet := udpAnnounce{hash: 'h', left: 1, want: -1, port: 1}.packet(p.connect(b))
			b.ReportAllocs()
			for b.Loop() {
				p.l.answer(packet, p.from)
			}
		})
	}
}
