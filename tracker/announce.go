package tracker

import (
	"net/netip"
	"time"
)

// Event says why an announce is made. The numbers are those of BEP 15.
type Event uint8

const (
	None      Event = iota // a regular announce
	Completed              // the download has just finished
	Started                // the first announce of a session
	Stopped                // the last one
)

// String returns the event as HTTP announces write it; "" for [None].
func (e Event) String() string {
	switch e {
	case Completed:
		return "completed"
	case Started:
		return "started"
	case Stopped:
		return "stopped"
	}
	return ""
}

// Family is the version of IP that an announce goes over. A client that listens
// on both announces over each, so that trackers learn both of its addresses
// (BEP 7).
type Family uint8

const (
	AnyFamily Family = iota // whatever the tracker can be reached by
	IPv4
	IPv6
)

// String returns "any", "IPv4" or "IPv6".
func (f Family) String() string { return [...]string{"any", "IPv4", "IPv6"}[min(f, 2)] }

// Of reports whether an address is of the family. Every address is of [AnyFamily].
func (f Family) Of(a netip.Addr) bool {
	return f == AnyFamily || (f == IPv4) == a.Unmap().Is4()
}

// Request is what we tell a tracker about ourselves.
//
// InfoHash, PeerID and Port are what other peers will connect to; Key identifies
// us to the tracker when our address changes (BEP 7) and stays the same for a
// torrent's session; zero means none.
type Request struct {
	InfoHash, PeerID           [20]byte
	Port                       uint16 // where we listen
	Uploaded, Downloaded, Left int64  // bytes; the first two count since [Started]
	Event                      Event
	Family                     Family
	NumWant                    int // how many peers we would like; negative: as the tracker thinks fit. [Stopped] always asks for none
	Key                        uint32
	IP                         string // address or name to report instead of the one the tracker sees; normally empty
	TrackerID                  string // as the tracker's last answer said
	PartialSeed                bool   // we have all we want, but not everything (BEP 21): HTTP announces without another event say "paused"
}

// Response is a tracker's answer. It shares no memory with anything.
//
// Interval is when to announce again, MinInterval the least time between two
// announces (events excepted); both lie between [Client.MinInterval] and
// [MaxInterval]. A count that the tracker did not give is -1.
type Response struct {
	Interval, MinInterval time.Duration
	Complete, Incomplete  int // seeds and leeches the tracker knows of
	Downloaded            int // how often the torrent has been completed
	TrackerID             string
	Warning               string     // printable, of bounded length
	ExternalIP            netip.Addr // ours, as the tracker sees it (BEP 24); invalid: not told
	Peers                 []Peer     // usable and without duplicates, at most MaxPeers; may contain ourselves
}

// Peer is one address out of an answer: either Addr is valid or Host is a DNS
// name (BEP 3 allows both). ID is known only from answers in the old format.
type Peer struct {
	Addr  netip.AddrPort
	Host  string
	Port  uint16 // the same as Addr's, if that is valid
	ID    [20]byte
	HasID bool
}

// Limits on what a tracker's answer may cost.
const (
	// MaxBody is how many bytes of an HTTP answer are read, before and after
	// unpacking.
	MaxBody = 2 << 20
	// MaxPeers is how many peers of one answer are kept.
	MaxPeers = 2000
	// MaxInterval is the longest time that a tracker can keep us waiting.
	MaxInterval = 24 * time.Hour

	minInterval     = time.Minute      // unless Client.MinInterval says otherwise
	defaultInterval = 30 * time.Minute // for answers that name none
	maxTrackerID    = 255
	maxText         = 300  // bytes of a tracker's prose that reach a user
	maxURL          = 4096 // bytes of an announce URL
)

// clampInterval puts an interval in [floor, MaxInterval].
func clampInterval(seconds int64, floor time.Duration) time.Duration {
	if seconds >= int64(MaxInterval/time.Second) {
		return MaxInterval
	}
	return max(time.Duration(max(seconds, 0))*time.Second, floor)
}
