package choke

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every bundled strategy can say of every peer why it is choked or not, and of strangers nothing.
func TestExplain_SaysSomethingOfEverybody(t *testing.T) {
	for name, create := range bundled {
		t.Run(name, func(t *testing.T) {
			s := create()
			e := s.(Explainer)
			require.Empty(t, e.Explain(1), "before the first round")
			rng := rand.New(rand.NewPCG(1, 2))
			r := crowd(rng, 60, 1)
			r.Peers = append(r.Peers, Peer{ID: 100}, Peer{ID: 101, Interested: true, Seed: true})
			for seeding := range 2 {
				r.Seeding = seeding == 1
				d := s.Choose(r)
				unchoke(r, d)
				why := make(map[PeerID]string)
				for _, c := range d.Unchoke {
					why[c.Peer] = c.Why
				}
				for i := range r.Peers {
					id := r.Peers[i].ID
					text := e.Explain(id)
					require.NotEmpty(t, text)
					require.LessOrEqual(t, len(text), 120)
					if w, on := why[id]; on {
						require.Contains(t, text, w)
					} else {
						require.NotContains(t, text, WhyFast)
					}
				}
				require.Empty(t, e.Explain(5000))
				require.Equal(t, isSeed, e.Explain(101))
				if name != "everyone" {
					require.Equal(t, notInterested, e.Explain(100))
				}
			}
		})
	}
}

func TestExplain_Texts(t *testing.T) {
	s := NewTitForTat()
	r := crowd(rand.New(rand.NewPCG(1, 2)), 0, 1)
	r.Slots = 2
	r.Peers = []Peer{
		{ID: 1, Interested: true, DownRate20: 40 << 10},
		{ID: 2, Interested: true, DownRate20: 12 << 10},
		{ID: 3, Interested: true, Snubbed: true, UnchokesUs: true},
		{ID: 4, DownRate20: 50 << 10},
		{ID: 5, DownRate20: 5 << 10},
		{ID: 6, Interested: true, Seed: true},
		{ID: 7, Interested: true},
	}
	s.Choose(r)
	texts := make(map[PeerID]string)
	for i := range r.Peers {
		texts[r.Peers[i].ID] = s.(Explainer).Explain(r.Peers[i].ID)
	}
	require.Equal(t, map[PeerID]string{
		1: "fast: sends 40 KiB/s",
		2: "slots full (2): sends 12 KiB/s, the slowest in a slot 40 KiB/s; number 1 in line",
		3: "snubbed: has sent nothing for a minute; number 2 in line",
		4: "fast, not interested: sends 50 KiB/s",
		5: "not interested",
		6: "has everything",
		7: "optimistic",
	}, texts)
}
