package tracker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"
)

// BEP 15: what is in the packets.
const (
	udpMagic = 0x41727101980

	actionConnect  uint32 = 0
	actionAnnounce uint32 = 1
	actionError    uint32 = 3

	connectLen      = 16 // bytes of both the request and the answer
	announceLen     = 98
	announceRespLen = 20 // without peers
)

const (
	udpFirstWait = 15 * time.Second // BEP 15, time outs
	udpMaxWaits  = 8                // the last wait is 15 s * 2^8
	udpIDLife    = time.Minute      // how long a client may use a connection id
	udpMaxAddrs  = 4                // addresses of one tracker that are tried
	udpBuffer    = 16 << 10         // 900 IPv6 peers
	udpReadFails = 100              // failed reads in one wait; systems report other hosts' ICMP this way
	urlDataType  = 2                // BEP 41
)

// errNoAnswer is internal: nothing valid came within a wait.
var errNoAnswer = errors.New("no answer")

// announceUDP makes one announce over UDP.
//
// A tracker's name may have several addresses, some of a family that leads
// nowhere: each transmission of the connect request goes to the next one. Once
// it is answered, that address is kept.
func (c *Client) announceUDP(ctx context.Context, u *url.URL, r Request) (Response, error) {
	addrs, err := c.resolve(ctx, u)
	if err != nil {
		return Response{}, err
	}
	x := &udpExchange{ctx: ctx, listen: c.ListenPacket, buf: make([]byte, udpBuffer)}
	if x.listen == nil {
		x.listen = new(net.ListenConfig).ListenPacket
	}
	defer x.close()

	// A transaction id stands for a request, not for a transmission: an answer
	// that comes after we have asked again still counts.
	tid := newTransaction()
	unsent := 0 // in a row
	for n, i := 0, 0; ; i++ {
		to := addrs[i%len(addrs)]
		id, err := x.connect(to, tid, udpWait(n))
		switch {
		case err == nil:
		case errors.Is(err, errNoAnswer):
			n, unsent = n+1, 0
			continue
		case errors.As(err, new(*FailureError)), ctx.Err() != nil:
			return Response{}, err
		default: // this address can't even be sent to
			if unsent++; unsent >= len(addrs) {
				return Response{}, err
			}
			continue
		}
		n, unsent, addrs = 0, 0, []netip.AddrPort{to}
		tid = newTransaction()
		for until := time.Now().Add(udpIDLife); time.Now().Before(until); n++ {
			packet, err := x.announce(to, id, tid, &r, u, udpWait(n))
			if err == nil {
				return parseUDPAnnounce(packet, to.Addr().Is4(), c.floor()), nil
			}
			if !errors.Is(err, errNoAnswer) {
				return Response{}, err
			}
		}
		tid = newTransaction()
	}
}

// udpWait is how long to wait for the answer to transmission n, counted from 0.
func udpWait(n int) time.Duration { return udpFirstWait << min(n, udpMaxWaits) }

// resolve returns the tracker's addresses, IPv4 first.
func (c *Client) resolve(ctx context.Context, u *url.URL) ([]netip.AddrPort, error) {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%w: a UDP tracker needs a port", ErrBadURL)
	}
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		ips = []netip.Addr{ip}
	} else if c.Resolve != nil {
		ips, err = c.Resolve(ctx, u.Hostname())
		if err != nil {
			return nil, err
		}
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname()); err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	for _, want4 := range []bool{true, false} {
		for _, ip := range ips {
			to := netip.AddrPortFrom(ip.Unmap(), uint16(port))
			if ip.IsValid() && to.Addr().Is4() == want4 && !slices.Contains(addrs, to) {
				addrs = append(addrs, to)
			}
		}
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: u.Hostname(), IsNotFound: true}
	}
	return addrs[:min(len(addrs), udpMaxAddrs)], nil
}

// udpExchange is the sockets of one announce: at most one for each family.
type udpExchange struct {
	ctx    context.Context // the announce's; the exchange does not outlive it
	listen func(ctx context.Context, network, address string) (net.PacketConn, error)
	conn4  net.PacketConn
	conn6  net.PacketConn
	buf    []byte
	undo   []func() bool // unhooks the sockets from the context
}

func (x *udpExchange) close() {
	for _, undo := range x.undo {
		undo()
	}
	for _, conn := range []net.PacketConn{x.conn4, x.conn6} {
		if conn != nil {
			conn.Close()
		}
	}
}

func (x *udpExchange) socket(to netip.Addr) (net.PacketConn, error) {
	slot, network := &x.conn4, "udp4"
	if !to.Is4() {
		slot, network = &x.conn6, "udp6"
	}
	if *slot == nil {
		conn, err := x.listen(x.ctx, network, ":0")
		if err != nil {
			return nil, err
		}
		*slot = conn
		x.undo = append(x.undo, context.AfterFunc(x.ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) }))
	}
	return *slot, nil
}

// connect gets a connection id (BEP 15, connect).
func (x *udpExchange) connect(to netip.AddrPort, tid uint32, wait time.Duration) (id uint64, err error) {
	p := binary.BigEndian.AppendUint64(nil, udpMagic)
	p = binary.BigEndian.AppendUint32(p, actionConnect)
	p = binary.BigEndian.AppendUint32(p, tid)
	answer, err := x.ask(to, p, actionConnect, tid, connectLen, wait)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(answer[8:]), nil
}

func (x *udpExchange) announce(to netip.AddrPort, id uint64, tid uint32, r *Request, u *url.URL, wait time.Duration) ([]byte, error) {
	p := appendUDPAnnounce(nil, id, tid, r, to.Addr().Is4())
	p = appendURLData(p, u)
	return x.ask(to, p, actionAnnounce, tid, announceRespLen, wait)
}

// ask sends one packet and waits for its answer. What comes from somewhere
// else, has another transaction id, the wrong action or too few bytes is
// ignored: anybody could have sent it. It returns errNoAnswer after the wait, a
// *FailureError for an error packet. The answer is good until the next call.
func (x *udpExchange) ask(to netip.AddrPort, packet []byte, action, tid uint32, minLen int, wait time.Duration) ([]byte, error) {
	conn, err := x.socket(to.Addr())
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	if err := x.ctx.Err(); err != nil { // the line above may have undone what ended the wait
		return nil, err
	}
	if _, err := conn.WriteTo(packet, net.UDPAddrFromAddrPort(to)); err != nil {
		return nil, err
	}
	for fails := 0; ; {
		n, from, err := conn.ReadFrom(x.buf)
		if err != nil {
			switch fails++; {
			case x.ctx.Err() != nil:
				return nil, x.ctx.Err()
			case errors.Is(err, os.ErrDeadlineExceeded):
				return nil, errNoAnswer
			case errors.Is(err, net.ErrClosed), fails > udpReadFails:
				return nil, err
			}
			continue
		}
		answer := x.buf[:n]
		if len(answer) < 8 || addrPort(from) != to || binary.BigEndian.Uint32(answer[4:]) != tid {
			continue
		}
		switch got := binary.BigEndian.Uint32(answer); {
		case got == actionError:
			return nil, udpFailure(answer[8:])
		case got == action && len(answer) >= minLen:
			return answer, nil
		}
	}
}

func newTransaction() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}

// addrPort brings the ways in which a socket names the other side into one.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case nil:
	case *net.UDPAddr:
		ap = a.AddrPort()
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func udpFailure(message []byte) error {
	e := &FailureError{Reason: printable(string(message))}
	if e.Reason == "" {
		e.Reason = "no reason given"
	}
	return e
}

// appendUDPAnnounce appends the 98 bytes of an announce request (BEP 15).
func appendUDPAnnounce(b []byte, id uint64, tid uint32, r *Request, over4 bool) []byte {
	be := binary.BigEndian
	b = be.AppendUint64(b, id)
	b = be.AppendUint32(b, actionAnnounce)
	b = be.AppendUint32(b, tid)
	b = append(b, r.InfoHash[:]...)
	b = append(b, r.PeerID[:]...)
	b = be.AppendUint64(b, uint64(r.Downloaded))
	b = be.AppendUint64(b, uint64(r.Left))
	b = be.AppendUint64(b, uint64(r.Uploaded))
	b = be.AppendUint32(b, uint32(r.Event))
	var ip [4]byte // BEP 15, IPv6: always 0 there
	if a, err := netip.ParseAddr(r.IP); err == nil && a.Is4() && over4 {
		ip = a.As4()
	}
	b = append(b, ip[:]...)
	b = be.AppendUint32(b, r.Key)
	want := int32(min(r.NumWant, 1<<30))
	if r.NumWant < 0 {
		want = -1
	}
	b = be.AppendUint32(b, uint32(want))
	return be.AppendUint16(b, r.Port)
}

// appendURLData appends the URL's path and query in pieces of up to 255 bytes
// (BEP 41); nothing if it has neither.
func appendURLData(b []byte, u *url.URL) []byte {
	data := u.EscapedPath()
	if u.RawQuery != "" {
		data += "?" + u.RawQuery
	}
	for len(data) > 0 {
		n := min(len(data), 255)
		b = append(b, urlDataType, byte(n))
		b = append(b, data[:n]...)
		data = data[n:]
	}
	return b
}

// parseUDPAnnounce reads an announce answer of at least announceRespLen bytes.
// The peers' size follows from the family of the socket.
func parseUDPAnnounce(b []byte, over4 bool, floor time.Duration) Response {
	field := func(at int) int64 { return int64(int32(binary.BigEndian.Uint32(b[at:]))) }
	count := func(at int) int { return int(max(field(at), -1)) }
	interval := clampInterval(field(8), floor)
	r := Response{
		Interval:    interval,
		MinInterval: interval, // BEP 15: not again before it has passed
		Incomplete:  count(12),
		Complete:    count(16),
		Downloaded:  -1,
	}
	size := compactLen4
	if !over4 {
		size = compactLen6
	}
	var l peerList
	l.addCompact(b[announceRespLen:], size)
	r.Peers = l.peers
	return r
}
