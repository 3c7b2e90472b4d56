package tracker

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// announceHTTP makes one announce over HTTP or HTTPS (BEP 3).
func (c *Client) announceHTTP(ctx context.Context, u *url.URL, r Request) (Response, error) {
	target := *u
	target.Fragment, target.RawFragment = "", ""
	// A space would end the request line early.
	own := strings.ReplaceAll(strings.TrimRight(u.RawQuery, "&"), " ", "%20")
	if own != "" {
		own += "&"
	}
	target.RawQuery = string(appendQuery([]byte(own), &r))

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return Response{}, fmt.Errorf("%w: not usable for HTTP", ErrBadURL)
	}
	agent := c.UserAgent
	if agent == "" {
		agent = defaultUserAgent
	}
	req.Header.Set("User-Agent", agent)
	// Asking by ourselves keeps net/http from unpacking, so that both sizes
	// can be bounded.
	req.Header.Set("Accept-Encoding", "gzip")

	res, err := c.httpClient().Do(req)
	if err != nil {
		// *url.Error quotes the whole URL, passkey included.
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		return Response{}, err
	}
	defer res.Body.Close()
	body, err := readBody(res)
	if err != nil {
		if !success(res.StatusCode) {
			err = &StatusError{res.StatusCode}
		}
		return Response{}, err
	}
	resp, err := parseAnnounce(body, c.floor())
	// Many trackers refuse with a status and a reason: the reason says more.
	if !success(res.StatusCode) && !errors.As(err, new(*FailureError)) {
		return Response{}, &StatusError{res.StatusCode}
	}
	return resp, err
}

func success(code int) bool { return code >= 200 && code < 300 }

// appendQuery appends the parameters of an announce. The first ones stand in
// the order in which clients have always sent them; a few old trackers match
// the query as text.
func appendQuery(b []byte, r *Request) []byte {
	b = appendEscaped(append(b, "info_hash="...), r.InfoHash[:])
	b = appendEscaped(append(b, "&peer_id="...), r.PeerID[:])
	number := func(key string, n int64) {
		b = strconv.AppendInt(append(b, key...), n, 10)
	}
	number("&port=", int64(r.Port))
	number("&uploaded=", r.Uploaded)
	number("&downloaded=", r.Downloaded)
	number("&left=", r.Left)
	if event := r.Event.String(); event != "" {
		b = append(append(b, "&event="...), event...)
	} else if r.PartialSeed {
		b = append(b, "&event=paused"...) // BEP 21
	}
	b = append(b, "&compact=1&no_peer_id=1"...) // BEP 23
	if r.NumWant >= 0 {
		number("&numwant=", int64(r.NumWant))
	}
	if r.Key != 0 {
		b = fmt.Appendf(b, "&key=%08X", r.Key)
	}
	if r.IP != "" {
		b = appendEscaped(append(b, "&ip="...), []byte(r.IP))
	}
	if r.TrackerID != "" {
		b = appendEscaped(append(b, "&trackerid="...), []byte(r.TrackerID))
	}
	return b
}

// appendEscaped percent-encodes all but the unreserved bytes of RFC 3986,
// section 2.3, which stay bare as the first clients wrote them.
func appendEscaped(b, raw []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range raw {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// readBody returns the unpacked body. Packed bodies are recognised by their
// label or, since some trackers pack without being asked and do not say so, by
// their first bytes, with which no bencoded value begins.
func readBody(res *http.Response) ([]byte, error) {
	raw, err := readLimited(res.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: cut short", ErrMalformed)
	}
	if err != nil {
		return nil, err
	}
	label := strings.ToLower(strings.TrimSpace(res.Header.Get("Content-Encoding")))
	if label != "gzip" && label != "x-gzip" && !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		return raw, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: gzip: %w", ErrMalformed, err)
	}
	body, err := readLimited(z)
	if err != nil && !errors.Is(err, ErrTooLarge) {
		err = fmt.Errorf("%w: gzip: %w", ErrMalformed, err)
	}
	return body, err
}

func readLimited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	if len(b) > MaxBody {
		return nil, ErrTooLarge
	}
	return b, err
}

// httpClient returns the user's client, or one of our own, with redirects
// limited.
func (c *Client) httpClient() *http.Client {
	c.initHTTP.Do(func() {
		if c.HTTP != nil {
			c.std = *c.HTTP
		} else {
			c.std.Transport = &http.Transport{
				DialContext:            (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
				TLSHandshakeTimeout:    15 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
				DisableKeepAlives:      true,
			}
		}
		c.std.CheckRedirect = limitRedirects(c.std.CheckRedirect)
	})
	return &c.std
}

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
		if next != nil {
			return next(req, via)
		}
		return nil
	}
}
