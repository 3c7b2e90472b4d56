package server

import (
	"net/netip"
	"strings"

	"github.com/seed1734be99/starling/tracker"
)

// Request is an announce or a scrape, as [Config.Check] sees it.
type Request struct {
	Transport Transport
	// Path and Query are the URL's, the path decoded over HTTP and as it was
	// sent over UDP. Clients tell them over UDP only in announces, and only
	// those that know BEP 41; else they are empty.
	Path, Query string
	From        netip.Addr // where it came from; never IPv4 mapped into IPv6
	Scrape      bool       // then nothing below is set

	Addr                       netip.AddrPort // of the peer, to report to others
	InfoHash, PeerID           [20]byte
	Key                        uint32 // BEP 15; 0 if there is none or it is no number in hexadecimal
	Uploaded, Downloaded, Left int64  // bytes, as the client says; Left is -1 if it does not
	Event                      tracker.Event
	PartialSeed                bool // event=paused (BEP 21)
}

const maxRefusal = 255 // bytes of what a client is told

// check asks the hook about an announce.
func (s *Server) check(a *announce, path, query string) refusal {
	if s.cfg.Check == nil {
		return ""
	}
	return s.ask(&Request{
		Transport: a.transport, Path: path, Query: query, From: a.from,
		Addr: a.addr, InfoHash: a.hash, PeerID: a.id, Key: a.key,
		Uploaded: a.uploaded, Downloaded: a.downloaded, Left: a.left,
		Event: a.event, PartialSeed: a.paused,
	})
}

// checkScrape asks the hook about a scrape.
func (s *Server) checkScrape(t Transport, from netip.Addr, path, query string) refusal {
	if s.cfg.Check == nil {
		return ""
	}
	return s.ask(&Request{Transport: t, Path: path, Query: query, From: from, Scrape: true})
}

// ask calls the hook. When that panics, one request is refused instead of the
// whole program ending: over UDP nobody else would recover.
func (s *Server) ask(r *Request) (no refusal) {
	defer func() {
		if recover() != nil {
			no = "internal error"
		}
	}()
	err := s.cfg.Check(r)
	if err == nil {
		return ""
	}
	text := err.Error()
	text = strings.ToValidUTF8(text[:min(len(text), maxRefusal)], "")
	if text == "" {
		text = "refused"
	}
	return refusal(text)
}
