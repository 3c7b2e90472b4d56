package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/seed1734be99/starling/tracker"
)

// BEP 15: what is in the packets.
const (
	udpMagic = 0x41727101980

	actionConnect  = 0
	actionAnnounce = 1
	actionScrape   = 2
	actionError    = 3

	connectLen      = 16 // bytes of both the request and the answer
	announceLen     = 98
	announceRespLen = 20 // without peers
	scrapeLen       = 16 // without infohashes
	maxUDPScrape    = 74

	eventPaused = 4 // not in BEP 15; libtorrent sends it for BEP 21's

	maxUDPPeers4 = (1472 - announceRespLen) / 6  // that fit into an Ethernet frame
	maxUDPPeers6 = (1452 - announceRespLen) / 18 // IPv6 has longer headers

	urlDataType = 2 // BEP 41
	udpBuffer   = 64 << 10
	udpFails    = 100 // failed reads in a row after which the socket is given up

	expiredPerSecond = 1000 // packets with a wrong connection id that are answered

	// badID is shorter than any request that it answers.
	badID refusal = "connection id expired"
)

// ServeUDP answers connects, announces and scrapes (BEP 15, 41) on a socket of
// the caller's, until that is closed: then it returns nil. Any other error of the
// socket is returned when it lasts. Close the socket to stop.
//
// The address that a packet came from decides between IPv4 and IPv6, so a socket
// for both ("udp", ":6969") will do. It answers one packet after another: call it
// from several goroutines with the same socket to make use of several CPUs. It
// starts no goroutines itself, except for NAT checks; those have ended when it
// returns.
func (s *Server) ServeUDP(conn net.PacketConn) error {
	ctx, cancel := context.WithCancel(context.Background())
	l := newUDPLoop(s)
	l.ctx, l.conn = ctx, conn
	defer l.checks.Wait()
	defer cancel()
	fast, _ := conn.(*net.UDPConn)
	buf := make([]byte, udpBuffer)
	for fails := 0; ; {
		n, from, err := readFrom(conn, fast, buf)
		switch {
		case err == nil:
			fails = 0
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			if fails++; fails > udpFails {
				return fmt.Errorf("server: %w", err)
			}
			continue
		}
		out := l.answer(buf[:n], from)
		if len(out) == 0 {
			continue
		}
		// An answer that cannot be sent is like one that is lost.
		if fast != nil {
			fast.WriteToUDPAddrPort(out, from)
		} else {
			conn.WriteTo(out, net.UDPAddrFromAddrPort(from))
		}
	}
}

func readFrom(conn net.PacketConn, fast *net.UDPConn, buf []byte) (int, netip.AddrPort, error) {
	if fast != nil {
		return fast.ReadFromUDPAddrPort(buf)
	}
	n, addr, err := conn.ReadFrom(buf)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	if a, ok := addr.(*net.UDPAddr); ok {
		return n, a.AddrPort(), nil
	}
	from, _ := netip.ParseAddrPort(addr.String())
	return n, from, nil
}

// udpLoop is what answering the packets of a socket needs, one at a time. All
// buffers are used again: an announce allocates nothing.
type udpLoop struct {
	s   *Server
	ids connIDs
	a   announce
	ans answer
	out []byte
	url []byte // BEP 41's, when it came in parts

	ctx    context.Context // of the NAT checks; it ends with ServeUDP
	conn   net.PacketConn  // which they answer on
	checks sync.WaitGroup
}

func newUDPLoop(s *Server) *udpLoop {
	return &udpLoop{s: s, ids: connIDs{block: s.ids}, out: make([]byte, 0, 2048)}
}

// answer returns what to send back; nothing, if a packet is to be ignored. It is
// good until the next call.
//
// Whoever sends with a false address must not be able to make us send him more
// than he sends himself: so a packet without a valid connection id is answered
// only if it asks for one, with as many bytes, or with a short error if it is a
// whole announce or a scrape. That is for clients whose id is of before a
// restart, who would wait for 15 s (BEP 15) before they ask for another.
func (l *udpLoop) answer(in []byte, remote netip.AddrPort) []byte {
	from := remote.Addr().Unmap().WithZone("")
	if len(in) < connectLen || !from.IsValid() {
		l.s.counts.ignored.Add(1)
		return nil
	}
	now := l.s.now()
	id := binary.BigEndian.Uint64(in)
	action := binary.BigEndian.Uint32(in[8:])
	l.out = l.out[:0]
	switch {
	case action == actionConnect && id == udpMagic:
		l.s.counts.connects.Add(1)
		l.header(in, actionConnect)
		l.out = binary.BigEndian.AppendUint64(l.out, l.ids.give(from, now))
	case action != actionAnnounce && action != actionScrape:
		l.s.counts.ignored.Add(1)
	case !l.ids.valid(from, now, id):
		if len(in) < shortest(action) || !l.s.expired.Allow() {
			l.s.counts.ignored.Add(1)
			break
		}
		l.refuse(in, badID)
	case action == actionScrape:
		l.scrape(in, from, now)
	case len(in) < announceLen:
		l.refuse(in, "the announce is too short")
	default:
		l.announce(in, remote, from, now)
	}
	return l.out
}

// shortest is how long a request is that asks for anything.
func shortest(action uint32) int {
	if action == actionScrape {
		return scrapeLen + 20
	}
	return announceLen
}

// header begins an answer: the action and the request's transaction id.
func (l *udpLoop) header(in []byte, action uint32) {
	l.out = binary.BigEndian.AppendUint32(l.out, action)
	l.out = append(l.out, in[12:16]...)
}

func (l *udpLoop) refuse(in []byte, why refusal) {
	l.s.counts.failures[UDP].Add(1)
	l.header(in, actionError)
	l.out = append(l.out, why...)
}

// scrape answers for the first torrents that a packet names. Those that are not
// known have zeros; there is no way to leave one out.
func (l *udpLoop) scrape(in []byte, from netip.Addr, now uint32) {
	if no := l.s.checkScrape(UDP, from, "", ""); no != "" {
		l.refuse(in, no)
		return
	}
	l.s.counts.scrapes[UDP].Add(1)
	l.header(in, actionScrape)
	hashes := in[scrapeLen:]
	for range min(len(hashes)/20, maxUDPScrape) {
		hash := [20]byte(hashes)
		hashes = hashes[20:]
		t, _ := l.s.tally(&hash, now)
		l.out = binary.BigEndian.AppendUint32(l.out, uint32(t.seeds))
		l.out = binary.BigEndian.AppendUint32(l.out, uint32(t.downloaded))
		l.out = binary.BigEndian.AppendUint32(l.out, uint32(t.leeches))
	}
}

func (l *udpLoop) announce(in []byte, remote netip.AddrPort, from netip.Addr, now uint32) {
	l.parse(in, from)
	if l.s.cfg.Check != nil {
		path, query := l.urlData(in[announceLen:])
		if no := l.s.check(&l.a, path, query); no != "" {
			l.refuse(in, no)
			return
		}
	}
	if l.s.nat != nil {
		no, known := l.s.nat.known(&l.a, now)
		if !known && l.checkLater(in, remote) {
			return
		}
		if no != "" {
			l.refuse(in, no)
			return
		}
	}
	l.take(in, now)
}

// take takes the announce that was parsed in, and writes the answer.
func (l *udpLoop) take(in []byte, now uint32) {
	be := binary.BigEndian
	l.header(in, actionAnnounce)
	l.out = append(l.out, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	// The peers are appended to the packet itself.
	l.ans.reset()
	list := &l.ans.peers4
	if l.a.want6 {
		list = &l.ans.peers6
	}
	*list = l.out
	if no := l.s.announce(&l.a, now, &l.ans); no != "" {
		l.out = l.out[:0]
		l.refuse(in, no)
		return
	}
	l.out = *list
	*list = nil
	be.PutUint32(l.out[8:], l.s.interval)
	be.PutUint32(l.out[12:], uint32(l.ans.leeches))
	be.PutUint32(l.out[16:], uint32(l.ans.seeds))
}

// parse reads an announce of at least announceLen bytes.
func (l *udpLoop) parse(in []byte, from netip.Addr) {
	be := binary.BigEndian
	a := &l.a
	*a = announce{
		transport: UDP, from: from,
		downloaded: int64(be.Uint64(in[56:])), left: int64(be.Uint64(in[64:])), uploaded: int64(be.Uint64(in[72:])),
		key: be.Uint32(in[88:]),
	}
	copy(a.hash[:], in[16:])
	copy(a.id[:], in[36:])
	switch event := be.Uint32(in[80:]); event {
	case uint32(tracker.Completed), uint32(tracker.Started), uint32(tracker.Stopped):
		a.event = tracker.Event(event)
	case eventPaused:
		a.paused = !a.seed()
	}
	ip := from
	// T25. The field has no room for IPv6, where BEP 15 wants it to be zero.
	if asked := netip.AddrFrom4([4]byte(in[84:])); from.Is4() && !asked.IsUnspecified() && !asked.IsMulticast() && l.s.trusts(from) {
		ip = asked
	}
	a.addr = netip.AddrPortFrom(ip, be.Uint16(in[96:]))
	a.want = l.s.cfg.NumWant
	if n := int32(be.Uint32(in[92:])); n >= 0 {
		a.want = min(int(n), l.s.cfg.MaxNumWant)
	}
	if a.want4 = from.Is4(); a.want4 {
		a.want = min(a.want, maxUDPPeers4)
	} else {
		a.want6 = true
		a.want = min(a.want, maxUDPPeers6)
	}
}

// urlData returns the path and query of the announce URL (BEP 41).
func (l *udpLoop) urlData(options []byte) (path, query string) {
	l.url = l.url[:0]
	for len(options) > 0 {
		kind := options[0]
		options = options[1:]
		if kind == 0 { // the end
			break
		}
		if kind == 1 { // nothing; it has no length
			continue
		}
		if len(options) == 0 || len(options) <= int(options[0]) {
			break // cut off
		}
		data := options[1 : 1+int(options[0])]
		options = options[1+len(data):]
		if kind == urlDataType {
			l.url = append(l.url, data...)
		}
	}
	for i, c := range l.url {
		if c == '?' {
			return string(l.url[:i]), string(l.url[i+1:])
		}
	}
	return string(l.url), ""
}
