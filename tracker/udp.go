package tracker

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	udpFirstWait = 15 * time.Second // BEP 15, time outs
	udpLeastWait = 300 * time.Millisecond
	udpMaxWaits  = 8           // the last wait is 15 s * 2^8
	udpIDLife    = time.Minute // how long a client may use a connection id
	udpMaxAddrs  = 4           // addresses of one tracker that are tried
	udpMaxNames  = 64          // … out of so many that its name has
)

// errNoAnswer is internal: nothing valid came while the connection id was good.
var errNoAnswer = errors.New("no answer")

// announceUDP makes one announce over UDP (BEP 15).
func (c *Client) announceUDP(ctx context.Context, u *url.URL, r Request) (Response, error) {
	x, err := c.exchange(ctx, u, r.Family)
	if err != nil {
		return Response{}, err
	}
	defer x.close()
	packet, from, err := x.ask(actionAnnounce, announceRespLen, func(id uint64, tid uint32, to netip.AddrPort) []byte {
		return appendURLData(appendUDPAnnounce(nil, id, tid, &r, to.Addr().Is4()), u)
	})
	if err != nil {
		return Response{}, err
	}
	return parseUDPAnnounce(packet, from.Addr().Is4(), c.floor()), nil
}

// scrapeUDP asks for the counts of some torrents, as many at a time as fit into
// a packet.
func (c *Client) scrapeUDP(ctx context.Context, u *url.URL, hashes [][20]byte) (ScrapeResponse, error) {
	x, err := c.exchange(ctx, u, AnyFamily)
	if err != nil {
		return ScrapeResponse{}, err
	}
	defer x.close()
	r := ScrapeResponse{Files: make(map[[20]byte]ScrapeFile, len(hashes))}
	for part := range slices.Chunk(hashes, maxUDPScrape) {
		packet, _, err := x.ask(actionScrape, answerLen, func(id uint64, tid uint32, _ netip.AddrPort) []byte {
			b := appendUDPHead(nil, id, actionScrape, tid)
			for _, hash := range part {
				b = append(b, hash[:]...)
			}
			return b
		})
		if err != nil {
			return ScrapeResponse{}, err
		}
		parseUDPScrape(packet, part, r.Files)
	}
	return r, nil
}

// udpWait is how long to wait for the answer to transmission n, counted from 0.
func udpWait(n int) time.Duration { return udpFirstWait << min(n, udpMaxWaits) }

// hurried shortens a wait for who has little time, as at a farewell: BEP 15's
// would let one lost packet be the end of it.
func hurried(ctx context.Context, wait time.Duration) time.Duration {
	if until, ok := ctx.Deadline(); ok && time.Until(until) < udpFirstWait {
		return min(wait, max(time.Until(until)/3, udpLeastWait))
	}
	return wait
}

// resolve returns the tracker's addresses of a family that the policy permits,
// IPv4 first.
func (c *Client) resolve(ctx context.Context, u *url.URL, f Family) ([]netip.AddrPort, error) {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%w: a UDP tracker needs a port", ErrBadURL)
	}
	if err := c.Policy.permit(Hop{URL: u}); err != nil {
		return nil, err
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
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no addresses", Name: u.Hostname(), IsNotFound: true}
	}
	ips = ips[:min(len(ips), udpMaxNames)]
	var addrs []netip.AddrPort
	var refused error
	for _, family := range []Family{IPv4, IPv6} {
		for _, ip := range ips {
			to := netip.AddrPortFrom(ip.Unmap(), uint16(port))
			if !ip.IsValid() || !f.Of(ip) || !family.Of(ip) || slices.Contains(addrs, to) || len(addrs) == udpMaxAddrs {
				continue
			}
			if err := c.Policy.permit(Hop{URL: u, Addr: to.Addr()}); err != nil {
				refused = err
				continue
			}
			addrs = append(addrs, to)
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case refused != nil:
		return nil, refused
	}
	return nil, ErrNoAddress
}

// udpExchange is one announce or scrape. It holds the sockets of the families
// that its addresses have.
type udpExchange struct {
	ctx     context.Context // the announce's; the exchange does not outlive it
	state   *udpState
	addrs   []netip.AddrPort // still worth trying; never empty
	sockets [2]*udpSocket    // of IPv4 and IPv6
}

// exchange finds the tracker and opens what is needed to talk to it. To be
// closed.
func (c *Client) exchange(ctx context.Context, u *url.URL, f Family) (*udpExchange, error) {
	addrs, err := c.resolve(ctx, u, f)
	if err != nil {
		return nil, err
	}
	listen := c.ListenPacket
	if listen == nil {
		listen = new(net.ListenConfig).ListenPacket
	}
	if err := c.udp.enter(ctx); err != nil {
		return nil, err
	}
	x := &udpExchange{ctx: ctx, state: &c.udp}
	var failed [2]error
	for _, to := range addrs {
		i := socketIndex(to)
		if x.sockets[i] == nil && failed[i] == nil {
			s, err := c.udp.acquire(ctx, listen, i == 0)
			if failed[i] = err; err == nil {
				x.sockets[i] = s
			}
		}
		// A family that does not exist here costs no time.
		if x.sockets[i] != nil {
			x.addrs = append(x.addrs, to)
		}
	}
	if len(x.addrs) == 0 {
		x.close()
		return nil, cmp.Or(failed[0], failed[1])
	}
	return x, nil
}

func (x *udpExchange) close() {
	for _, s := range x.sockets {
		if s != nil {
			x.state.release(s)
		}
	}
	x.state.exit()
}

func socketIndex(to netip.AddrPort) int {
	if to.Addr().Is4() {
		return 0
	}
	return 1
}

func (x *udpExchange) socket(to netip.AddrPort) *udpSocket { return x.sockets[socketIndex(to)] }

// ask makes one request and returns the answer and who gave it. build makes the
// packet for a connection id, a transaction id and an address.
//
// A tracker's name may have several addresses, some of which lead nowhere: each
// transmission of the connect request goes to the next one. The one that answers
// gets the request; when its id has run out without an answer, all are tried
// again.
func (x *udpExchange) ask(action uint32, minLen int, build func(uint64, uint32, netip.AddrPort) []byte) ([]byte, netip.AddrPort, error) {
	renewed := false
	for n, start := 0, 0; ; {
		g, err := x.grant(n, start)
		if err != nil {
			return nil, g.to, err
		}
		if !g.cached {
			n = 0
		}
		answer, sent, err := x.request(g, n, action, minLen, build)
		switch {
		case err == nil:
			return answer, g.to, nil
		case x.ctx.Err() != nil:
			return nil, g.to, err
		case errors.Is(err, errNoAnswer):
			// The id has run out, or is one that the tracker has forgotten.
			x.state.forget(x.path(g.to), g)
			n += sent
			start = slices.Index(x.addrs, g.to) + 1
		case errors.As(err, new(*FailureError)):
			// A tracker that was started again does not know its ids any more.
			if !g.cached || renewed {
				return nil, g.to, err
			}
			renewed = true
			x.state.forget(x.path(g.to), g)
		default: // this address can't even be sent to
			x.addrs = slices.DeleteFunc(slices.Clone(x.addrs), func(a netip.AddrPort) bool { return a == g.to })
			if len(x.addrs) == 0 {
				return nil, g.to, err
			}
		}
	}
}

// request sends an announce or a scrape until it is answered or its connection
// id has run out; with an id of an earlier exchange only once. sent is how often
// that was.
func (x *udpExchange) request(g udpGrant, n int, action uint32, minLen int, build func(uint64, uint32, netip.AddrPort) []byte) (answer []byte, sent int, err error) {
	s := x.socket(g.to)
	answers := make(chan udpAnswer, 1)
	tid, err := s.expect(udpRequest{to: g.to, action: action, minLen: minLen, answers: answers})
	if err != nil {
		return nil, 0, err
	}
	defer s.drop(tid)
	packet := build(g.id, tid, g.to)
	for time.Now().Before(g.until) && (sent == 0 || !g.cached) {
		if err := s.send(packet, g.to); err != nil {
			return nil, sent, err
		}
		a, err := await(x.ctx, answers, hurried(x.ctx, udpWait(n+sent)))
		if sent++; !errors.Is(err, errNoAnswer) {
			return a.packet, sent, err
		}
	}
	return nil, sent, errNoAnswer
}

// await waits for an answer; errNoAnswer: none came.
func await(ctx context.Context, answers <-chan udpAnswer, wait time.Duration) (udpAnswer, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a, a.err
	case <-timer.C:
		return udpAnswer{}, errNoAnswer
	case <-ctx.Done():
		return udpAnswer{}, ctx.Err()
	}
}

// udpGrant is a connection id: the permission to ask a tracker.
type udpGrant struct {
	to     netip.AddrPort
	id     uint64
	until  time.Time
	cached bool // it was there already
}

// udpRoute is a tracker with all of its addresses, over certain sockets.
type udpRoute struct {
	addrs   string
	sockets [2]*udpSocket
}

// udpConnect is a connect request under way, shared by all who need its id. Its
// transmissions keep to the times of the one among them who has waited for the
// fewest: it may go on for as long as there is always somebody who waits, and
// its waits, 15 s * 2^n, must not grow all the while. So one packet goes out in
// 15 s at most, and nobody waits longer for one than that.
type udpConnect struct {
	waiting int      // guarded by udpState.mu
	joined  chan int // what who has joined since has counted up to; room for one
	cancel  context.CancelFunc
	done    chan struct{} // closed when grant and err are good
	grant   udpGrant
	err     error
}

func (x *udpExchange) path(to netip.AddrPort) udpPath { return udpPath{to, x.socket(to).local} }

// grant returns a connection id of one of the addresses: one that is known, or
// that of a connect request, whose first transmission counts as number n and
// goes to the start-th address.
func (x *udpExchange) grant(n, start int) (udpGrant, error) {
	u := x.state
	// Resolvers like to change the order.
	sorted := slices.SortedFunc(slices.Values(x.addrs), netip.AddrPort.Compare)
	route := udpRoute{fmt.Sprint(sorted), x.sockets}
	u.mu.Lock()
	for _, to := range x.addrs {
		g, ok := u.ids[x.path(to)]
		if ok && time.Now().Before(g.until) {
			u.mu.Unlock()
			g.cached = true
			return g, nil
		}
	}
	c := u.connects[route]
	if c == nil {
		ctx, cancel := context.WithCancel(context.Background())
		c = &udpConnect{joined: make(chan int, 1), cancel: cancel, done: make(chan struct{})}
		if u.connects == nil {
			u.connects = make(map[udpRoute]*udpConnect)
		}
		u.connects[route] = c
		go c.run(ctx, u, route, slices.Clone(x.addrs), n, start) // leave waits for it
	} else {
		c.joinLocked(n)
	}
	c.waiting++
	u.mu.Unlock()
	defer c.leave(u, route)
	select {
	case <-c.done:
		return c.grant, c.err
	case <-x.ctx.Done():
		return udpGrant{}, x.ctx.Err()
	}
}

// joinLocked tells the goroutine of somebody whose next transmission is number n.
func (c *udpConnect) joinLocked(n int) {
	select {
	case other := <-c.joined:
		n = min(n, other)
	default:
	}
	c.joined <- n // there is room: who sends holds the lock
}

// leave is called by each who waited. The last one ends the request, if it
// still goes on: its sockets are those of who waits.
func (c *udpConnect) leave(u *udpState, route udpRoute) {
	u.mu.Lock()
	c.waiting--
	last := c.waiting == 0
	if last && u.connects[route] == c {
		delete(u.connects, route)
	}
	u.mu.Unlock()
	if last {
		c.cancel()
		<-c.done
	}
}

// run is the goroutine of a connect request.
func (c *udpConnect) run(ctx context.Context, u *udpState, route udpRoute, addrs []netip.AddrPort, n, start int) {
	defer close(c.done)
	g, err := c.connect(ctx, route.sockets, addrs, n, start)
	u.mu.Lock()
	defer u.mu.Unlock()
	c.grant, c.err = g, err
	if u.connects[route] == c {
		delete(u.connects, route)
	}
	if err == nil {
		path := udpPath{g.to, route.sockets[socketIndex(g.to)].local}
		u.keepIDLocked(path, g, time.Now())
	}
}

// connect gets a connection id from one of some addresses (BEP 15, connect).
func (c *udpConnect) connect(ctx context.Context, sockets [2]*udpSocket, addrs []netip.AddrPort, n, start int) (udpGrant, error) {
	answers := make(chan udpAnswer, len(addrs))
	tids := make(map[netip.AddrPort]uint32, len(addrs))
	defer func() {
		for to, tid := range tids {
			sockets[socketIndex(to)].drop(tid)
		}
	}()
	unsent := 0 // in a row
	for i := start; ; i++ {
		to := addrs[i%len(addrs)]
		s := sockets[socketIndex(to)]
		tid, known := tids[to]
		var err error
		if !known {
			if tid, err = s.expect(udpRequest{to: to, action: actionConnect, minLen: connectLen, answers: answers}); err == nil {
				tids[to] = tid
			}
		}
		if err == nil {
			err = s.send(appendUDPConnect(nil, tid), to)
		}
		if err != nil {
			if unsent++; unsent >= len(addrs) {
				return udpGrant{}, err
			}
			continue
		}
		unsent = 0
		a, waited, err := c.await(ctx, answers, n)
		if n = waited + 1; errors.Is(err, errNoAnswer) {
			continue
		}
		if err != nil {
			return udpGrant{}, err
		}
		for _, to := range addrs {
			if withoutZone(to) == a.from {
				return udpGrant{to: to, id: binary.BigEndian.Uint64(a.packet[8:]), until: time.Now().Add(udpIDLife)}, nil
			}
		}
	}
}

// await waits for an answer to the transmission that was made just now, number
// n, or a lower number if somebody joins for whom it is that: waited.
func (c *udpConnect) await(ctx context.Context, answers <-chan udpAnswer, n int) (a udpAnswer, waited int, err error) {
	sent := time.Now()
	timer := time.NewTimer(udpWait(n))
	defer timer.Stop()
	for {
		select {
		case a := <-answers:
			return a, n, a.err
		case <-timer.C:
			return udpAnswer{}, n, errNoAnswer
		case <-ctx.Done():
			return udpAnswer{}, n, ctx.Err()
		case other := <-c.joined:
			n = min(n, other)
			timer.Reset(time.Until(sent.Add(udpWait(n))))
		}
	}
}
