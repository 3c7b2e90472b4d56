package main

import (
	"math"
	"time"

	"github.com/seed1734be99/starling/choke"
)

// proportional pays each peer back in proportion to what it sends (D. Levin and others, "BitTorrent is an auction",
// 2008): four fifths of the upload go to those that send us something, each its share; the rest is for a stranger,
// another one every 30 s. It is for clients with an upload limit, since shares are of that.
type proportional struct {
	stranger choke.PeerID
	until    time.Time
}

func newProportional() choke.Strategy { return new(proportional) }

// Choose implements choke.Strategy.
func (s *proportional) Choose(r *choke.Round) (d choke.Decision) {
	var total int64
	for _, p := range r.Peers {
		if p.Interested {
			total += p.DownRate20
		}
	}
	r.Rand.Shuffle(len(r.Peers), func(i, j int) { r.Peers[i], r.Peers[j] = r.Peers[j], r.Peers[i] })
	turn := r.Now.Before(s.until)
	strangers := 1
	if total == 0 { // at the beginning, and for a seed
		strangers = 4
	}
	for _, p := range r.Peers {
		switch {
		case !p.Interested:
		case p.DownRate20 > 0:
			share := 0.8 * float64(r.UploadLimit) * float64(p.DownRate20) / float64(total)
			d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID, MaxRate: int64(math.Ceil(share)), Why: "pays"})
		case strangers > 0 && (!turn || p.ID == s.stranger || total == 0):
			strangers--
			d.Unchoke = append(d.Unchoke, choke.Choice{Peer: p.ID, Why: "stranger"})
			if !turn {
				s.stranger, s.until, turn = p.ID, r.Now.Add(29*time.Second), true
			}
		}
	}
	return d
}
