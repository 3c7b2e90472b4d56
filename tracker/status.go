package tracker

import (
	"net/netip"
	"time"
)

// Status is what is known of one tracker: a snapshot to show to a user. It
// speaks of all the tracker's endpoints together: it works if one of them does.
type Status struct {
	URL         string
	Tier        int       // 0 is the first
	Current     bool      // it is the one we stay with (of a torrent announced to all: none)
	Announcing  bool      // an announce is under way
	Started     bool      // it knows us: it answered this session's Started
	Completed   bool      // it was told of this session's completion, and answered
	Retired     bool      // it is not asked any more: it said so, or it is unsupported
	Unsupported bool      // its URL is of no use to us; Err says why
	Last        time.Time // when the last announce ended; zero: none yet
	Next        time.Time // when it will be asked again as far as is known; zero: when its turn comes
	Fails       int       // in a row; 0 if it works over one family
	Err         string    // why the last announce failed; empty: it did not
	Warning     string    // from the last answer
	Peers       int       // in the last answers
	Seeders     int       // known to the tracker, by announce or scrape; -1: not told
	Leechers    int       // likewise
	Downloaded  int       // how often it was completed, ever; -1: not told
	Interval    time.Duration
	MinInterval time.Duration
	Endpoints   []EndpointStatus // one for each family; at least one
}

// EndpointStatus is what is known of one tracker over one family. The fields
// are those of [Status].
type EndpointStatus struct {
	Family                        Family
	Announcing                    bool
	Started, Completed            bool
	Retired, Unsupported          bool
	Last, Next                    time.Time
	Fails                         int
	Err, Warning                  string
	Peers                         int
	Seeders, Leechers, Downloaded int
	Interval, MinInterval         time.Duration
}

// Status returns what is known of each tracker, in the order in which they are
// tried.
func (s *Schedule) Status() []Status {
	list := make([]Status, len(s.tiers.list))
	for i, e := range s.tiers.list {
		list[i] = s.status(e)
	}
	return list
}

func (s *Schedule) status(e *entry) Status {
	st := Status{
		URL: e.url, Tier: int(e.tier), Current: e == s.current,
		Retired: true, Unsupported: e.families == 0,
		Seeders: -1, Leechers: -1, Downloaded: -1,
		Endpoints: s.endpointStatus(e),
	}
	told := unknown
	for i := range e.ends {
		told = told.most(e.ends[i].counts)
	}
	if e.newer {
		told = e.scraped.or(told)
	} else {
		told = told.or(e.scraped)
	}
	st.Seeders, st.Leechers, st.Downloaded = int(told.seeders), int(told.leechers), int(told.downloaded)
	lead := 0
	for i := range st.Endpoints {
		ep := &st.Endpoints[i]
		st.Announcing = st.Announcing || ep.Announcing
		st.Started = st.Started || ep.Started
		st.Completed = st.Completed || ep.Completed
		st.Retired = st.Retired && ep.Retired
		st.Peers += ep.Peers
		if ep.Last.After(st.Last) {
			st.Last = ep.Last
		}
		if st.Next.IsZero() || !ep.Next.IsZero() && ep.Next.Before(st.Next) {
			st.Next = ep.Next
		}
		if ep.leads(&st.Endpoints[lead]) {
			lead = i
		}
	}
	ep := &st.Endpoints[lead]
	st.Fails, st.Err, st.Warning = ep.Fails, ep.Err, ep.Warning
	st.Interval, st.MinInterval = ep.Interval, ep.MinInterval
	return st
}

// leads reports whether the endpoint says more of its tracker than another one:
// that it works; otherwise what has failed most often, which is rather the
// tracker's own fault than that it lacks a family.
func (ep *EndpointStatus) leads(other *EndpointStatus) bool {
	works, otherWorks := !ep.Last.IsZero() && ep.Fails == 0, !other.Last.IsZero() && other.Fails == 0
	switch {
	case works != otherWorks:
		return works
	case works:
		return ep.Last.After(other.Last)
	}
	return ep.Fails > other.Fails
}

// endpointStatus lists the endpoints of a tracker, also of one that has not
// been looked at yet.
func (s *Schedule) endpointStatus(e *entry) []EndpointStatus {
	if e.families == 0 {
		return []EndpointStatus{unsupported(e.url)}
	}
	ends := e.ends
	if ends == nil {
		ends = (&entry{families: e.families}).endpoints()
	}
	list := make([]EndpointStatus, len(ends))
	for i := range ends {
		ep := &ends[i]
		list[i] = EndpointStatus{
			Family: ep.family, Announcing: ep.flight != 0,
			Started: ep.started, Completed: ep.toldCompleted, Retired: ep.retired,
			Last: s.epoch.when(ep.last), Fails: int(ep.fails), Err: ep.err, Warning: ep.warning,
			Peers:   int(ep.peers),
			Seeders: int(ep.counts.seeders), Leechers: int(ep.counts.leechers), Downloaded: int(ep.counts.downloaded),
			Interval: ep.interval, MinInterval: ep.minimum,
		}
		switch {
		case !s.running || !ep.free():
		case e == s.current || s.toAll():
			list[i].Next = s.epoch.when(ep.readyAt(true))
		case ep.retryAt > ep.last:
			list[i].Next = s.epoch.when(ep.retryAt)
		}
	}
	return list
}

// unsupported is the only endpoint of a tracker that is never asked.
func unsupported(rawURL string) EndpointStatus {
	ep := EndpointStatus{Retired: true, Unsupported: true, Seeders: -1, Leechers: -1, Downloaded: -1}
	u, err := parseURL(rawURL)
	if err != nil {
		ep.Err = printable(err.Error())
		return ep
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		ep.Family = familyOf(a)
	}
	ep.Err = "tracker is at an " + ep.Family.String() + " address, which we do not use"
	return ep
}
