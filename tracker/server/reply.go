package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
)

// reply sends a body as plain text, as trackers have always done, and packed if
// the client can unpack it and it gets smaller by that.
func reply(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Pragma", "no-cache")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	if wantsGzip(r.Header.Values("Accept-Encoding")) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		z.Write(body) // into memory: neither can fail
		z.Close()
		if packed.Len() < len(body) {
			h.Set("Content-Encoding", "gzip")
			body = packed.Bytes()
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body) // a client that has gone is no concern of ours
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
