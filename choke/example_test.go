package choke_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed1734be99/starling/choke"
)

// neediest helps those on their feet that have the least.
type neediest struct{}

func (neediest) Choose(r *choke.Round) choke.Decision {
	slices.SortFunc(r.Peers, func(a, b choke.Peer) int { return a.Pieces - b.Pieces })
	var ids []choke.PeerID
	for _, p := range r.Peers {
		if p.Interested && len(ids) < 4 {
			ids = append(ids, p.ID)
		}
	}
	return choke.Peers(ids...)
}

// A strategy of one's own is a type with one method. A client takes it as Config.Choker.
func ExampleStrategy() {
	round := choke.Round{
		Now:  time.Now(),
		Rand: rand.New(rand.NewPCG(1, 2)),
		Peers: []choke.Peer{
			{ID: 1, Interested: true, Pieces: 70},
			{ID: 2, Interested: true, Pieces: 3},
			{ID: 3, Interested: false, Pieces: 0},
			{ID: 4, Interested: true, Pieces: 40},
		},
	}
	for _, choice := range (neediest{}).Choose(&round).Unchoke {
		fmt.Println("unchoke", choice.Peer)
	}
	// Output:
	// unchoke 2
	// unchoke 4
	// unchoke 1
}

// Strategies can be tried without a torrent: what they see is plain values.
func ExampleNewTitForTat() {
	strategy := choke.NewTitForTat()
	round := choke.Round{Now: time.Now(), Rand: rand.New(rand.NewPCG(1, 2)), Slots: 3}
	for id := range choke.PeerID(4) {
		round.Peers = append(round.Peers, choke.Peer{ID: id + 1, Interested: true, DownRate20: 1000 * int64(id)})
	}
	for _, choice := range strategy.Choose(&round).Unchoke {
		fmt.Println(choice.Peer, choice.Why)
	}
	// Output:
	// 4 fast
	// 3 fast
	// 2 optimistic
}
