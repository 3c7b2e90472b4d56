package client

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/swarm"
)

// The words for each kind of standing still, and of going on.
func TestExplain(t *testing.T) {
	now := time.Unix(1000, 0)
	running := func(pieces, needed, nowhere int, peers ...PeerInfo) situation {
		return situation{now: now, Stats: Stats{State: Running, Pieces: pieces}, needed: needed, nowhere: nowhere, peers: peers, off: true}
	}
	with := func(s situation, change func(*situation)) situation {
		change(&s)
		return s
	}
	useless := PeerInfo{}
	chokes := PeerInfo{Interested: true, Choked: true}
	snubs := PeerInfo{Interested: true, Snubbed: true, Requests: 1}
	sends := PeerInfo{Interested: true, Requests: 9}
	held := PeerInfo{Interested: true, Held: true, Requests: 9}
	for want, s := range map[string]situation{
		"closed": {Stats: Stats{State: Closed}},
		"paused": {Stats: Stats{State: Paused}},
		"checking what is on disk: 3 of 10 pieces": {Stats: Stats{State: Checking, Checked: 3, ToCheck: 10}},
		"stands still: client: x: disk full\n  Resume tries again; what is verified is still served": {
			Stats: Stats{State: Faulted, Fault: &FaultError{"x", errors.New("disk full")}}},

		"stands still: no peers\n  no addresses are known\n  trackers are turned off": running(10, 10, 10),
		"stands still: no peers\n  no addresses are known\n  there is no tracker":     with(running(10, 10, 10), func(s *situation) { s.off = false }),
		"stands still: no peers\n  3 addresses are known; they can't be reached, or wait to be tried again\n" +
			"  tracker a:1: failed 2 times: refused, again in 30s\n  tracker b: knows 0 peers, again in 10m0s\n" +
			"  tracker c: not asked: tracker scheme wss is not supported\n  tracker d: is being asked\n  tracker e: not asked yet": with(running(10, 10, 10), func(s *situation) {
			s.off, s.Known = false, 3
			s.trackers = []TrackerInfo{
				{URL: "http://a:1/key", Fails: 2, Err: "refused", Next: now.Add(30 * time.Second)},
				{URL: "udp://b", Last: now, Next: now.Add(10 * time.Minute)},
				{URL: "wss://c", Unsupported: true, Err: "tracker scheme wss is not supported"},
				{URL: "http://d", Announcing: true},
				{URL: "http://e"},
			}
		}),
		"complete, and nobody is connected\n  no addresses are known\n  trackers are turned off": running(10, 0, 0),

		"stands still: the metadata is not known, and none of 2 peers has it to give": running(0, 0, 0, useless, useless),
		"fetching the metadata from 1 peer":                                           running(0, 0, 0, useless, PeerInfo{Extensions: []string{"ut_metadata"}}),

		"stands still: none of 2 peers has any of the 7 pieces that are missing":                                                                                running(10, 7, 7, useless, useless),
		"stands still: all 2 peers that have something for us choke us":                                                                                         running(10, 7, 0, chokes, chokes, useless),
		"stands still: the only peer that has something for us chokes us\n  2 of the 7 pieces missing nobody has":                                               running(10, 7, 2, chokes),
		"stands still: nobody sends what was asked for\n  1 peer that has something for us chokes us\n  1 peer lets us download and sends nothing":              running(10, 7, 0, chokes, snubs),
		"stands still for the moment\n  1 peer waits for us: memory, the disk or a limit\n  nothing more is asked for until memory is free: the disk is behind": with(running(10, 7, 0, held), func(s *situation) { s.dry = true }),
		"waits": running(10, 7, 0, PeerInfo{Interested: true}),
		"downloading from 1 of 3 peers\n  1 peer that has something for us chokes us": running(10, 7, 0, sends, chokes, useless),

		"complete, and none of 2 peers wants anything":                              running(10, 0, 0, useless, useless),
		"complete; 1 peer wants something, the choking strategy lets none download": running(10, 0, 0, PeerInfo{PeerInterested: true, Choking: true}),
		"seeding to 1 of 2 peers that want something":                               running(10, 0, 0, PeerInfo{PeerInterested: true}, PeerInfo{PeerInterested: true, Choking: true}, PeerInfo{}),
	} {
		require.Equal(t, want, s.explain().String())
	}
}

func TestExplainPiece(t *testing.T) {
	for want, p := range map[string]swarm.PieceStats{
		"it is here":                                       {Have: true, Wanted: true},
		"it is not wanted":                                 {Blocks: 4},
		"all of it is here and being verified":             {Wanted: true, Blocks: 4, Received: 4},
		"1 of 4 blocks here, the rest is asked of 2 peers": {Wanted: true, Blocks: 4, Received: 1, Sources: 3, Asked: 2},
		"1 of 4 blocks here; it failed its hash, so one peer at a time is asked": {Wanted: true, Blocks: 4, Received: 1, Sources: 3, Asked: 1, Parole: true},
		"0 of 1 block here; nobody has it":                                       {Wanted: true, Blocks: 1},
		"0 of 4 blocks here; the only peer that has it chokes us":                {Wanted: true, Blocks: 4, Sources: 1, Choking: 1},
		"0 of 4 blocks here; all 3 peers that have it choke us":                  {Wanted: true, Blocks: 4, Sources: 3, Choking: 3},
		"0 of 4 blocks here; who has it and lets us download sends nothing":      {Wanted: true, Blocks: 4, Sources: 3, Choking: 2, Snubbing: 1},
		"0 of 4 blocks here; 2 peers have it and could send it: others go first": {Wanted: true, Blocks: 4, Sources: 3, Choking: 1},
	} {
		require.Equal(t, want, explainPiece(&p))
	}
}
