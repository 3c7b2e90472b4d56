package choke_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
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

// friends unchokes the hosts of a network before all others, and leaves the rest to another strategy.
type friends struct {
	choke.Strategy
	net netip.Prefix
}

func (f friends) Choose(r *choke.Round) choke.Decision {
	var mine []choke.Choice
	r.Peers = slices.DeleteFunc(r.Peers, func(p choke.Peer) bool {
		friend := f.net.Contains(p.Addr.Addr()) && !p.Seed
		if friend {
			mine = append(mine, choke.Choice{Peer: p.ID, Why: "friend"})
		}
		return friend
	})
	d := f.Strategy.Choose(r) // sees the others only, and has all slots for them
	d.Unchoke = append(slices.Clip(d.Unchoke), mine...)
	return d
}

// A strategy may wrap another one. It decides about some of the peers itself and takes them out of the round.
func ExampleDefault() {
	strategy := friends{choke.Default(), netip.MustParsePrefix("10.0.0.0/8")}
	round := choke.Round{Now: time.Now(), Rand: rand.New(rand.NewPCG(1, 2)), Slots: 2}
	for id, addr := range []string{"10.0.0.7:6881", "203.0.113.1:6881", "203.0.113.2:6881", "203.0.113.3:6881"} {
		round.Peers = append(round.Peers, choke.Peer{
			ID: choke.PeerID(id + 1), Addr: netip.MustParseAddrPort(addr), Interested: true, DownRate20: 1000 * int64(id),
		})
	}
	for _, choice := range strategy.Choose(&round).Unchoke {
		fmt.Println(choice.Peer, choice.Why)
	}
	// Output:
	// 4 fast
	// 3 optimistic
	// 1 friend
}

// Byte balance with settings that suit small torrents. A peer that we sent 300 KiB more than it sent us has used up
// its credit; it is still served while a slot is left over.
func ExampleNewByteBalance() {
	strategy := choke.NewByteBalance(choke.ByteBalance{
		Ahead:      256 << 10, // so much on credit
		Leeway:     -1,        // and no more
		Unthrottle: 1 << 20,
		Rethrottle: 128 << 10,
		Memory:     24 * time.Hour,
	})
	round := choke.Round{Now: time.Now(), Rand: rand.New(rand.NewPCG(1, 2)), Slots: 2, Peers: []choke.Peer{
		{ID: 1, Interested: true, Downloaded: 800 << 10, Uploaded: 300 << 10},
		{ID: 2, Interested: true, Downloaded: 100 << 10, Uploaded: 400 << 10},
	}}
	for _, choice := range strategy.Choose(&round).Unchoke {
		fmt.Println(choice.Peer, choice.Why)
	}
	fmt.Println(strategy.(choke.Explainer).Explain(1))
	// Output:
	// 1 in balance
	// 2 optimistic
	// in balance: balance 500 KiB
}

// Why somebody is choked is told by strategies that are Explainers.
func ExampleExplainer() {
	strategy := choke.NewTitForTat()
	round := choke.Round{Now: time.Now(), Rand: rand.New(rand.NewPCG(1, 2)), Slots: 2, Peers: []choke.Peer{
		{ID: 1, Interested: true, DownRate20: 40 << 10},
		{ID: 2, Interested: true, DownRate20: 12 << 10},
		{ID: 3, Interested: false},
		{ID: 4, Interested: true},
	}}
	strategy.Choose(&round)
	if e, ok := strategy.(choke.Explainer); ok {
		for id := choke.PeerID(1); id <= 4; id++ {
			fmt.Println(id, e.Explain(id))
		}
	}
	// Output:
	// 1 fast: sends 40 KiB/s
	// 2 optimistic: sends 12 KiB/s
	// 3 not interested
	// 4 slots full (2): sends 0 KiB/s, the slowest in a slot 40 KiB/s; number 1 in line
}
