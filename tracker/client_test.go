package tracker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/leakcheck"
)

// The user's http.Client: cookies, header fields, User-Agent, proxy.
func TestT19_UserHTTPClient(t *testing.T) {
	leakcheck.Check(t)
	var got []http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header)
		http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(len(got))})
		io.WriteString(w, "d8:intervali60ee")
	}))
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	home, err := url.Parse(srv.URL)
	require.NoError(t, err)
	jar.SetCookies(home, []*http.Cookie{{Name: "pass", Value: "abc"}})
	inner := &http.Transport{}
	defer inner.CloseIdleConnections()
	c := &Client{UserAgent: "mine/2", HTTP: &http.Client{Jar: jar, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Account", "me")
		return inner.RoundTrip(r)
	})}}
	for range 2 {
		_, err = c.Announce(t.Context(), srv.URL+"/announce", Request{})
		require.NoError(t, err)
	}
	require.Equal(t, "pass=abc", got[0].Get("Cookie"))
	require.Equal(t, "pass=abc; session=1", got[1].Get("Cookie"))
	require.Equal(t, "me", got[1].Get("X-Account"))
	require.Equal(t, "mine/2", got[1].Get("User-Agent"))

	plain := &Client{HTTP: &http.Client{Jar: jar, Transport: inner}}
	_, err = plain.Scrape(t.Context(), srv.URL+"/announce", goldenHash)
	require.ErrorIs(t, err, ErrMalformed)
	require.Equal(t, "pass=abc; session=2", got[2].Get("Cookie"))
	require.Equal(t, "starling", got[2].Get("User-Agent"))
	plain.CloseIdleConnections()
}

// Connections are kept for the next announce only by who asks for it.
func TestKeepAlive(t *testing.T) {
	leakcheck.Check(t)
	connections := make(map[string]bool)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true
		w.Write([]byte(pack("d8:intervali60ee")))
	}))
	defer srv.Close()
	for want, c := range map[int]*Client{1: {HTTP: &http.Client{Transport: &http.Transport{}}}, 3: {}} {
		clear(connections)
		for range 3 {
			_, err := c.Announce(t.Context(), srv.URL+"/announce", Request{})
			require.NoError(t, err)
		}
		require.Len(t, connections, want)
		c.CloseIdleConnections()
	}
	new(Client).CloseIdleConnections()
}

// Certificates are looked at, unless the user's own client says what to trust.
func TestRT12_Certificates(t *testing.T) {
	leakcheck.Check(t)
	for _, http2 := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "d8:intervali60ee")
		}))
		srv.EnableHTTP2 = http2
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		var bad *tls.CertificateVerificationError
		for _, c := range []*Client{{}, {HTTP: &http.Client{Transport: &http.Transport{}}}} {
			_, err := c.Announce(t.Context(), srv.URL+"/announce?secret", Request{})
			require.ErrorAs(t, err, &bad)
			require.NotContains(t, err.Error(), "secret")
			c.CloseIdleConnections()
		}
		trusting := &Client{HTTP: srv.Client()}
		for _, f := range []Family{AnyFamily, IPv4} {
			_, err := trusting.Announce(t.Context(), srv.URL+"/announce", Request{Family: f})
			require.NoError(t, err)
		}
		_, err := trusting.Announce(t.Context(), srv.URL+"/announce", Request{Family: IPv6})
		require.ErrorIs(t, err, ErrNoAddress)
		trusting.CloseIdleConnections()
		srv.Close()
	}
}

// A transport's own ways of dialing stay in use.
func TestUserDialers(t *testing.T) {
	leakcheck.Check(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "d8:intervali60ee")
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	trust := srv.Client().Transport.(*http.Transport).TLSClientConfig
	addr := srv.Listener.Addr().String()
	for name, transport := range map[string]*http.Transport{
		"Dial":    {TLSClientConfig: trust, Dial: func(network, _ string) (net.Conn, error) { return net.Dial(network, addr) }},
		"DialTLS": {DialTLS: func(network, _ string) (net.Conn, error) { return tls.Dial(network, addr, trust) }},
		"DialTLSContext": {DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: trust}).DialContext(ctx, network, addr)
		}},
	} {
		c := &Client{HTTP: &http.Client{Transport: transport}}
		_, err := c.Announce(t.Context(), "https://example.com/announce", Request{Family: IPv4})
		require.NoError(t, err, name)
		_, err = c.Announce(t.Context(), "https://example.com/admin", Request{Family: IPv4})
		require.ErrorIs(t, err, errLocalPath, name)
		c.CloseIdleConnections()
	}
}

// The program's standard transport may be one of its own.
func TestDefaultTransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = answering(200, "d8:intervali60ee").HTTP.Transport
	c := &Client{HTTP: &http.Client{}}
	_, err := c.Announce(t.Context(), "http://h.example/announce", Request{})
	require.NoError(t, err)
	http.DefaultTransport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("dialed")
	}}
	c = &Client{HTTP: &http.Client{}}
	_, err = c.Announce(t.Context(), "http://h.example/announce", Request{})
	require.ErrorContains(t, err, "dialed")
}

// T24, T25, T33 and T6, as they stand in a query.
func TestT25_ReportedAddress(t *testing.T) {
	for ip, want := range map[string]string{
		"": "", "10.0.0.1": "&ip=10.0.0.1", "2001:db8::1": "&ip=2001%3Adb8%3A%3A1", "me.example.org": "&ip=me.example.org", "a&b=c d": "&ip=a%26b%3Dc%20d",
	} {
		q := string(appendQuery(nil, &Request{IP: ip}))
		require.Equal(t, "&compact=1&no_peer_id=1&numwant=0"+want, q[len(q)-len(want)-len("&compact=1&no_peer_id=1&numwant=0"):])
	}
}

func TestT24_Completed(t *testing.T) {
	require.Contains(t, string(appendQuery(nil, &Request{Event: Completed})), "&event=completed&")
}

func TestT33_PartialSeed(t *testing.T) {
	for event, want := range map[Event]string{None: "paused", Started: "started", Completed: "completed", Stopped: "stopped"} {
		require.Contains(t, string(appendQuery(nil, &Request{Event: event, PartialSeed: true})), "&event="+want+"&")
	}
	require.NotContains(t, string(appendQuery(nil, &Request{})), "event=")
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for where, want := range map[string]time.Duration{"http://h/a": time.Minute, "https://h/a": time.Minute, "udp://h:1": 2 * time.Minute} {
			u, err := parseURL(where)
			require.NoError(t, err)
			for timeout, want := range map[time.Duration]time.Duration{0: want, -1: want, time.Second: time.Second} {
				ctx, cancel := (&Client{Timeout: timeout}).bound(t.Context(), u)
				until, _ := ctx.Deadline()
				require.Equal(t, time.Now().Add(want), until)
				cancel()
			}
		}
	})
}
