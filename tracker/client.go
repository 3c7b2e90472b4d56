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

// Client announces to trackers. The zero value is ready for use; it may be used
// by any number of goroutines, and neither be copied nor changed after the
// first use.
type Client struct {
	// HTTP is what HTTP announces go through: its cookies, proxy, TLS settings
	// and timeouts apply. Its CheckRedirect is asked too, behind our limit of
	// five. nil: no proxy (not even from the environment), no cookies, a
	// connection for each announce, so that nothing is left open.
	HTTP *http.Client
	// UserAgent is sent with HTTP announces; empty: "starling".
	UserAgent string
	// ListenPacket opens the socket of a UDP announce, which closes it at its
	// end. The network is "udp4" or "udp6". nil: a socket of the system.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	// Resolve finds the addresses of a UDP tracker. nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Timeout bounds a whole announce, from the name resolution to the last
	// byte, redirects and retransmissions included; 0: one minute.
	Timeout time.Duration
	// MinInterval is the least Interval and MinInterval that an answer is
	// believed to ask for; 0: one minute. Lower it only for trackers of your own.
	MinInterval time.Duration

	std      http.Client // used if HTTP is nil
	initHTTP sync.Once
}

const (
	defaultTimeout   = time.Minute
	defaultUserAgent = "starling"
	maxRedirects     = 5
)

// Announce tells the tracker at the announce URL about us and returns its
// answer.
//
// It ends when the answer is there, when Timeout is over or ctx ends, whichever
// comes first. The error, which names the tracker's host but never the rest of
// its URL (there may be a passkey in it), unwraps to one of *[FailureError],
// *[UnsupportedError], *[StatusError], [ErrMalformed], [ErrTooLarge],
// [ErrBadURL], a context's error, or what the network said.
func (c *Client) Announce(ctx context.Context, announceURL string, r Request) (Response, error) {
	u, err := parseURL(announceURL)
	if err != nil {
		return Response{}, fmt.Errorf("announce: %w", err)
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if r.Event == Stopped {
		r.NumWant = 0
	}
	r.Uploaded, r.Downloaded, r.Left = max(r.Uploaded, 0), max(r.Downloaded, 0), max(r.Left, 0)

	var resp Response
	switch u.Scheme {
	case "http", "https":
		resp, err = c.announceHTTP(ctx, u, r)
	case "udp":
		resp, err = c.announceUDP(ctx, u, r)
	}
	if err != nil {
		// What a cut connection or a passed deadline makes the sockets say is of
		// no use to anybody: say which it was.
		if ctxErr := ctx.Err(); ctxErr != nil && !errors.As(err, new(*FailureError)) {
			err = ctxErr
		}
		return Response{}, fmt.Errorf("announce %s://%s: %w", u.Scheme, printable(u.Host), err)
	}
	return resp, nil
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
