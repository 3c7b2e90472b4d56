package client_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
)

// idlersVariable makes a test binary be the idle peers of a test, so that
// what they cost is not counted: "address infohash count pieces".
const idlersVariable = "STARLING_TEST_IDLERS"

// idlers connects so many peers, says how many there are, and closes them
// when its input ends.
func idlers(spec string) int {
	f := strings.Fields(spec)
	hash, err := hex.DecodeString(f[1])
	n, err1 := strconv.Atoi(f[2])
	pieces, err2 := strconv.Atoi(f[3])
	if err != nil || err1 != nil || err2 != nil {
		fmt.Println("bad spec", spec)
		return 1
	}
	conns := make(chan net.Conn, n)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				nc, err := idler(f[0], metainfo.Hash(hash), i, pieces)
				if err != nil {
					fmt.Println("peer", i, err)
					return
				}
				conns <- nc
			}
		})
	}
	wg.Wait()
	fmt.Println("connected", len(conns))
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// idler is a peer like a usual one: it has half of the pieces, speaks both
// extensions, says hello, and falls silent.
func idler(address string, infohash metainfo.Hash, i, pieces int) (net.Conn, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	hs := greeting(infohash, true)
	hs.Reserved.Set(peerwire.ExtensionBit)
	if _, err := nc.Write(hs.Append(nil)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(nc, 512)
	if _, err := in.Discard(peerwire.HandshakeLen); err != nil {
		return nil, err
	}
	hello := peerwire.ExtHandshake{M: map[string]uint8{"ut_metadata": 3, "ut_pex": 1, "lt_donthave": 7}, V: "Idler 1.0", P: 6881, ReqQ: 500}
	b := peerwire.AppendBitfield(nil, halfOf(pieces, i))
	b = peerwire.AppendExtended(b, peerwire.ExtHandshakeID, hello.AppendPayload(nil))
	_, err = nc.Write(b)
	return nc, err
}

// halfOf is every other piece.
func halfOf(pieces, from int) []byte {
	bits := make([]byte, (pieces+7)/8)
	for k := from % 2; k < pieces; k += 2 {
		bits[k/8] |= 0x80 >> (k % 8)
	}
	return bits
}

// held is what the process holds: heap and stacks, in bytes.
func held() int64 {
	var ms runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapInuse + ms.StackInuse)
}

// TestIdlePeers: a thousand peers of one torrent that do nothing cost at most
// 12 KiB each on our side, and one goroutine. They live in another process.
func TestIdlePeers(t *testing.T) {
	const peers, pieces, most = 1000, 2000, 12 << 10
	raiseFileLimit()
	data := make([]byte, pieces*blockSize)
	m := torrentOf(t, "idle", data, blockSize)
	c := start(t, client.Config{Storage: zeros{}, MaxPeers: -1, MaxPeersPerTorrent: -1})
	tor := add(t, c, client.Spec{MetaInfo: m, Trust: true})
	wait(t, tor)
	warm := held() // what the first peers bring is counted too
	goroutines := runtime.NumGoroutine()

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %d", idlersVariable, address(c), m.Hashes().V1, peers, pieces))
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("connected %d\n", peers), line)

	quiet := func() bool { // all joined, greeted and read; writers have gone
		ready := 0
		for _, p := range tor.Peers() {
			if p.Pieces == pieces/2 && len(p.Extensions) > 0 {
				ready++
			}
		}
		return ready == peers && runtime.NumGoroutine() <= goroutines+peers+3
	}
	until(t, tor, 20*time.Second, "1,000 peers have said all they say", quiet)
	bytes := held() - warm
	more := runtime.NumGoroutine() - goroutines
	_, peak := c.MemoryUse()
	t.Logf("%d idle peers of %d pieces: %.2f KiB each of heap and stacks; %.3f goroutines each; buffers' peak %.0f KiB (%s)",
		peers, pieces, float64(bytes)/peers/1024, float64(more-2)/peers, float64(peak)/1024, runtime.GOARCH)
	if !withRace {
		require.LessOrEqual(t, bytes/peers, int64(most))
	}
	require.LessOrEqual(t, more, peers+3, "a reader each, no writers (and two of the test's)")
	require.Equal(t, peers, tor.Stats().Peers)
	in.Close()
	require.NoError(t, cmd.Wait())
	until(t, tor, 20*time.Second, "all have left", func() bool { return tor.Stats().Peers == 0 })
}

// TestIdleTorrents: ten thousand torrents that are there and complete cost no
// goroutine, and little memory.
func TestIdleTorrents(t *testing.T) {
	const n = 10000
	c := start(t, client.Config{Storage: zeros{}})
	metas := make([]*metainfo.MetaInfo, n)
	for i := range metas {
		metas[i] = smallTorrent(t, i)
	}
	add(t, c, client.Spec{MetaInfo: metas[0], Trust: true})
	goroutines, before := runtime.NumGoroutine(), held()
	began := time.Now()
	for _, m := range metas[1:] {
		add(t, c, client.Spec{MetaInfo: m, Trust: true})
	}
	took := time.Since(began)
	last := c.Torrents()[n-1]
	for _, tor := range c.Torrents() {
		st := tor.Stats()
		require.True(t, st.Complete())
		require.Equal(t, client.Running, st.State)
	}
	until(t, last, 10*time.Second, "no goroutine is left of adding", func() bool { return runtime.NumGoroutine() <= goroutines })
	each := float64(held()-before) / (n - 1)
	runtime.KeepAlive(metas)
	began = time.Now()
	require.NoError(t, c.Close())
	closed := time.Since(began)
	t.Logf("%d torrents: %.2f KiB each beside their metainfo; added in %v; %d goroutines in all; Close took %v",
		n, each/1024, took, goroutines, closed)
	require.Less(t, each, 8.0*1024)
	require.Less(t, closed, 5*time.Second)
}
