package conn

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// slowly is a limit that lets everything wait for as long.
type slowly time.Duration

func (s slowly) Reserve(int) time.Duration { return time.Duration(s) }

// TestControlPassesLimits: a run waits for the upload limit; control that comes
// meanwhile, requests of ours mostly, does not wait behind it.
func TestControlPassesLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := random(1 << 20)
		r := newRig(t, 256<<10, 1<<20, data)
		copy(r.disk, data)
		r.complete()
		r.env.Up = slowly(10 * time.Second)
		near, other := net.Pipe()
		peer := newFar(other)
		_, ended := r.run(near, true)
		go peer.Write(stream(peerwire.Message{ID: peerwire.MsgInterested}))
		_, err := peer.await(peerwire.MsgUnchoke)
		require.NoError(t, err)
		from := time.Now()
		_, err = peer.Write(peerwire.AppendRequest(nil, 0, 0, piece.BlockSize))
		require.NoError(t, err)
		synctest.Wait() // the run is taken
		_, err = peer.Write(stream(
			peerwire.Message{ID: peerwire.MsgRequest, Index: 2, Length: piece.BlockSize},
			peerwire.Message{ID: peerwire.MsgCancel, Index: 2, Length: piece.BlockSize},
		))
		require.NoError(t, err)
		m, err := peer.await(peerwire.MsgReject)
		require.NoError(t, err)
		require.EqualValues(t, 2, m.Index)
		require.Less(t, time.Since(from), time.Second)
		m, err = peer.await(peerwire.MsgPiece)
		require.NoError(t, err)
		require.Equal(t, data[:piece.BlockSize], m.Data)
		require.GreaterOrEqual(t, time.Since(from), 10*time.Second)
		peer.Close()
		<-ended
		r.wg.Wait()
		require.Zero(t, r.env.Send.Used())
	})
}
