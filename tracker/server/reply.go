package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// packer is a compressor and what it writes to. It takes most of a megabyte, so
// it is used again.
type packer struct {
	gz  *gzip.Writer
	out bytes.Buffer
}

var packers = sync.Pool{New: func() any { return &packer{gz: gzip.NewWriter(nil)} }}

// reply sends a body as plain text, as trackers have always done, and packed if
// the client can unpack it and it gets smaller by that (T29).
func reply(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Pragma", "no-cache")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	if packable(body) && wantsGzip(r.Header.Values("Accept-Encoding")) {
		p := packers.Get().(*packer)
		defer packers.Put(p)
		p.out.Reset()
		p.gz.Reset(&p.out)
		p.gz.Write(body) // into memory: neither can fail
		p.gz.Close()
		if p.out.Len() < len(body) {
			h.Set("Content-Encoding", "gzip")
			body = p.out.Bytes()
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body) // a client that has gone is no concern of ours
}

// packable reports whether a body may get smaller at all. Most cannot, as
// compact peers are noise, and trying costs more than all else of an announce;
// every client asks for it. A body of few different bytes is tried: of two drawn
// at random, at least one pair in 64 is equal.
func packable(body []byte) bool {
	if len(body) < 100 { // packing adds 18 bytes and more
		return false
	}
	sample := body[:min(len(body), 4<<10)]
	var counts [256]uint32
	for _, c := range sample {
		counts[c]++
	}
	pairs := 0
	for _, n := range counts {
		pairs += int(n) * int(n)
	}
	return pairs-len(sample) > len(sample)*len(sample)/64
}

// wantsGzip reads Accept-Encoding (RFC 9110, 12.5.3).
func wantsGzip(headers []string) bool {
	for _, header := range headers {
		for item := range strings.SplitSeq(header, ",") {
			name, weight, _ := strings.Cut(item, ";")
			if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && !strings.EqualFold(name, "x-gzip") {
				continue
			}
			q, isWeight := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(weight, " ", "")), "q=")
			if n, err := strconv.ParseFloat(q, 64); !isWeight || err != nil || n > 0 {
				return true
			}
		}
	}
	return false
}
