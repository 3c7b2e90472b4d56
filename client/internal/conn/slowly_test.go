package conn

import (
	"encoding/binary"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/peerwire"
)

// TestLengthIsOnlyAWord: a length alone makes nobody hold memory for what never
// comes; a peer that sends a byte now and then keeps no more than the smallest
// buffer. A block longer than any that we ask for is refused at its length.
func TestLengthIsOnlyAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 256<<10, 1<<20, nil)
		near, other := net.Pipe()
		peer := newFar(other)
		c, ended := r.run(near, true)
		go func() {
			for {
				if _, err := peer.next(); err != nil {
					return
				}
			}
		}()
		head := append(binary.BigEndian.AppendUint32(nil, 120<<10), byte(peerwire.MsgExtended), 9)
		_, err := peer.Write(head)
		require.NoError(t, err)
		for range 20 {
			time.Sleep(500 * time.Millisecond)
			_, err := peer.Write([]byte{0})
			require.NoError(t, err)
			synctest.Wait()
			require.LessOrEqual(t, r.env.Recv.Used(), int64(midSize))
		}
		_, err = peer.Write(make([]byte, 120<<10-2-20))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, c.reason, "and the message is read in the end")

		head = append(binary.BigEndian.AppendUint32(nil, 9+blockSize+1), byte(peerwire.MsgPiece))
		_, err = peer.Write(append(head, make([]byte, 8)...))
		require.NoError(t, err)
		require.ErrorAs(t, <-ended, new(*peerwire.ProtocolError))
		require.Zero(t, r.env.Recv.Used())
		peer.Close()
		r.wg.Wait()
	})
}
