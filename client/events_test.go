package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
)

// The events of a download, in their order, each with the torrent's tag.
func TestEventsOfADownload(t *testing.T) {
	type job struct{ number int }
	f := newFixture(t, 1<<20, 32<<10)
	url := serveOn(t, &recorder{})
	c := start(t, client.Config{Dir: t.TempDir()})
	tag := &job{42}
	tor := add(t, c, client.Spec{
		Magnet: f.m.Magnet().String(), Peers: []string{address(f.seeder)},
		Trackers: [][]string{{url}}, Paused: true, Tag: tag,
	})
	require.Same(t, tag, tor.Tag())
	events := tor.Events(t.Context())
	tor.Resume()
	pieces := map[int]bool{}
	where := map[client.EventKind]int{} // the place of the last of each kind
	var states []client.State
	var n int
	var left bool
	wait(t, tor)
	for ev := range events {
		require.Same(t, tag, ev.Tag)
		require.Zero(t, ev.Lost)
		require.False(t, ev.Time.IsZero())
		where[ev.Kind] = n
		n++
		switch ev.Kind {
		case client.EventPiece:
			require.Contains(t, where, client.EventMetadata, "a piece before the metadata")
			require.False(t, pieces[ev.Piece], "piece %d twice", ev.Piece)
			pieces[ev.Piece] = true
		case client.EventCompleted:
			require.Len(t, pieces, f.m.Info.NumPieces(), "complete, with pieces missing")
			require.NoError(t, c.Close()) // ends the loop behind what follows
		case client.EventPeerJoined:
			require.Equal(t, address(f.seeder), ev.Addr)
		case client.EventPeerLeft:
			require.Equal(t, address(f.seeder), ev.Addr)
			require.Error(t, ev.Err)
			left = true
		case client.EventTracker:
			require.Equal(t, url, ev.URL)
		case client.EventState:
			states = append(states, ev.State)
		}
	}
	require.True(t, left)
	require.Less(t, where[client.EventPeerJoined], where[client.EventMetadata])
	require.Less(t, where[client.EventMetadata], where[client.EventPiece])
	require.Less(t, where[client.EventPiece], where[client.EventCompleted])
	require.Equal(t, client.Closed, states[len(states)-1])
	require.Contains(t, states, client.Checking)
	require.Contains(t, states, client.Running)
}

// What was there before is told by a check, and is no completion.
func TestEventsOfACompleteTorrent(t *testing.T) {
	f := newFixture(t, 200<<10, 32<<10)
	c := start(t, client.Config{Dir: f.src})
	tor := add(t, c, client.Spec{MetaInfo: f.m, Paused: true})
	events := tor.Events(t.Context())
	tor.Resume()
	wait(t, tor)
	require.NoError(t, c.Close())
	for ev := range events {
		require.NotEqual(t, client.EventCompleted, ev.Kind)
		require.NotEqual(t, client.EventFault, ev.Kind)
	}
}

// A change is told to who listens then, whatever happened while nobody did.
func TestEventsOfLaterSubscribers(t *testing.T) {
	f := newFixture(t, 100<<10, 32<<10)
	next := func(want client.State, change func()) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		events := f.seed.Events(ctx)
		change()
		for ev := range events {
			if ev.Kind == client.EventState && ev.State == want {
				return
			}
		}
		require.FailNow(t, "not told: "+want.String())
	}
	next(client.Paused, f.seed.Pause)
	next(client.Running, f.seed.Resume)
	f.seed.Pause() // nobody listens
	next(client.Running, f.seed.Resume)
}
