package server

import (
	"bytes"
	"net/http"
	"net/netip"
	"slices"
)

// maxScrape is how many torrents one scrape over HTTP may name.
const maxScrape = 1000

func (s *Server) serveScrape(w http.ResponseWriter, r *http.Request) {
	hashes, no := scrapeHashes(r.URL.RawQuery)
	if no == "" && len(hashes) == 0 && !s.cfg.FullScrape {
		no = "name the torrents to scrape"
	}
	if no == "" {
		from, _ := netip.ParseAddrPort(r.RemoteAddr)
		no = s.checkScrape(HTTP, from.Addr().Unmap().WithZone(""), r.URL.Path, r.URL.RawQuery)
	}
	if no != "" {
		s.refuse(w, r, no)
		return
	}
	s.counts.scrapes[HTTP].Add(1)
	reply(w, r, s.scrape(hashes, s.now()))
}

// scrapeHashes returns the torrents that a query names.
func scrapeHashes(query string) (hashes [][20]byte, no refusal) {
	for {
		p, rest, ok := nextPair(query)
		if !ok {
			return hashes, ""
		}
		query = rest
		if parameter(p.name) != seenHash {
			continue
		}
		var hash [20]byte
		if !unescapeHash(&hash, p.value) {
			return nil, "info_hash must be 20 bytes"
		}
		if len(hashes) == maxScrape {
			return nil, "too many torrents in one scrape"
		}
		hashes = append(hashes, hash)
	}
}

// tally is what a scrape tells about a torrent.
type tally struct {
	seeds, leeches, downloaded, partial int
}

// tally returns what is known of a torrent.
func (s *Server) tally(hash *[20]byte, now uint32) (t tally, known bool) {
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w := sh.swarms[*hash]
	if w == nil {
		return tally{}, false
	}
	s.expireLocked(sh, w, now)
	return tally{w.seeds(), w.leeches(), int(w.downloaded), w.partial()}, true
}

// scrape encodes what is known of some torrents, or of all if none is named
// (BEP 48; "downloaders" is BEP 21's). A torrent that is not known is left out.
func (s *Server) scrape(hashes [][20]byte, now uint32) []byte {
	if len(hashes) == 0 {
		hashes = s.hashes()
	}
	slices.SortFunc(hashes, func(a, b [20]byte) int { return bytes.Compare(a[:], b[:]) })
	hashes = slices.Compact(hashes)
	b := []byte("d5:filesd")
	for _, hash := range hashes {
		t, known := s.tally(&hash, now)
		if !known {
			continue
		}
		b = append(append(b, "20:"...), hash[:]...)
		b = appendInt(append(b, "d8:complete"...), t.seeds)
		b = appendInt(append(b, "10:downloaded"...), t.downloaded)
		b = appendInt(append(b, "11:downloaders"...), t.leeches-t.partial)
		b = appendInt(append(b, "10:incomplete"...), t.leeches)
		b = append(b, 'e')
	}
	b = append(b, 'e')
	if s.cfg.MinInterval > 0 {
		b = appendInt(append(b, "5:flagsd20:min_request_interval"...), seconds(s.cfg.MinInterval))
		b = append(b, 'e')
	}
	return append(b, 'e')
}

func (s *Server) hashes() [][20]byte {
	var list [][20]byte
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for hash := range sh.swarms {
			list = append(list, hash)
		}
		sh.mu.Unlock()
	}
	return list
}
