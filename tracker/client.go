package tracker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client announces to trackers and scrapes them. The zero value is ready for
// use; it may be used by any number of goroutines, and neither be copied nor
// changed after the first use.
//
// All UDP announces and scrapes of a client that are under way share one socket
// for each family; it is closed when the last of them has ended. Connection ids
// are kept for their minute. Nothing else stays between two announces, unless
// HTTP is set: then its connections are used again, see CloseIdleConnections.
type Client struct {
	// HTTP is what HTTP requests go through: its cookies, proxy, TLS settings
	// and timeouts apply. Its CheckRedirect is asked too, behind our limit of
	// five. nil: no proxy (not even from the environment), no cookies, a
	// connection for each announce, so that nothing is left open.
	//
	// If its transport is an *http.Transport (or nil), copies of that are used,
	// one for each family, which speak HTTP/1.1, read at most 64 KiB of header
	// fields (unless it says otherwise) and make their connections by its
	// DialContext, if there is one, asked for "tcp4" or "tcp6". Another
	// RoundTripper is used as it is, for each hop of a redirect anew; it can be
	// used to set header fields. With such a one, and through a proxy, the family
	// can't be chosen: Request.Family only rules out trackers whose URL has an
	// address of the other one.
	HTTP *http.Client
	// UserAgent is sent with HTTP requests; empty: "starling".
	UserAgent string
	// ListenPacket opens a socket for UDP trackers. The network is "udp4" or
	// "udp6", the address ":0". Its LocalAddr is asked once; connection ids are
	// used again if later sockets have the same one. nil: a socket of the system.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	// Resolve finds the addresses of a UDP tracker. nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Policy says which trackers may be asked; nil: [DefaultPolicy].
	Policy Policy
	// Timeout bounds a whole announce or scrape, from the name resolution to the
	// last byte, redirects and retransmissions included; 0: one minute over HTTP,
	// two over UDP, where lost packets are sent again.
	Timeout time.Duration
	// MinInterval is the least Interval and MinInterval that an answer is
	// believed to ask for; 0: one minute. Lower it only for trackers of your own.
	MinInterval time.Duration

	web  httpState
	udp  udpState
	once sync.Once // fills web
}

const (
	httpTimeout      = time.Minute
	udpTimeout       = 2 * time.Minute
	defaultUserAgent = "starling"
	maxRedirects     = 5
)

// Announce tells the tracker at the announce URL about us and returns its
// answer.
//
// It ends when the answer is there, when Timeout is over or ctx ends, whichever
// comes first. The error, which names the tracker's host but never the rest of
// its URL (there may be a passkey in it), unwraps to one of *[FailureError],
// *[UnsupportedError], *[StatusError], *[PolicyError], [ErrNoAddress],
// [ErrMalformed], [ErrTooLarge], [ErrBadURL], a context's error, or what the
// network said.
//
// A name that does not exist has no address of either family: with
// Request.Family set, the error over HTTP is both ErrNoAddress and a
// *net.DNSError.
func (c *Client) Announce(ctx context.Context, announceURL string, r Request) (Response, error) {
	u, err := parseURL(announceURL)
	if err != nil {
		return Response{}, fmt.Errorf("announce: %w", err)
	}
	ctx, cancel := c.bound(ctx, u)
	defer cancel()
	if r.Event == Stopped {
		r.NumWant = 0
	}
	r.Uploaded, r.Downloaded, r.Left = max(r.Uploaded, 0), max(r.Downloaded, 0), max(r.Left, 0)

	var resp Response
	if u.Scheme == "udp" {
		resp, err = c.announceUDP(ctx, u, r)
	} else {
		resp, err = c.announceHTTP(ctx, u, r)
	}
	if err != nil {
		return Response{}, describe(ctx, "announce", u, err)
	}
	return resp, nil
}

// CloseIdleConnections closes the connections to HTTP trackers that are kept for
// the next announce. It does not touch those of the user's own transport. To be
// called when the client is done with; it may go on being used.
func (c *Client) CloseIdleConnections() { c.http().closeIdle() }

// bound puts the deadline of a whole announce or scrape on the context.
func (c *Client) bound(ctx context.Context, u *url.URL) (context.Context, context.CancelFunc) {
	timeout := c.Timeout
	switch {
	case timeout > 0:
	case u.Scheme == "udp":
		timeout = udpTimeout
	default:
		timeout = httpTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

// describe makes of what went wrong the error that the caller gets.
func describe(ctx context.Context, verb string, u *url.URL, err error) error {
	// What a cut connection or a passed deadline makes the sockets say is of
	// no use to anybody: say which it was.
	if ctxErr := ctx.Err(); ctxErr != nil && !errors.As(err, new(*FailureError)) && !errors.As(err, new(*PolicyError)) {
		err = ctxErr
	}
	return fmt.Errorf("%s %s://%s: %w", verb, u.Scheme, printable(u.Host), err)
}

// parseURL reads an announce URL. The scheme of what it returns is one that we
// speak.
func parseURL(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxURL {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrBadURL, maxURL)
	}
	scheme, _, _ := strings.Cut(s, ":")
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "http", "https", "udp":
	default:
		if !strings.Contains(s, "://") {
			scheme = ""
		}
		return nil, &UnsupportedError{Scheme: printable(scheme)}
	}
	u, err := url.Parse(s)
	if err != nil {
		// The parser's own error quotes the URL, which may hold a passkey.
		return nil, fmt.Errorf("%w: not parsable", ErrBadURL)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%w: no host", ErrBadURL)
	}
	return u, nil
}

// floor returns the least interval to be believed.
func (c *Client) floor() time.Duration {
	if c.MinInterval > 0 {
		return c.MinInterval
	}
	return minInterval
}
