package tracker

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// announceHTTP makes one announce over HTTP or HTTPS (BEP 3).
func (c *Client) announceHTTP(ctx context.Context, u *url.URL, r Request) (Response, error) {
	target := *u
	target.RawQuery = string(appendQuery(ownQuery(u), &r))
	body, code, err := c.get(ctx, &target, r.Family)
	if err != nil {
		return Response{}, err
	}
	resp, err := parseAnnounce(body, c.floor())
	return resp, statusOr(code, err)
}

// ownQuery returns the query that a URL has already, ready for more to be
// appended.
func ownQuery(u *url.URL) []byte {
	// A space would end the request line early.
	own := strings.ReplaceAll(strings.TrimRight(u.RawQuery, "&"), " ", "%20")
	if own != "" {
		own += "&"
	}
	return []byte(own)
}

// get asks a tracker and returns the status and the unpacked body of its answer.
func (c *Client) get(ctx context.Context, target *url.URL, f Family) (body []byte, code int, err error) {
	target.Fragment, target.RawFragment = "", ""
	w := &walk{family: f}
	ctx = context.WithValue(ctx, walkKey{}, w)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: not usable for HTTP", ErrBadURL)
	}
	agent := c.UserAgent
	if agent == "" {
		agent = defaultUserAgent
	}
	req.Header.Set("User-Agent", agent)
	// Asking by ourselves keeps net/http from unpacking, so that both sizes
	// can be bounded.
	req.Header.Set("Accept-Encoding", "gzip")

	res, err := c.http().client.Do(req)
	if err != nil {
		return nil, 0, discreet(err, w.hops)
	}
	defer res.Body.Close()
	body, err = readBody(res)
	if err != nil && !success(res.StatusCode) {
		err = &StatusError{res.StatusCode}
	}
	return body, res.StatusCode, err
}

// statusOr lets an HTTP status that says no success stand for what became of
// the body. Many trackers refuse with a status and a reason: the reason says more.
func statusOr(code int, err error) error {
	if !success(code) && !errors.As(err, new(*FailureError)) {
		return &StatusError{code}
	}
	return err
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
