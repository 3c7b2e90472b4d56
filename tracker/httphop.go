package tracker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxHeaders  = 64 << 10 // bytes of an answer's header fields
	dialTimeout = 15 * time.Second
	idleTimeout = 90 * time.Second // of connections kept open, if the user sets no other
)

// httpState is what HTTP requests of a client go through. It is the RoundTripper
// of a copy of the user's http.Client: between that one, which follows redirects
// and keeps cookies, and the transports, it sees every hop.
type httpState struct {
	client http.Client
	direct [3]*http.Transport // by family; nil if the user's RoundTripper is something else:
	other  http.RoundTripper
	proxy  func(*http.Request) (*url.URL, error) // the user's; may be nil
	policy Policy
}

func (c *Client) http() *httpState {
	c.once.Do(func() { c.web.fill(c.HTTP, c.Policy) })
	return &c.web
}

func (s *httpState) fill(user *http.Client, policy Policy) {
	base := &http.Transport{TLSHandshakeTimeout: dialTimeout, DisableKeepAlives: true}
	if user != nil {
		s.client = *user
		switch t := user.Transport.(type) {
		case nil:
			base, _ = http.DefaultTransport.(*http.Transport)
			s.other = http.DefaultTransport
		case *http.Transport:
			base = t
		default:
			base, s.other = nil, t
		}
	}
	if base != nil {
		s.other, s.proxy = nil, base.Proxy
		for f := range s.direct {
			s.direct[f] = cloneFor(base, Family(f))
		}
	}
	s.policy = policy
	s.client.Transport = s
	s.client.CheckRedirect = limitRedirects(s.client.CheckRedirect)
}

func (s *httpState) closeIdle() {
	for _, t := range s.direct {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
}

// cloneFor copies a transport for connections of one family.
func cloneFor(base *http.Transport, f Family) *http.Transport {
	t := base.Clone()
	// HTTP/1.1 only: a connection then belongs to one request at a time and can
	// be closed when it leads where we must not go.
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2, t.HTTP2 = false, nil
	t.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = nil
	}
	if t.MaxResponseHeaderBytes <= 0 {
		t.MaxResponseHeaderBytes = maxHeaders
	}
	if t.IdleConnTimeout <= 0 {
		t.IdleConnTimeout = idleTimeout
	}
	// The proxy was chosen when the hop began.
	t.Proxy = func(r *http.Request) (*url.URL, error) { return hopOf(r.Context()).proxy, nil }

	dial := t.DialContext
	if dial == nil && t.Dial != nil {
		old := t.Dial
		dial = func(_ context.Context, network, address string) (net.Conn, error) { return old(network, address) }
	}
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, ControlContext: checkBeforeDial}).DialContext
	}
	t.DialContext, t.Dial = dialHop(dial, f), nil
	if old := t.DialTLS; old != nil && t.DialTLSContext == nil {
		t.DialTLSContext = func(_ context.Context, network, address string) (net.Conn, error) { return old(network, address) }
	}
	if t.DialTLS = nil; t.DialTLSContext != nil {
		t.DialTLSContext = dialHop(t.DialTLSContext, f)
	}
	return t
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialHop makes connections of one family, and closes those that the policy does
// not permit before anything (a TLS greeting, say) is sent.
func dialHop(dial dialFunc, f Family) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		switch f {
		case IPv4:
			network = "tcp4"
		case IPv6:
			network = "tcp6"
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			if f != AnyFamily && noAddress(err) {
				err = fmt.Errorf("%w: %w", ErrNoAddress, err)
			}
			return nil, err
		}
		if err := hopOf(ctx).check(addrPort(conn.RemoteAddr()).Addr()); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// noAddress says whether a dial failed because the name has no address of the
// network that was asked for. Package net says so in one of two ways: by the
// resolver, or after it when the resolver found others.
func noAddress(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, new(*net.AddrError))
}

// checkBeforeDial is for our own dialer: it refuses before the first packet.
func checkBeforeDial(ctx context.Context, _, address string, _ syscall.RawConn) error {
	ap, _ := netip.ParseAddrPort(address)
	return hopOf(ctx).check(ap.Addr().Unmap())
}

// walk is one announce's way through its redirects. Its requests follow one
// another, so it needs no lock.
type walk struct {
	family Family
	hops   []*url.URL // so far
	last   netip.Addr // where the last one went
}

type (
	walkKey struct{}
	hopKey  struct{}
)

// hopOf returns the hop that a context belongs to. Those of our transports
// always belong to one.
func hopOf(ctx context.Context) *hop {
	h, _ := ctx.Value(hopKey{}).(*hop)
	if h == nil {
		h = new(hop)
	}
	return h
}

// hop is one request on its way. Dials may outlive it.
type hop struct {
	// Constant once the transport has it.
	about   Hop // without Addr
	policy  Policy
	proxy   *url.URL
	foreign bool // the transport is not one of ours: it may go through a proxy without telling

	mu      sync.Mutex
	hidden  bool       // it does; guarded by mu, like all below
	addr    netip.Addr // of the connection that the transport picked
	refused error      // what the policy says of it
}

// check asks the policy about an address that is about to be used. What has no
// IP address (a connection in memory) and proxies are not asked about.
func (h *hop) check(a netip.Addr) error {
	if h.proxy != nil || h.about.URL == nil || !a.IsValid() {
		return nil
	}
	about := h.about
	about.Addr = a
	return h.policy.permit(about)
}

// trace follows a request into a transport: whichever connection that one picks,
// new or used before, is looked at before the request is written.
func (h *hop) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(hostPort string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.hidden = h.foreign && !strings.EqualFold(hostPort, hostAndPort(h.about.URL))
		},
		GotConn: func(info httptrace.GotConnInfo) {
			h.mu.Lock()
			hidden := h.hidden || h.proxy != nil
			h.mu.Unlock()
			a := addrPort(info.Conn.RemoteAddr()).Addr()
			if hidden || !a.IsValid() {
				return
			}
			err := h.check(a)
			if err != nil {
				// Nobody writes to it yet: the transport finds it closed.
				info.Conn.Close()
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.addr, h.refused = a, err
		},
	}
}

// outcome returns where the hop went, and an error if it must not have.
func (h *hop) outcome() (netip.Addr, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.addr.IsValid() {
		return literal(h.about.URL.Hostname()), h.refused
	}
	return h.addr, h.refused
}

func hostAndPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// RoundTrip makes one hop. It is called by net/http.
func (s *httpState) RoundTrip(req *http.Request) (*http.Response, error) {
	w, _ := req.Context().Value(walkKey{}).(*walk)
	if w == nil {
		w = new(walk)
	}
	h := &hop{policy: s.policy, about: Hop{URL: req.URL, Redirect: len(w.hops) > 0, From: w.last}}
	w.hops = append(w.hops, req.URL)
	if err := s.policy.permit(h.about); err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(req.URL.Hostname()); err == nil && !w.family.Of(a) {
		return nil, ErrNoAddress
	}
	transport := s.other
	if h.foreign = transport != nil; !h.foreign {
		family := w.family
		if s.proxy != nil {
			proxy, err := s.proxy(req)
			if err != nil {
				return nil, err
			}
			if h.proxy = proxy; proxy != nil {
				family = AnyFamily
			}
		}
		transport = s.direct[min(family, IPv6)]
	}
	ctx := context.WithValue(req.Context(), hopKey{}, h)
	res, err := transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, h.trace())))
	addr, refused := h.outcome()
	if w.last = addr; err == nil && refused == nil && res.StatusCode/100 == 3 {
		// net/http would quote one that it can't read.
		if _, bad := url.Parse(res.Header.Get("Location")); bad != nil {
			refused = fmt.Errorf("redirect: %w", ErrBadURL)
		}
	}
	if refused == nil {
		return res, err
	}
	if res != nil {
		res.Body.Close()
	}
	return nil, refused
}

// limitRedirects bounds how far a request is sent about, and what goes along.
func limitRedirects(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
			return fmt.Errorf("redirect: %w", &UnsupportedError{Scheme: printable(req.URL.Scheme)})
		}
		// It would carry the first tracker's passkey to the second.
		req.Header.Del("Referer")
		if !strings.EqualFold(req.URL.Host, via[0].URL.Host) {
			req.URL.User = nil
			req.Header.Del("Authorization")
		}
		if next != nil {
			return next(req, via)
		}
		return nil
	}
}
