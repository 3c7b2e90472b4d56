package tracker

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// datagram is a packet with the address of who sent it. One without data is a
// failed read, one from "unsendable" a failed write.
type datagram struct {
	from string
	data []byte
}

// memSocket is a UDP socket without a network: answer says what comes back for
// each packet that is sent.
type memSocket struct {
	answer func(to string, packet []byte) []datagram
	local  net.UDPAddr
	in     chan datagram
	closed chan struct{}
	once   sync.Once
}

func newMemSocket(answer func(to string, packet []byte) []datagram) *memSocket {
	return &memSocket{answer: answer, in: make(chan datagram, 5000), closed: make(chan struct{})}
}

func (s *memSocket) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case d := <-s.in:
		if d.data == nil {
			return 0, nil, errors.New("connection refused")
		}
		return copy(p, d.data), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(d.from)), nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

func (s *memSocket) WriteTo(p []byte, to net.Addr) (int, error) {
	for _, d := range s.answer(to.String(), bytes.Clone(p)) {
		if d.from == "unsendable" {
			return 0, errUnsendable
		}
		s.in <- d
	}
	return len(p), nil
}

var errUnsendable = errors.New("network is unreachable")

func (s *memSocket) Close() error                     { s.once.Do(func() { close(s.closed) }); return nil }
func (s *memSocket) LocalAddr() net.Addr              { return &s.local }
func (s *memSocket) SetDeadline(time.Time) error      { panic("not used") }
func (s *memSocket) SetReadDeadline(time.Time) error  { panic("not used") }
func (s *memSocket) SetWriteDeadline(time.Time) error { panic("not used") }

// udpClient returns a client whose UDP packets go to answer.
func udpClient(answer func(to string, packet []byte) []datagram) *Client {
	return &Client{
		ListenPacket: func(_ context.Context, network, address string) (net.PacketConn, error) {
			return newMemSocket(answer), nil
		},
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			switch host {
			case "four":
				return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1")}, nil
			case "both":
				return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.1")}, nil
			case "none":
				return nil, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
	}
}

// reply makes a packet of hex with T for the asking packet's transaction id.
func reply(packet []byte, text string) []byte {
	text = strings.ReplaceAll(text, "T", hex.EncodeToString(packet[12:16]))
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const (
	four          = "192.0.2.1:6969"
	connectAnswer = "00000000 T 0102030405060708"
	// interval 1800, 3 leeches, 2 seeds, 10.0.0.1:80
	announceAnswer = "00000001 T 00000708 00000003 00000002 0a000001 0050"
)

func isConnect(packet []byte) bool { return packet[11] == 0 }

var udpWant = Response{
	Interval: 30 * time.Minute, MinInterval: 30 * time.Minute, Incomplete: 3, Complete: 2, Downloaded: -1,
	Peers: []Peer{{Addr: netip.MustParseAddrPort("10.0.0.1:80"), Port: 80}},
}

// obliging is a tracker that answers everything.
func obliging(to string, packet []byte) []datagram {
	if isConnect(packet) {
		return []datagram{{to, reply(packet, connectAnswer)}}
	}
	return []datagram{{to, reply(packet, announceAnswer)}}
}

// BEP 15, BEP 41: the bytes of the packets.
func TestT16_UDPPackets(t *testing.T) {
	var sent [][]byte
	c := udpClient(func(to string, packet []byte) []datagram {
		require.Equal(t, four, to)
		sent = append(sent, packet)
		return obliging(to, packet)
	})
	r := Request{
		InfoHash: goldenHash, PeerID: goldenID, Port: 6883, Uploaded: 1, Downloaded: 2, Left: 3,
		Event: Completed, NumWant: -1, Key: 0x0a0b0c0d, IP: "10.9.8.7", TrackerID: "not here",
	}
	got, err := c.Announce(t.Context(), "udp://user@four:6969/dir?a=b&c=d", r)
	require.NoError(t, err)
	require.Equal(t, udpWant, got)
	require.Len(t, sent, 2)
	require.Equal(t, "0000041727101980"+"00000000", hex.EncodeToString(sent[0][:12]))
	require.Len(t, sent[0], 16)
	require.Equal(t, ""+
		"0102030405060708"+"00000001", hex.EncodeToString(sent[1][:12]))
	require.Equal(t, hex.EncodeToString(goldenHash[:])+hex.EncodeToString(goldenID[:])+
		"0000000000000002"+"0000000000000003"+"0000000000000001"+"00000001"+"0a090807"+"0a0b0c0d"+"ffffffff"+"1ae3"+
		"020c"+hex.EncodeToString([]byte("/dir?a=b&c=d")), hex.EncodeToString(sent[1][16:]))
	require.NotEqual(t, sent[0][12:16], sent[1][12:16])

	sent, r.Event, r.NumWant = nil, Stopped, 50
	_, err = c.Announce(t.Context(), "udp://four:6969", r)
	require.NoError(t, err)
	require.Len(t, sent, 1, "the connection id is good for a minute")
	require.Len(t, sent[0], announceLen)
	require.Equal(t, "00000003", hex.EncodeToString(sent[0][80:84]))
	require.Equal(t, "00000000", hex.EncodeToString(sent[0][92:96]))
}

func TestURLData(t *testing.T) {
	for in, want := range map[string]string{
		"udp://h:80":               "",
		"udp://h:80/":              "\x02\x01/",
		"udp://h:80?x":             "\x02\x02?x",
		"udp://h:80/dir?a=b&c=d":   "\x02\x0c/dir?a=b&c=d", // BEP 41's own
		"udp://h:80/a%20b#f":       "\x02\x06/a%20b",
		"udp://h:80/" + long(254):  "\x02\xff/" + long(254),
		"udp://h:80/" + long(255):  "\x02\xff/" + long(254) + "\x02\x01a",
		"udp://h:80/?" + long(600): "\x02\xff/?" + long(253) + "\x02\xff" + long(255) + "\x02\x5c" + long(92),
	} {
		u, err := url.Parse(in)
		require.NoError(t, err)
		require.Equal(t, want, string(appendURLData(nil, u)))
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// What is not the answer is ignored; the real one behind it counts.
func TestRT13_UDPIgnores(t *testing.T) {
	for name, wrong := range map[string]func(to string, packet []byte) datagram{
		"other address": func(_ string, p []byte) datagram { return datagram{"192.0.2.2:6969", reply(p, connectAnswer)} },
		"other port":    func(_ string, p []byte) datagram { return datagram{"192.0.2.1:6970", reply(p, connectAnswer)} },
		"other id":      func(to string, p []byte) datagram { p[12]++; return datagram{to, reply(p, connectAnswer)} },
		"other action": func(to string, p []byte) datagram {
			return datagram{to, reply(p, "00000002 T 0102030405060708 00000000 00000000")}
		},
		"short": func(to string, p []byte) datagram {
			return datagram{to, reply(p, "0000000"+string('0'+rune(p[11]))+" T 010203")}
		},
		"shorter":         func(to string, p []byte) datagram { return datagram{to, reply(p, "000000")} },
		"empty":           func(to string, p []byte) datagram { return datagram{to, []byte{}} },
		"a read error":    func(string, []byte) datagram { return datagram{} },
		"error elsewhere": func(_ string, p []byte) datagram { return datagram{"192.0.2.2:6969", reply(p, "00000003 T 61")} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got, err := udpClient(func(to string, packet []byte) []datagram {
					return append([]datagram{wrong(to, bytes.Clone(packet))}, obliging(to, packet)...)
				}).Announce(t.Context(), "udp://four:6969", Request{})
				require.NoError(t, err)
				require.Equal(t, udpWant, got)
				require.Zero(t, time.Since(start))

				// Alone, it does not end the wait.
				c := udpClient(func(to string, packet []byte) []datagram { return []datagram{wrong(to, packet)} })
				_, err = c.Announce(t.Context(), "udp://four:6969", Request{})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, udpTimeout, time.Since(start))
			})
		})
	}
}

func TestUDPErrorPacket(t *testing.T) {
	var failure *FailureError
	for _, at := range []string{"connect", "announce"} {
		_, err := udpClient(func(to string, packet []byte) []datagram {
			if isConnect(packet) && at == "announce" {
				return obliging(to, packet)
			}
			return []datagram{{to, reply(packet, "00000003 T 6e6f1b")}}
		}).Announce(t.Context(), "udp://four:6969", Request{})
		require.ErrorAs(t, err, &failure)
		require.Equal(t, &FailureError{Reason: `no\x1b`}, failure)
	}
	_, err := udpClient(func(to string, packet []byte) []datagram {
		return []datagram{{to, reply(packet, "00000003 T")}}
	}).Announce(t.Context(), "udp://four:6969", Request{})
	require.ErrorContains(t, err, "no reason given")
}

// BEP 15, time outs: the two transcripts of its examples, to the second.
func TestBEP15_TimeOuts(t *testing.T) {
	for name, test := range map[string]struct {
		answers int // so many packets are answered
		want    string
	}{
		"connect times out":  {0, "0 connect, 15 connect, 45 connect, 105 connect, 225 connect, 465 connect, "},
		"announce times out": {1, "0 connect, 0 announce, 15 announce, 45 announce, 105 connect, 225 connect, 465 connect, "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var log strings.Builder
				n := 0
				ids := make(map[uint32]int)
				c := udpClient(func(to string, packet []byte) []datagram {
					what := "announce"
					if isConnect(packet) {
						what = "connect"
					}
					fmt.Fprintf(&log, "%d %s, ", int(time.Since(start).Seconds()), what)
					ids[binary.BigEndian.Uint32(packet[12:])]++
					if n++; n <= test.answers {
						return obliging(to, packet)
					}
					return nil
				})
				c.Timeout = 500 * time.Second
				_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, test.want, log.String())
				require.Len(t, ids, 1+2*test.answers, "one transaction id for each request, however often it is sent")
			})
		})
	}
	require.Equal(t, 3840*time.Second, udpWait(8))
	require.Equal(t, 3840*time.Second, udpWait(80))
}

// A late answer to the first transmission is an answer.
func TestUDPLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var late []datagram
		c := udpClient(func(to string, packet []byte) []datagram {
			answer := obliging(to, packet)
			answer, late = late, answer
			return answer
		})
		got, err := c.Announce(t.Context(), "udp://four:6969", Request{})
		require.NoError(t, err)
		require.Equal(t, udpWant, got)
		require.Equal(t, 30*time.Second, time.Since(start), "one retransmission each")
	})
}

// Each transmission of a connect goes to another address; the family of the one
// that answers says how long its peers are.
func TestUDPAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const six = "[2001:db8::1]:6969"
		start := time.Now()
		var to []string
		c := udpClient(func(addr string, packet []byte) []datagram {
			to = append(to, addr)
			switch {
			case addr != six:
				return nil
			case isConnect(packet):
				return obliging(addr, packet)
			}
			require.Equal(t, make([]byte, 4), packet[84:88], "BEP 15: no address over IPv6")
			return []datagram{{six, reply(packet, "00000001 T 0000003c ffffffff 80000000 20010db8000000000000000000000002 0051 2001")}}
		})
		got, err := c.Announce(t.Context(), "udp://both:6969", Request{IP: "10.0.0.1"})
		require.NoError(t, err)
		require.Equal(t, Response{
			Interval: time.Minute, MinInterval: time.Minute, Incomplete: -1, Complete: -1, Downloaded: -1,
			Peers: []Peer{{Addr: netip.MustParseAddrPort("[2001:db8::2]:81"), Port: 81}},
		}, got)
		require.Equal(t, []string{four, six, six}, to)
		require.Equal(t, 15*time.Second, time.Since(start))
	})
}

func TestUDPUnreachable(t *testing.T) {
	var noSuch *net.DNSError
	c := udpClient(nil)
	for _, host := range []string{"none", "unknown"} {
		_, err := c.Announce(t.Context(), "udp://"+host+":1", Request{})
		require.ErrorAs(t, err, &noSuch)
		require.True(t, noSuch.IsNotFound)
	}
	// A family that does not exist here costs no time.
	refuse := errors.New("no route")
	listen := udpClient(obliging).ListenPacket
	c.ListenPacket = func(ctx context.Context, network, address string) (net.PacketConn, error) {
		if network == "udp4" {
			return nil, refuse
		}
		return listen(ctx, network, address)
	}
	_, err := c.Announce(t.Context(), "udp://both:6969", Request{})
	require.NoError(t, err)
	_, err = c.Announce(t.Context(), "udp://four:6969", Request{})
	require.ErrorIs(t, err, refuse)
}

// Giving up is immediate, also in the middle of a wait.
func TestRT17_UDPCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(7*time.Second, cancel)
		start := time.Now()
		_, err := udpClient(func(string, []byte) []datagram { return nil }).Announce(ctx, "udp://four:6969", Request{})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 7*time.Second, time.Since(start))
	})
}

// An address that can't be sent to costs no time: the next one is taken.
func TestUDPSendErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, at := range []byte{0, 1} {
			start := time.Now()
			var to []string
			c := udpClient(func(addr string, packet []byte) []datagram {
				to = append(to, addr)
				if addr == four && packet[11] == at {
					return []datagram{{from: "unsendable"}}
				}
				return obliging(addr, packet)
			})
			_, err := c.Announce(t.Context(), "udp://both:6969", Request{})
			require.NoError(t, err)
			require.Zero(t, time.Since(start))
			require.Equal(t, "[2001:db8::1]:6969", to[len(to)-1])

			_, err = c.Announce(t.Context(), "udp://four:6969", Request{})
			require.ErrorIs(t, err, errUnsendable)
			require.Zero(t, time.Since(start))
		}
	})
}

// One address answers the connect but nothing else: the others get their turn.
func TestUDPHalfDeadAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := udpClient(func(to string, packet []byte) []datagram {
			if to == four && !isConnect(packet) {
				return nil
			}
			return obliging(to, packet)
		})
		start := time.Now()
		_, err := c.Announce(t.Context(), "udp://both:6969", Request{})
		require.NoError(t, err)
		require.Equal(t, 105*time.Second, time.Since(start))
	})
}

// An answer from the address that was asked before the present one counts.
func TestUDPLateAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late []datagram
		c := udpClient(func(to string, packet []byte) []datagram {
			if !isConnect(packet) {
				return obliging(to, packet)
			}
			answer := late
			late = obliging(to, packet)
			return answer
		})
		c.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
		}
		start := time.Now()
		got, err := c.Announce(t.Context(), "udp://h:6969", Request{})
		require.NoError(t, err)
		require.Equal(t, udpWant, got)
		require.Equal(t, udpFirstWait, time.Since(start))
	})
}

// BEP 7: one family only, or none at once.
func TestBEP7_UDPFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var to []string
		var networks []string
		c := udpClient(func(addr string, packet []byte) []datagram {
			to = append(to, addr)
			return obliging(addr, packet)
		})
		listen := c.ListenPacket
		c.ListenPacket = func(ctx context.Context, network, address string) (net.PacketConn, error) {
			networks = append(networks, network)
			return listen(ctx, network, address)
		}
		const six = "[2001:db8::1]:6969"
		_, err := c.Announce(t.Context(), "udp://both:6969", Request{Family: IPv6})
		require.NoError(t, err)
		_, err = c.Announce(t.Context(), "udp://both:6969", Request{Family: IPv4})
		require.NoError(t, err)
		require.Equal(t, []string{six, six, four, four}, to)
		require.Equal(t, []string{"udp6", "udp4"}, networks)
		for url, family := range map[string]Family{"udp://four:6969": IPv6, "udp://192.0.2.1:1": IPv6, "udp://[2001:db8::1]:1": IPv4} {
			_, err = c.Announce(t.Context(), url, Request{Family: family})
			require.ErrorIs(t, err, ErrNoAddress)
		}
		_, err = c.Announce(t.Context(), "udp://unknown:1", Request{Family: IPv4})
		require.NotErrorIs(t, err, ErrNoAddress)
		require.Len(t, to, 4)
	})
}

// Every address is looked at before a packet goes there, each time anew.
func TestRT11_UDPAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var to []string
		c := udpClient(func(addr string, packet []byte) []datagram {
			to = append(to, addr)
			return obliging(addr, packet)
		})
		addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		c.Resolve = func(context.Context, string) ([]netip.Addr, error) { return addrs, nil }
		_, err := c.Announce(t.Context(), "udp://h:6969", Request{})
		require.NoError(t, err)
		for _, bad := range []string{"224.0.0.1", "255.255.255.255", "::ffff:255.255.255.255", "0.0.0.0", "ff02::1", "::"} {
			addrs = []netip.Addr{netip.MustParseAddr(bad)}
			_, err = c.Announce(t.Context(), "udp://h:6969", Request{})
			var refused *PolicyError
			require.ErrorAs(t, err, &refused, bad)
			require.Equal(t, addrs[0].Unmap(), refused.Addr)
		}
		require.Equal(t, []string{four, four}, to)
		// What is permitted among them is used.
		addrs = []netip.Addr{netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("127.0.0.1")}
		_, err = c.Announce(t.Context(), "udp://h:6969", Request{})
		require.NoError(t, err)
		require.Equal(t, []string{four, four, "127.0.0.1:6969", "127.0.0.1:6969"}, to)
	})
}

// Who has five seconds asks again well within them: a lost packet is not the end
// of a farewell.
func TestT4_HurriedFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		c := udpClient(func(to string, packet []byte) []datagram {
			if !isConnect(packet) && lost < 2 {
				lost++
				return nil
			}
			return obliging(to, packet)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.Announce(ctx, "udp://four:6969", Request{Event: Stopped})
		require.NoError(t, err)
		require.Equal(t, 2, lost)
		require.Less(t, time.Since(began), 4*time.Second)
	})
}
