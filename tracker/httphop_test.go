package tracker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/leakcheck"
)

// anywhere permits everything.
func anywhere(Hop) error { return nil }

// addressed is a connection in memory that claims to lead somewhere.
type addressed struct {
	net.Conn
	to netip.AddrPort
}

func (c addressed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.to) }

// fakeNet is a network in memory: hosts by name, and an HTTP server that is
// behind all of their addresses.
type fakeNet struct {
	mu    sync.Mutex
	hosts map[string]string // name to address; guarded by mu
	dials []string          // network and address of each dial; guarded by mu
	got   []string          // address and URL of each request that came; guarded by mu
	serve func(r *http.Request) string
}

func (f *fakeNet) set(name, addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts[name] = addr
}

// requests returns what came since the last call.
func (f *fakeNet) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.got = nil }()
	return f.got
}

func (f *fakeNet) dial(_ context.Context, network, address string) (net.Conn, error) {
	host, port, _ := net.SplitHostPort(address)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials = append(f.dials, network+" "+address)
	if to, ok := f.hosts[host]; ok {
		host = to
	}
	a, err := netip.ParseAddr(host)
	if err != nil || network == "tcp4" && a.Is6() || network == "tcp6" && a.Is4() {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		r := bufio.NewReader(far)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.got = append(f.got, host+" "+req.Host+req.URL.Path)
			f.mu.Unlock()
			if _, err := io.WriteString(far, f.serve(req)); err != nil {
				return
			}
		}
	}()
	return addressed{near, netip.MustParseAddrPort(net.JoinHostPort(host, port))}, nil
}

// client returns a client in the network, whose connections are closed with the
// test.
func (f *fakeNet) client(t *testing.T) *Client {
	transport := &http.Transport{DialContext: f.dial}
	c := &Client{HTTP: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		c.CloseIdleConnections()
		transport.CloseIdleConnections()
	})
	return c
}

func bencoded(*http.Request) string { return httpAnswer("d8:intervali60ee") }

func httpAnswer(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func redirectTo(where string) string {
	return "HTTP/1.1 302 Found\r\nLocation: " + where + "\r\nContent-Length: 0\r\n\r\n"
}

// Redirects are followed, but not for ever, not elsewhere than to HTTP, and
// without telling the next tracker the first one's URL.
func TestRT10_Redirects(t *testing.T) {
	leakcheck.Check(t)
	var hops atomic.Int32
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	to := func(pattern, where string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			hops.Add(1)
			w.Header().Set("Location", where)
			w.WriteHeader(http.StatusFound)
		})
	}
	to("/announce/loop", "/announce/loop")
	to("/announce/file", "file:///etc/passwd")
	to("/announce/udp", "udp://127.0.0.1:1/announce")
	to("/announce/broken", "http://[secret")
	mux.HandleFunc("/announce/once", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/announce/there?"+r.URL.RawQuery, http.StatusMovedPermanently)
	})
	mux.HandleFunc("/announce/there", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" || r.Header.Get("User-Agent") != "starling" || r.URL.Query().Get("port") != "7" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		io.WriteString(w, "d8:intervali1ee")
	})
	var c Client
	_, err := c.Announce(t.Context(), srv.URL+"/announce/loop", Request{})
	require.ErrorContains(t, err, "more than 5 redirects")
	require.Equal(t, int32(6), hops.Load())
	for _, scheme := range []string{"file", "udp"} {
		_, err = c.Announce(t.Context(), srv.URL+"/announce/"+scheme, Request{})
		require.ErrorAs(t, err, new(*UnsupportedError))
	}
	_, err = c.Announce(t.Context(), srv.URL+"/announce/broken", Request{})
	require.ErrorIs(t, err, ErrBadURL)
	require.NotContains(t, err.Error(), "secret")
	_, err = c.Announce(t.Context(), srv.URL+"/announce/once?secret", Request{Port: 7})
	require.NoError(t, err)

	refuse := errors.New("stay here")
	mine := Client{HTTP: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return refuse },
	}}
	_, err = mine.Announce(t.Context(), srv.URL+"/announce/once?secret", Request{Port: 7})
	require.ErrorIs(t, err, refuse)
	require.NotContains(t, err.Error(), "secret")
}

// What a URL says of its user stays with its host.
func TestRT10_CredentialsStay(t *testing.T) {
	var seen []string
	f := &fakeNet{hosts: map[string]string{"a.example": "1.0.0.1", "b.example": "1.0.0.2"}, serve: func(r *http.Request) string {
		user, password, _ := r.BasicAuth()
		seen = append(seen, r.Host+r.URL.Path+" "+user+":"+password+" "+r.Referer())
		switch {
		case r.Host == "b.example":
			return bencoded(r)
		case r.URL.Path == "/announce":
			return redirectTo("/second")
		}
		return redirectTo("http://x:y@b.example/announce")
	}}
	c := f.client(t)
	_, err := c.Announce(t.Context(), "http://me:secret@a.example/announce", Request{})
	require.NoError(t, err)
	require.Equal(t, []string{"a.example/announce me:secret ", "a.example/second me:secret ", "b.example/announce : "}, seen)

	f.serve = func(*http.Request) string { return redirectTo("http://b.example/announce") }
	_, err = c.Announce(t.Context(), "http://me:secret@a.example/announce", Request{})
	require.ErrorContains(t, err, "redirects")
	require.NotContains(t, err.Error(), "secret")
	require.NotContains(t, err.Error(), "me")
}

// A redirect from outside does not reach into the network of who announces.
func TestRT10_RedirectInwards(t *testing.T) {
	for _, test := range []struct {
		from, to string
		ok       bool
	}{
		{"1.0.0.1", "http://2.0.0.2/x", true},
		{"1.0.0.1", "http://127.0.0.1/announce", false},
		{"1.0.0.1", "http://inside.example/announce", false},
		{"1.0.0.1", "http://private.example/announce", false},
		{"1.0.0.1", "http://localhost/announce", false},
		{"1.0.0.1", "http://[fe80::1]/announce", false},
		{"1.0.0.1", "http://[fd00::1]/announce", false},
		{"1.0.0.1", "http://[::ffff:10.0.0.1]/announce", false},
		{"1.0.0.1", "http://100.64.0.1/announce", false},
		{"10.0.0.1", "http://private.example/x", true},
		{"10.0.0.1", "http://127.0.0.1/x", false},
		{"10.0.0.1", "http://127.0.0.1/announce", true},
	} {
		f := &fakeNet{hosts: map[string]string{"first.example": test.from, "inside.example": "127.0.0.1", "private.example": "10.0.0.7"}}
		f.serve = func(r *http.Request) string {
			if r.Host == "first.example" {
				return redirectTo(test.to)
			}
			return bencoded(r)
		}
		c := f.client(t)
		_, err := c.Announce(t.Context(), "http://first.example/announce", Request{})
		if test.ok {
			require.NoError(t, err, "%+v", test)
			require.Len(t, f.requests(), 2)
		} else {
			var refused *PolicyError
			require.ErrorAs(t, err, &refused, "%+v", test)
			require.Len(t, f.requests(), 1, "%+v", test)
		}
	}
}

// Public, then a loop through a private one: the chain is looked at hop by hop.
func TestRT10_ChainOfHops(t *testing.T) {
	f := &fakeNet{hosts: map[string]string{"a.example": "10.0.0.1", "b.example": "1.0.0.1"}}
	f.serve = func(r *http.Request) string {
		if r.Host == "a.example" {
			return redirectTo("http://b.example/announce")
		}
		return redirectTo("http://10.0.0.2/announce")
	}
	var hops []Hop
	c := f.client(t)
	c.Policy = func(h Hop) error {
		hops = append(hops, h)
		return DefaultPolicy(h)
	}
	_, err := c.Announce(t.Context(), "http://a.example/announce", Request{})
	require.ErrorIs(t, err, errToInternal)
	require.Equal(t, []string{"10.0.0.1 a.example/announce", "1.0.0.1 b.example/announce"}, f.requests())
	last := hops[len(hops)-1]
	require.True(t, last.Redirect)
	require.Equal(t, "1.0.0.1", last.From.String())
	require.False(t, hops[0].Redirect)
	require.False(t, hops[0].Addr.IsValid())
}

// The name's address is looked at when it is used: what it was before, or on an
// earlier connection, does not count.
func TestRT11_Rebinding(t *testing.T) {
	f := &fakeNet{hosts: map[string]string{"h.example": "1.0.0.1"}, serve: bencoded}
	c := f.client(t)
	_, err := c.Announce(t.Context(), "http://h.example/a.php", Request{})
	require.NoError(t, err)
	c.CloseIdleConnections()
	f.set("h.example", "127.0.0.1")
	var refused *PolicyError
	_, err = c.Announce(t.Context(), "http://h.example/a.php", Request{})
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "127.0.0.1", refused.Addr.String())
	require.ErrorIs(t, err, errLocalPath)
	require.Equal(t, []string{"1.0.0.1 h.example/a.php"}, f.requests())
	require.NotContains(t, err.Error(), "a.php")
}

// A connection that may be used for one path may not be for another.
func TestRT11_PooledConnection(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		f := &fakeNet{hosts: map[string]string{"h.example": "127.0.0.1"}, serve: bencoded}
		c := f.client(t)
		inner := c.HTTP.Transport.(*http.Transport)
		if wrapped {
			c.HTTP.Transport = roundTrip(inner.RoundTrip)
		}
		for range 2 {
			_, err := c.Announce(t.Context(), "http://h.example/announce", Request{})
			require.NoError(t, err)
		}
		require.Len(t, f.dials, 1, "kept open")
		_, err := c.Announce(t.Context(), "http://h.example/admin", Request{})
		require.ErrorIs(t, err, errLocalPath)
		require.ErrorAs(t, err, new(*PolicyError))
		require.Equal(t, []string{"127.0.0.1 h.example/announce", "127.0.0.1 h.example/announce"}, f.requests())
	}
}

// Our own dialer refuses before the first packet, a user's connection is closed
// before the first byte, also that of a TLS greeting.
func TestRT11_NothingIsSent(t *testing.T) {
	leakcheck.Check(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	got := make(chan int64, 10) // bytes of each connection
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, conn)
			conn.Close()
			got <- n
		}
	}()
	for _, scheme := range []string{"http", "https"} {
		var own Client
		_, err = own.Announce(t.Context(), scheme+"://"+l.Addr().String()+"/admin", Request{})
		require.ErrorIs(t, err, errLocalPath)
		byName := Client{HTTP: &http.Client{Transport: &http.Transport{}}, Policy: func(h Hop) error {
			if h.Addr.IsValid() {
				return errors.New("not there")
			}
			return nil
		}}
		_, err = byName.Announce(t.Context(), scheme+"://"+l.Addr().String()+"/announce", Request{})
		require.ErrorContains(t, err, "not permitted: 127.0.0.1: not there")
	}
	for _, scheme := range []string{"http", "https"} {
		theirs := Client{HTTP: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		}}}}
		_, err = theirs.Announce(t.Context(), scheme+"://h.example/x", Request{})
		require.ErrorIs(t, err, errLocalPath)
		require.Zero(t, <-got)
	}
	// Had our own dialer connected, it would have been before these two.
	l.Close()
	<-done
	require.Empty(t, got)
}

// Behind a proxy only URLs are seen, and the family is the proxy's affair.
func TestRT11_Proxy(t *testing.T) {
	f := &fakeNet{hosts: map[string]string{"proxy.example": "127.0.0.1"}}
	f.serve = func(r *http.Request) string {
		if r.URL.Host == "out.example" {
			return redirectTo("http://direct.example/announce")
		}
		return bencoded(r)
	}
	f.set("direct.example", "10.0.0.1")
	proxy := &url.URL{Scheme: "http", Host: "proxy.example:3128"}
	c := f.client(t)
	c.HTTP.Transport.(*http.Transport).Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == "direct.example" {
			return nil, nil
		}
		return proxy, nil
	}
	wrapped := &Client{HTTP: &http.Client{Transport: roundTrip(c.HTTP.Transport.(*http.Transport).RoundTrip)}}
	for _, c := range []*Client{c, wrapped} {
		_, err := c.Announce(t.Context(), "http://h.example/x", Request{Family: IPv6})
		require.NoError(t, err)
		_, err = c.Announce(t.Context(), "http://127.0.0.1/x", Request{})
		require.ErrorIs(t, err, errLocalPath)
		_, err = c.Announce(t.Context(), "http://10.0.0.1/x", Request{Family: IPv6})
		require.ErrorIs(t, err, ErrNoAddress)
		require.Equal(t, []string{"127.0.0.1 h.example/x"}, f.requests())
		_, err = c.Announce(t.Context(), "http://out.example/x", Request{})
		require.ErrorIs(t, err, errToInternal, "what the proxy hides counts as public")
		require.Equal(t, []string{"127.0.0.1 out.example/x"}, f.requests())
	}
}

// BEP 7: an announce goes over the family it is for, also when connections of
// the other one are open.
func TestBEP7_HTTPFamily(t *testing.T) {
	f := &fakeNet{hosts: map[string]string{"four.example": "1.0.0.1"}, serve: bencoded}
	c := f.client(t)
	_, err := c.Announce(t.Context(), "http://four.example/announce", Request{Family: IPv4})
	require.NoError(t, err)
	_, err = c.Announce(t.Context(), "http://four.example/announce", Request{Family: IPv6})
	require.ErrorIs(t, err, ErrNoAddress)
	require.ErrorAs(t, err, new(*net.DNSError))
	_, err = c.Announce(t.Context(), "http://four.example/announce", Request{})
	require.NoError(t, err)
	require.Equal(t, []string{"tcp4 four.example:80", "tcp6 four.example:80", "tcp four.example:80"}, f.dials)
	for host, family := range map[string]Family{"1.0.0.1": IPv6, "[2001:db8::1]": IPv4, "[::ffff:1.0.0.1]": IPv6} {
		_, err = c.Announce(t.Context(), "http://"+host+"/announce", Request{Family: family})
		require.ErrorIs(t, err, ErrNoAddress)
	}
	require.Len(t, f.dials, 3)
}

// The same with sockets of the system, and names out of its hosts file.
func TestBEP7_HTTPFamilyOverLoopback(t *testing.T) {
	leakcheck.Check(t)
	for family, addr := range map[Family]string{IPv4: "127.0.0.1:0", IPv6: "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Log("no such loopback:", err)
			continue
		}
		var from atomic.Value
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from.Store(r.RemoteAddr)
			io.WriteString(w, "d8:intervali60ee")
		})}
		go srv.Serve(l)
		var c Client
		_, err = c.Announce(t.Context(), "http://"+l.Addr().String()+"/announce", Request{Family: family})
		require.NoError(t, err)
		require.True(t, family.Of(netip.MustParseAddrPort(from.Load().(string)).Addr()))
		_, err = c.Announce(t.Context(), "http://"+l.Addr().String()+"/announce", Request{Family: IPv4 + IPv6 - family})
		require.ErrorIs(t, err, ErrNoAddress)
		srv.Close()
	}
}

// Header fields of the user's transport limit, or ours.
func TestRT7_Headers(t *testing.T) {
	for limit, size := range map[int64]int{0: 65 << 10, 1000: 6000} {
		f := &fakeNet{hosts: map[string]string{"h.example": "1.0.0.1"}}
		f.serve = func(*http.Request) string {
			return "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("x", size) + "\r\nContent-Length: 16\r\n\r\nd8:intervali60ee"
		}
		c := f.client(t)
		c.HTTP.Transport.(*http.Transport).MaxResponseHeaderBytes = limit
		_, err := c.Announce(t.Context(), "http://h.example/announce", Request{})
		require.ErrorContains(t, err, "exceeded")
		size /= 10
		_, err = c.Announce(t.Context(), "http://h.example/announce", Request{})
		require.NoError(t, err)
	}
}

// What a server says, net/http quotes: it comes out short and printable, and
// never with our passkey.
func TestErrorsAreDiscreet(t *testing.T) {
	for name, answer := range map[string]func(r *http.Request) string{
		"mirror": func(r *http.Request) string { return r.URL.Path + "?" + r.URL.RawQuery + "\r\n\r\n" },
		"long":   func(*http.Request) string { return strings.Repeat("\x1b", 5000) + "\r\n\r\n" },
		"header": func(r *http.Request) string { return "HTTP/1.1 200 OK\r\n" + r.URL.Path + "\r\n\r\n" },
		"moved":  func(r *http.Request) string { return redirectTo("http://[" + r.URL.Path) },
		"scheme": func(r *http.Request) string { return redirectTo("x:" + r.URL.Path) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeNet{hosts: map[string]string{"h.example": "1.0.0.1"}, serve: answer}
			_, err := f.client(t).Announce(t.Context(), "http://h.example/passkey0123/announce?secret=1", Request{})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "passkey")
			require.NotContains(t, err.Error(), "secret")
			requireShort(t, err.Error())
		})
	}
}
