package tracker

import (
	"encoding/binary"
	"math"
	"net/netip"
	"net/url"
	"time"
)

// BEP 15: what is in the packets.
const (
	udpMagic = 0x41727101980

	actionConnect  uint32 = 0
	actionAnnounce uint32 = 1
	actionScrape   uint32 = 2
	actionError    uint32 = 3

	connectLen      = 16 // bytes of both the request and the answer
	announceLen     = 98
	announceRespLen = 20 // without peers
	answerLen       = 8  // of any answer: action and transaction id
	scrapeEntryLen  = 12
	maxUDPScrape    = 74 // torrents in one packet

	urlDataType = 2 // BEP 41
)

func appendUDPConnect(b []byte, tid uint32) []byte {
	be := binary.BigEndian
	return be.AppendUint32(be.AppendUint32(be.AppendUint64(b, udpMagic), actionConnect), tid)
}

// appendUDPHead appends what announces and scrapes begin with.
func appendUDPHead(b []byte, id uint64, action, tid uint32) []byte {
	be := binary.BigEndian
	return be.AppendUint32(be.AppendUint32(be.AppendUint64(b, id), action), tid)
}

// appendUDPAnnounce appends the 98 bytes of an announce request.
func appendUDPAnnounce(b []byte, id uint64, tid uint32, r *Request, over4 bool) []byte {
	be := binary.BigEndian
	b = appendUDPHead(b, id, actionAnnounce, tid)
	b = append(b, r.InfoHash[:]...)
	b = append(b, r.PeerID[:]...)
	b = be.AppendUint64(b, uint64(r.Downloaded))
	b = be.AppendUint64(b, uint64(r.Left))
	b = be.AppendUint64(b, uint64(r.Uploaded))
	b = be.AppendUint32(b, uint32(r.Event))
	var ip [4]byte // BEP 15, IPv6: always 0 there
	if a, err := netip.ParseAddr(r.IP); err == nil && a.Is4() && over4 {
		ip = a.As4()
	}
	b = append(b, ip[:]...)
	b = be.AppendUint32(b, r.Key)
	want := int32(min(r.NumWant, 1<<30))
	if r.NumWant < 0 {
		want = -1
	}
	b = be.AppendUint32(b, uint32(want))
	return be.AppendUint16(b, r.Port)
}

// appendURLData appends the URL's path and query in pieces of up to 255 bytes
// (BEP 41); nothing if it has neither.
func appendURLData(b []byte, u *url.URL) []byte {
	data := u.EscapedPath()
	if u.RawQuery != "" {
		data += "?" + u.RawQuery
	}
	for len(data) > 0 {
		n := min(len(data), math.MaxUint8)
		b = append(b, urlDataType, byte(n))
		b = append(b, data[:n]...)
		data = data[n:]
	}
	return b
}

// parseUDPAnnounce reads an announce answer of at least announceRespLen bytes.
// The peers' size follows from the family of the socket.
func parseUDPAnnounce(b []byte, over4 bool, floor time.Duration) Response {
	interval := clampInterval(int64(int32(binary.BigEndian.Uint32(b[8:]))), floor)
	r := Response{
		Interval:    interval,
		MinInterval: interval, // BEP 15: not again before it has passed
		Incomplete:  udpCount(b[12:]),
		Complete:    udpCount(b[16:]),
		Downloaded:  -1,
	}
	size := compactLen4
	if !over4 {
		size = compactLen6
	}
	var l peerList
	l.addCompact(b[announceRespLen:], size)
	r.Peers = l.peers
	return r
}

// parseUDPScrape puts a scrape answer of at least answerLen bytes into files.
// The torrents stand in the order in which they were asked for; what is missing
// at the end, or only there in part, is left out.
func parseUDPScrape(b []byte, asked [][20]byte, files map[[20]byte]ScrapeFile) {
	b = b[answerLen:]
	for _, hash := range asked {
		if len(b) < scrapeEntryLen {
			return
		}
		files[hash] = ScrapeFile{Complete: udpCount(b), Downloaded: udpCount(b[4:]), Incomplete: udpCount(b[8:]), Downloaders: -1}
		b = b[scrapeEntryLen:]
	}
}

// udpCount reads a number of peers; -1 if it is negative.
func udpCount(b []byte) int { return int(max(int32(binary.BigEndian.Uint32(b)), -1)) }

func udpFailure(message []byte) error {
	e := &FailureError{Reason: printable(string(message))}
	if e.Reason == "" {
		e.Reason = "no reason given"
	}
	return e
}
