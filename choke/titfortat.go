package choke

// BEP 3, choking: four uploads at a time, one of them optimistic.
const defaultSlots = 4

const whyFastIdle = "fast, not interested"

// NewTitForTat returns the strategy for downloading, BEP 3's: we upload to those that we download from the fastest.
//
//   - All slots but one go to the interested peers with the highest DownRate20 above zero.
//   - A peer that sends faster than the slowest of these but is not interested is unchoked as well and costs no slot.
//     If it becomes interested, the next round decides who gives way.
//   - A snubbed peer is not among them, whatever its rate (anti-snubbing).
//   - The slots that are left, at least one of two or more, are optimistic: they go through all interested peers, each
//     for 30 s, new connections being favoured. While few peers send us anything, there are several of them. A peer
//     that reciprocates moves to a regular slot at once, and the next one has its turn.
//
// Round.Slots 0 means four slots. A single slot is optimistic only while nobody sends us anything.
func NewTitForTat() Strategy { return new(titForTat) }

type titForTat struct {
	rotation
	ranked []candidate
}

func (t *titForTat) Choose(r *Round) Decision {
	slots := r.Slots
	if slots <= 0 {
		slots = defaultSlots
	}
	t.begin(r)
	t.expire(r, nil)
	t.rank(r)

	regular := 0
	for _, c := range t.ranked {
		if !r.Peers[c.index].Interested {
			t.choose(r, c.index, whyFastIdle)
			continue
		}
		t.choose(r, c.index, whyFast)
		if regular++; regular >= max(slots-1, 1) {
			break
		}
	}
	t.fill(r, slots-regular)
	return Decision{Unchoke: t.out}
}

// rank lists those that send us something, the fastest first; among equals, who is unchoked already.
func (t *titForTat) rank(r *Round) {
	t.ranked = t.ranked[:0]
	for i := range r.Peers {
		p := &r.Peers[i]
		useful := eligible(p) || !p.Interested && !p.Seed && !p.UploadOnly
		if p.DownRate20 <= 0 || p.Snubbed || !useful {
			continue
		}
		c := candidate{index: i, rate: p.DownRate20}
		if !p.Unchoked {
			c.first = 1
		}
		t.ranked = append(t.ranked, c)
	}
	rank(t.ranked)
}
