package tracker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed1734be99/starling/bencode"
)

const (
	// MaxScrape is how many torrents of a tracker's answer are kept, and how many
	// one Scrape may ask for.
	MaxScrape = 10_000

	maxHTTPScrape = 64 // torrents in one request: its line stays below 8 KiB
)

// ScrapeResponse is what a tracker says of torrents. It shares no memory with
// anything.
type ScrapeResponse struct {
	// Files has the torrents by infohash: of those that were asked for (of all,
	// if none was) the ones that the answer names. Over HTTP a torrent that the
	// tracker does not know is missing; over UDP it has zeros.
	Files map[[20]byte]ScrapeFile
	// MinInterval is how long the tracker wants us to wait until the next scrape,
	// at most MaxInterval; 0: it did not say.
	MinInterval time.Duration
}

// ScrapeFile is one torrent's counts; -1: not told.
type ScrapeFile struct {
	Complete    int    // seeds
	Incomplete  int    // everybody else, partial seeds included
	Downloaded  int    // how often the torrent has been completed
	Downloaders int    // incomplete ones that still download (BEP 21)
	Name        string // printable, of bounded length; empty: not told
}

// Scrape asks the tracker at an announce URL about torrents (BEP 48, BEP 15).
// Without hashes it asks an HTTP tracker about all it has, of which at most
// [MaxScrape] in at most [MaxBody] bytes are read.
//
// Many hashes are asked for in several requests one after the other; if one of
// them fails, so does the scrape. It is bounded in time like an announce. Errors
// are those of [Client.Announce], and [ErrNoScrape].
func (c *Client) Scrape(ctx context.Context, announceURL string, hashes ...[20]byte) (ScrapeResponse, error) {
	u, err := parseURL(announceURL)
	if err != nil {
		return ScrapeResponse{}, fmt.Errorf("scrape: %w", err)
	}
	hashes = distinct(hashes)
	if len(hashes) > MaxScrape {
		return ScrapeResponse{}, fmt.Errorf("scrape: %d torrents at once, at most %d are possible", len(hashes), MaxScrape)
	}
	ctx, cancel := c.bound(ctx, u)
	defer cancel()
	var r ScrapeResponse
	switch {
	case u.Scheme != "udp":
		r, err = c.scrapeHTTP(ctx, announceURL, hashes)
	case len(hashes) == 0:
		err = errors.New("UDP trackers have to be told the torrents")
	default:
		r, err = c.scrapeUDP(ctx, u, hashes)
	}
	if err != nil {
		return ScrapeResponse{}, describe(ctx, "scrape", u, err)
	}
	return r, nil
}

// ScrapeURL returns the address at which an HTTP tracker answers scrapes. By the
// convention's own words: in the text behind the URL's last slash, "announce" at
// the beginning becomes "scrape", and nothing is unquoted (T13). A tracker whose
// URL has no such text has no scrape address; UDP trackers need none.
//
// BEP 48 looks in the path only. The older rule, which is ours, differs for URLs
// with slashes in their queries: /announce?x=2/4 has no scrape address.
func ScrapeURL(announceURL string) (string, bool) {
	announceURL = strings.TrimSpace(announceURL)
	scheme, rest, found := strings.Cut(announceURL, "://")
	scheme = strings.ToLower(scheme)
	slash := strings.LastIndexByte(rest, '/')
	if !found || scheme != "http" && scheme != "https" || slash < 0 {
		return "", false
	}
	after, found := strings.CutPrefix(rest[slash+1:], "announce")
	if !found {
		return "", false
	}
	return announceURL[:len(announceURL)-len(rest)+slash+1] + "scrape" + after, true
}

// distinct returns the hashes without repetitions, in their order.
func distinct(hashes [][20]byte) (list [][20]byte) {
	seen := make(map[[20]byte]bool, len(hashes))
	for _, hash := range hashes {
		if !seen[hash] {
			seen[hash] = true
			list = append(list, hash)
		}
	}
	return list
}

func (c *Client) scrapeHTTP(ctx context.Context, announceURL string, hashes [][20]byte) (ScrapeResponse, error) {
	form, ok := ScrapeURL(announceURL)
	if !ok {
		return ScrapeResponse{}, ErrNoScrape
	}
	u, err := url.Parse(form)
	if err != nil {
		return ScrapeResponse{}, fmt.Errorf("%w: not parsable", ErrBadURL)
	}
	all := ScrapeResponse{Files: make(map[[20]byte]ScrapeFile)}
	for part := range slices.Chunk(hashes, maxHTTPScrape) {
		if err := c.scrapePart(ctx, *u, part, &all); err != nil {
			return ScrapeResponse{}, err
		}
	}
	if len(hashes) == 0 {
		err = c.scrapePart(ctx, *u, nil, &all)
	}
	return all, err
}

// scrapePart makes one request and adds its answer to r.
func (c *Client) scrapePart(ctx context.Context, target url.URL, hashes [][20]byte, r *ScrapeResponse) error {
	query := ownQuery(&target)
	for i, hash := range hashes {
		if i > 0 {
			query = append(query, '&')
		}
		query = appendEscaped(append(query, "info_hash="...), hash[:])
	}
	target.RawQuery = strings.TrimRight(string(query), "&")
	body, code, err := c.get(ctx, &target, AnyFamily)
	if err != nil {
		return err
	}
	return statusOr(code, parseScrape(body, hashes, c.floor(), r))
}

// parseScrape adds an HTTP answer to r. Torrents that were not asked for are left
// out, unless none was.
func parseScrape(body []byte, asked [][20]byte, floor time.Duration, r *ScrapeResponse) error {
	var v values
	if err := bencode.UnmarshalTolerant(body, &v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := v.failure(); err != nil {
		return err
	}
	raw, ok := v["files"]
	if !ok || raw[0] != 'd' {
		return fmt.Errorf("%w: no files", ErrMalformed)
	}
	var files, flags values
	if err := bencode.UnmarshalTolerant(raw, &files); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(asked) > 0 {
		for _, hash := range asked {
			raw, ok := files[string(hash[:])]
			if !ok {
				raw = files[misread(hash)]
			}
			r.add(hash, raw)
		}
	} else {
		for key, raw := range files {
			if hash, ok := readHash(key); ok && len(r.Files) < MaxScrape {
				r.add(hash, raw)
			}
		}
	}
	if raw := v["flags"]; len(raw) > 0 && raw[0] == 'd' && bencode.UnmarshalTolerant(raw, &flags) == nil {
		if n, ok := number(flags["min_request_interval"]); ok {
			r.MinInterval = max(r.MinInterval, clampInterval(n, floor))
		}
	}
	return nil
}

// misread is an infohash as written by trackers that take its bytes for
// characters and encode these as UTF-8, which the one in Node does.
func misread(hash [20]byte) string {
	runes := make([]rune, len(hash))
	for i, b := range hash {
		runes[i] = rune(b)
	}
	return string(runes)
}

// readHash reads a key of a scrape's files, misread ones too.
func readHash(key string) (hash [20]byte, ok bool) {
	if len(key) == len(hash) {
		return [20]byte([]byte(key)), true
	}
	n := 0
	for _, c := range key {
		if n == len(hash) || c > 0xff {
			return hash, false
		}
		hash[n] = byte(c)
		n++
	}
	return hash, n == len(hash)
}

// add adds a torrent, if its entry is one.
func (r *ScrapeResponse) add(hash [20]byte, raw bencode.RawMessage) {
	var v values
	if len(raw) == 0 || raw[0] != 'd' || bencode.UnmarshalTolerant(raw, &v) != nil {
		return
	}
	f := ScrapeFile{
		Complete: v.count("complete"), Incomplete: v.count("incomplete"),
		Downloaded: v.count("downloaded"), Downloaders: v.count("downloaders"),
	}
	if name, ok := text(v["name"]); ok {
		f.Name = printable(string(name))
	}
	r.Files[hash] = f
}
