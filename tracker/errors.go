package tracker

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrTooLarge is for answers with more than MaxBody bytes.
	ErrTooLarge = errors.New("answer is too large")
	// ErrMalformed is for answers that are none: not bencoded, damaged, or
	// without what an answer must have.
	ErrMalformed = errors.New("malformed answer")
	// ErrBadURL is for announce URLs that name no host, no port where one is
	// needed, or are too long.
	ErrBadURL = errors.New("bad announce URL")
	// ErrNoAddress is for trackers that have no address of the family that an
	// announce is to go over.
	ErrNoAddress = errors.New("tracker has no address of that family")
	// ErrNoScrape is for trackers that can't be asked for their counts: nothing
	// can be made of the announce URL by the rules of [ScrapeURL].
	ErrNoScrape = errors.New("tracker has no scrape address")
)

// Never is the [FailureError.RetryIn] of a tracker that does not want to be
// asked again at all (BEP 31).
const Never time.Duration = math.MaxInt64

// FailureError is a refusal by the tracker itself.
type FailureError struct {
	Reason  string        // as the tracker put it; printable, of bounded length
	RetryIn time.Duration // when to try again (BEP 31); 0: it did not say; or [Never]
}

func (e *FailureError) Error() string {
	switch {
	case e.RetryIn == Never:
		return fmt.Sprintf("tracker refused: %s (for good)", e.Reason)
	case e.RetryIn > 0:
		return fmt.Sprintf("tracker refused: %s (again in %s)", e.Reason, e.RetryIn)
	}
	return "tracker refused: " + e.Reason
}

// UnsupportedError is for announce URLs of a kind that this package does not
// speak, such as websocket trackers.
type UnsupportedError struct{ Scheme string }

func (e *UnsupportedError) Error() string {
	if e.Scheme == "" {
		return "tracker URL without a scheme is not supported"
	}
	return "tracker scheme " + e.Scheme + " is not supported"
}

// StatusError is an HTTP status other than success, without a tracker's own
// words in the body.
type StatusError struct{ Code int }

func (e *StatusError) Error() string { return "HTTP status " + strconv.Itoa(e.Code) }

// printable cuts a foreign text to maxText bytes and escapes what is not
// printable, so that it can be logged and shown on a terminal.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		var add string
		switch {
		case r == utf8.RuneError && n == 1:
			add = fmt.Sprintf(`\x%02x`, s[0])
		case unicode.IsPrint(r):
			add = s[:n]
		default:
			quoted := strconv.QuoteRune(r)
			add = quoted[1 : len(quoted)-1]
		}
		if b.Len()+len(add) > maxText {
			b.WriteString("…")
			break
		}
		b.WriteString(add)
		s = s[n:]
	}
	return b.String()
}

// discreetError is an error of net/http whose text must not be seen as it is.
type discreetError struct {
	text string
	err  error
}

func (e *discreetError) Error() string { return e.text }
func (e *discreetError) Unwrap() error { return e.err }

// discreet takes out of an error what it says of the paths and queries of URLs.
// What remains is printable and of bounded length, though servers are quoted in it.
func discreet(err error, urls []*url.URL) error {
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err // the outer one quotes the whole URL
	}
	text := err.Error()
	short := printable(text)
	for _, u := range urls {
		for _, secret := range []string{u.EscapedPath(), u.Path, u.RawQuery} {
			if len(secret) > 1 && strings.Contains(text, secret) {
				short = "request failed"
			}
		}
	}
	if short == text {
		return err
	}
	return &discreetError{short, err}
}
