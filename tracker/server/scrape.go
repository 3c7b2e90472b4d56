package server

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// maxScrape is how many torrents one scrape may name.
const maxScrape = 1000

func (s *Server) serveScrape(w http.ResponseWriter, r *http.Request) {
	q, _ := url.ParseQuery(r.URL.RawQuery)
	named := q["info_hash"]
	if len(named) > maxScrape {
		s.refuse(w, r, "too many torrents in one scrape")
		return
	}
	if len(named) == 0 && s.cfg.NoFullScrape {
		s.refuse(w, r, "name the torrents to scrape")
		return
	}
	var hashes [][20]byte
	for _, name := range named {
		var hash [20]byte
		if !fill(hash[:], name) {
			s.refuse(w, r, "info_hash must be 20 bytes")
			return
		}
		hashes = append(hashes, hash)
	}
	s.scrapes.Add(1)
	reply(w, r, s.scrape(hashes, time.Now()))
}

// scrape encodes what is known of some torrents, or of all if none is named
// (BEP 48; "downloaders" is BEP 21's). A torrent that is not known is left out.
func (s *Server) scrape(hashes [][20]byte, now time.Time) []byte {
	if len(hashes) == 0 {
		hashes = s.hashes()
	}
	slices.SortFunc(hashes, func(a, b [20]byte) int { return bytes.Compare(a[:], b[:]) })
	hashes = slices.Compact(hashes)
	b := []byte("d5:filesd")
	for _, hash := range hashes {
		sh := s.shard(hash)
		sh.mu.Lock()
		if w := sh.swarms[hash]; w != nil {
			s.expireLocked(w, now)
			b = append(append(b, "20:"...), hash[:]...)
			b = appendInt(append(b, "d8:complete"...), w.seeds)
			b = appendInt(append(b, "10:downloaded"...), w.downloaded)
			b = appendInt(append(b, "11:downloaders"...), len(w.peers)-w.seeds-w.partial)
			b = appendInt(append(b, "10:incomplete"...), len(w.peers)-w.seeds)
			b = append(b, 'e')
		}
		sh.mu.Unlock()
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
