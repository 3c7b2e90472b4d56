package client

import (
	"math"
	"time"
)

const (
	dealTime  = 10 * time.Second // between two dealings: a choking round (C11)
	leastAuto = 4                // upload slots, as BEP 3 has them
	mostAuto  = 100
)

// automaticSlots is how many peers to upload to at once, of all torrents
// together, when nobody says (C10): four, and with more bytes per second to give
// as many as the root of it, so that a faster line serves more peers and each of
// them faster. At 1 MiB/s that is 25.
func automaticSlots(rate int64) int {
	return int(min(max(math.Sqrt(0.6*float64(rate)/1000), leastAuto), mostAuto))
}

// dealSlots deals upload slots over torrents, of which each has so many peers
// that want something. Nobody gets more than it has a use for while another
// lacks some; who has a use gets one at least, even if that is more than there
// are. What is left over is for peers to come, and goes to all evenly.
func dealSlots(dst []int, total int, demand []int) []int {
	dst = append(dst[:0], make([]int, len(demand))...)
	for i, d := range demand {
		if d > 0 {
			dst[i] = 1
			total--
		}
	}
	for total > 0 {
		lacking := 0
		for i, d := range demand {
			if dst[i] < d {
				lacking++
			}
		}
		if lacking == 0 {
			break
		}
		share := max(total/lacking, 1)
		for i, d := range demand {
			if n := min(share, d-dst[i], total); n > 0 {
				dst[i] += n
				total -= n
			}
		}
	}
	for i, left := 0, len(demand); i < len(demand) && total > 0; i, left = i+1, left-1 {
		n := (total + left - 1) / left
		dst[i] += n
		total -= n
	}
	return dst
}

// dealer deals the client's upload slots over its torrents every ten seconds.
type dealer struct {
	c     *Client
	alarm wakeup

	// The scheduler's alone.
	list   []*Torrent
	demand []int
	dealt  []int
}

func (d *dealer) init(c *Client) {
	d.c = c
	d.alarm.run = d.deal
}

// total is how many slots there are for all torrents, when these send so many
// bytes per second.
func (d *dealer) total(rate int64) int {
	if n := d.c.cfg.UploadSlots; n > 0 {
		return n
	}
	if l := d.c.limits.up.r.Limit(); l < 1<<40 {
		rate = int64(l)
	}
	return automaticSlots(rate)
}

// deal is run by the scheduler.
func (d *dealer) deal(now time.Time) {
	d.list, d.demand = d.list[:0], d.demand[:0]
	var rate int64
	for _, t := range d.c.Torrents() {
		st := t.g.Stats(now)
		if st.Peers == 0 {
			continue
		}
		rate += st.UpRate
		if !t.wishes.ownsSlots() {
			d.list = append(d.list, t)
			d.demand = append(d.demand, st.Interested)
		}
	}
	d.dealt = dealSlots(d.dealt, d.total(rate), d.demand)
	for i, t := range d.list {
		t.wishes.change(func(w *wishes) {
			if !w.ownSlots {
				w.Slots = d.dealt[i]
			}
		})
	}
	clear(d.list)
	if d.c.peers.any() {
		d.c.clock.at(&d.alarm, now.Add(dealTime))
	}
}
