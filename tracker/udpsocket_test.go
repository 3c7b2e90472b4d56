package tracker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/internal/leakcheck"
)

// netLog counts what a client does with its sockets.
type netLog struct {
	opened, open       atomic.Int32
	connects, requests atomic.Int32
}

type countedSocket struct {
	*memSocket
	log  *netLog
	once sync.Once
}

func (s *countedSocket) Close() error {
	s.once.Do(func() { s.log.open.Add(-1) })
	return s.memSocket.Close()
}

// counted returns a client like udpClient's, and what it does.
func counted(answer func(to string, packet []byte) []datagram) (*Client, *netLog) {
	log := new(netLog)
	c := udpClient(nil)
	c.ListenPacket = func(context.Context, string, string) (net.PacketConn, error) {
		log.opened.Add(1)
		log.open.Add(1)
		return &countedSocket{memSocket: newMemSocket(func(to string, packet []byte) []datagram {
			if isConnect(packet) {
				log.connects.Add(1)
			} else {
				log.requests.Add(1)
			}
			return answer(to, packet)
		}), log: log}, nil
	}
	return c, log
}

func silent(string, []byte) []datagram { return nil }

// requireIdle checks that nothing is left of announces that have ended.
func requireIdle(t *testing.T, c *Client, log *netLog) {
	t.Helper()
	require.Zero(t, log.open.Load(), "sockets")
	c.udp.mu.Lock()
	defer c.udp.mu.Unlock()
	require.Empty(t, c.udp.connects)
	require.Equal(t, [2]*udpSocket{}, c.udp.sockets)
	require.Zero(t, c.udp.active)
	require.Empty(t, c.udp.queue)
}

// RT20: thousands of announces to dozens of trackers, half of them dead, are
// pending on one socket; a connect is under way once for each tracker.
func TestRT20_OneSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trackers, each = 40, 50
		c, log := counted(func(to string, packet []byte) []datagram {
			if a := netip.MustParseAddrPort(to); a.Port()%2 == 1 {
				return obliging(to, packet)
			}
			return nil
		})
		var wg sync.WaitGroup
		var answered atomic.Int32
		for i := range trackers * each {
			wg.Go(func() {
				// They do not come at the same time.
				select {
				case <-time.After(time.Duration(i) * 7 * time.Millisecond):
				case <-t.Context().Done():
				}
				got, err := c.Announce(t.Context(), fmt.Sprintf("udp://four:%d/announce", 1000+i%trackers), Request{})
				if err == nil {
					answered.Add(1)
					require.Equal(t, udpWant, got)
				} else {
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		}
		<-time.After(14 * time.Second)
		synctest.Wait()
		require.Equal(t, int32(1), log.open.Load())
		require.Equal(t, int32(trackers), log.connects.Load())
		wg.Wait()
		require.Equal(t, int32(trackers*each/2), answered.Load())
		require.Equal(t, int32(trackers*each/2), log.requests.Load())
		require.Equal(t, int32(1), log.opened.Load())
		// 0, 15, 45, 105 s, however many wait.
		require.Equal(t, int32(trackers/2+4*trackers/2), log.connects.Load())
		requireIdle(t, c, log)
	})
}

// A connection id is used for a minute and no longer, from the address that the
// tracker gave it to.
func TestRT14_ConnectionIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := counted(obliging)
		announce := func() {
			_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
			require.NoError(t, err)
		}
		announce()
		<-time.After(udpIDLife - time.Nanosecond)
		announce()
		require.Equal(t, int32(1), log.connects.Load())
		<-time.After(time.Nanosecond)
		announce()
		require.Equal(t, int32(2), log.connects.Load())
		_, err := c.Announce(t.Context(), "udp://four:6970", Request{})
		require.NoError(t, err)
		require.Equal(t, int32(3), log.connects.Load())
		_, err = c.Scrape(t.Context(), "udp://four:6969", goldenHash)
		require.ErrorIs(t, err, context.DeadlineExceeded) // the answer is none to a scrape
		requireIdle(t, c, log)

		listen := c.ListenPacket
		c.ListenPacket = func(ctx context.Context, network, address string) (net.PacketConn, error) {
			s, err := listen(ctx, network, address)
			s.(*countedSocket).local.Port = int(log.opened.Load())
			return s, err
		}
		log.connects.Store(0)
		announce()
		announce()
		require.Equal(t, int32(2), log.connects.Load())
	})
}

// BEP 15's last example: the id runs out while the request is repeated.
func TestRT14_ExpiresWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var log string
		c := udpClient(func(to string, packet []byte) []datagram {
			log += fmt.Sprint(int(time.Since(start).Seconds()), "/", packet[11], " ")
			if isConnect(packet) || time.Since(start) > 100*time.Second {
				return obliging(to, packet)
			}
			return nil
		})
		_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
		require.NoError(t, err)
		require.Equal(t, "0/0 0/1 15/1 45/1 105/0 105/1 ", log)
	})
}

// A tracker that was started again refuses its old ids, or is silent about them.
func TestUDPRestartedTracker(t *testing.T) {
	for name, refuse := range map[string]bool{"refuses": true, "is silent": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				epoch := byte(1)
				c, log := counted(func(to string, packet []byte) []datagram {
					if isConnect(packet) {
						return []datagram{{to, reply(packet, fmt.Sprintf("00000000 T 00000000000000%02x", epoch))}}
					}
					if packet[7] == epoch {
						return obliging(to, packet)
					}
					if refuse {
						return []datagram{{to, reply(packet, "00000003 T"+hex.EncodeToString([]byte("Connection ID missmatch.")))}}
					}
					return nil
				})
				for range 2 {
					start := time.Now()
					_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
					require.NoError(t, err)
					if epoch == 1 || refuse {
						require.Zero(t, time.Since(start))
					} else {
						require.Equal(t, udpFirstWait, time.Since(start))
					}
					epoch++
				}
				require.Equal(t, int32(2), log.connects.Load())
				require.Equal(t, int32(3), log.requests.Load())
				requireIdle(t, c, log)
			})
		})
	}
}

// One that refuses for another reason is asked again once, not for ever.
func TestUDPRefusesAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := counted(func(to string, packet []byte) []datagram {
			if isConnect(packet) {
				return obliging(to, packet)
			}
			return []datagram{{to, reply(packet, "00000003 T 6e6f")}}
		})
		for i := range 3 {
			_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
			var failure *FailureError
			require.ErrorAs(t, err, &failure)
			require.Equal(t, "no", failure.Reason)
			require.Equal(t, int32(2*i+1), log.requests.Load())
		}
	})
}

// Who waits for somebody else's connect request is not left behind when that one
// gives up, and does not send one more.
func TestUDPSharedConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c, log := counted(func(to string, packet []byte) []datagram {
			if time.Since(start) < udpFirstWait {
				return nil
			}
			return obliging(to, packet)
		})
		first, giveUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Announce(first, "udp://four:6969", Request{})
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		for range 10 {
			wg.Go(func() {
				_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
				require.NoError(t, err)
			})
		}
		time.AfterFunc(5*time.Second, giveUp)
		wg.Wait()
		require.Equal(t, udpFirstWait, time.Since(start))
		require.Equal(t, int32(2), log.connects.Load())
		require.Equal(t, int32(10), log.requests.Load())
		requireIdle(t, c, log)
	})
}

// Announces that overlap keep one connect request going for ever. However long a
// tracker has been dead, each of them sees a packet go out soon, and it comes back
// for the first one that is made when it is back.
func TestRT16_SharedConnectKeepsTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var sent []time.Duration
		var dead atomic.Bool
		dead.Store(true)
		c, log := counted(func(to string, packet []byte) []datagram {
			if !dead.Load() {
				return obliging(to, packet)
			}
			sent = append(sent, time.Since(begun))
			return nil
		})
		var wg sync.WaitGroup
		for range 180 {
			wg.Go(func() { c.Announce(t.Context(), "udp://four:6969", Request{}) })
			<-time.After(time.Minute)
		}
		synctest.Wait()
		for i := range len(sent) - 1 {
			gap := sent[i+1] - sent[i]
			require.True(t, gap >= udpFirstWait && gap <= 2*udpFirstWait, "%v after %v", gap, sent[i])
		}
		dead.Store(false)
		now := time.Now()
		_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(now), udpFirstWait)
		wg.Wait()
		requireIdle(t, c, log)
	})
}

// The same for who waits for the socket that somebody else opens.
func TestUDPSharedOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := counted(obliging)
		listen := c.ListenPacket
		var calls atomic.Int32
		c.ListenPacket = func(ctx context.Context, network, address string) (net.PacketConn, error) {
			if calls.Add(1) == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return listen(ctx, network, address)
		}
		first, giveUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Announce(first, "udp://four:6969", Request{})
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		second, giveUpToo := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := c.Announce(second, "udp://four:6969", Request{})
			require.ErrorIs(t, err, context.Canceled)
		})
		wg.Go(func() {
			_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
			require.NoError(t, err)
		})
		synctest.Wait()
		giveUpToo()
		synctest.Wait()
		giveUp()
		wg.Wait()
		require.Equal(t, int32(2), calls.Load())
		requireIdle(t, c, log)
	})
}

// A socket that breaks fails what waits on it at once; the next announce opens
// another one.
func TestUDPBrokenSocket(t *testing.T) {
	for name, breakIt := range map[string]func(s *memSocket){
		"closed":    func(s *memSocket) { s.Close() },
		"no reads":  func(s *memSocket) { s.failFor(udpReadFails + 1) },
		"hesitates": func(s *memSocket) { s.failFor(udpReadFails) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, at := range []byte{0, 1} { // connect, announce
					c, log := counted(obliging)
					listen, broken := c.ListenPacket, false
					c.ListenPacket = func(ctx context.Context, network, address string) (net.PacketConn, error) {
						pc, err := listen(ctx, network, address)
						s := pc.(*countedSocket)
						s.answer = func(to string, packet []byte) []datagram {
							if packet[11] == at && !broken {
								broken = true
								breakIt(s.memSocket)
							}
							return obliging(to, packet)
						}
						return s, err
					}
					_, err := c.Announce(t.Context(), "udp://four:6969", Request{})
					if name == "hesitates" {
						require.NoError(t, err)
					} else {
						require.Error(t, err)
						require.NotErrorIs(t, err, context.DeadlineExceeded)
					}
					_, err = c.Announce(t.Context(), "udp://four:6969", Request{})
					require.NoError(t, err)
					requireIdle(t, c, log)
				}
			})
		})
	}
}

// Who comes while others still hold a broken one gets a new one.
func TestUDPBrokenSocketIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := counted(silent)
		first, err := c.udp.acquire(t.Context(), c.ListenPacket, true)
		require.NoError(t, err)
		first.conn.(*countedSocket).failFor(udpReadFails + 1)
		<-first.ended
		second, err := c.udp.acquire(t.Context(), c.ListenPacket, true)
		require.NoError(t, err)
		require.NotSame(t, first, second)
		_, err = second.expect(udpRequest{})
		require.NoError(t, err)
		_, err = first.expect(udpRequest{})
		require.Error(t, err)
		c.udp.release(first)
		third, err := c.udp.acquire(t.Context(), c.ListenPacket, true)
		require.NoError(t, err)
		require.Same(t, second, third)
		c.udp.release(second)
		c.udp.release(third)
		requireIdle(t, c, log)
	})
}

// Nothing is sent any more to a tracker that nobody waits for.
func TestUDPAbandonedConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sent := make(map[string]int)
		c := udpClient(func(to string, _ []byte) []datagram {
			mu.Lock()
			defer mu.Unlock()
			sent[to]++
			return nil
		})
		ctx, giveUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, giveUp)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Announce(ctx, "udp://four:1", Request{})
			require.ErrorIs(t, err, context.Canceled)
		})
		_, err := c.Announce(t.Context(), "udp://four:2", Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		wg.Wait()
		require.Equal(t, map[string]int{"192.0.2.1:1": 1, "192.0.2.1:2": 4}, sent)
	})
}

func (s *memSocket) failFor(reads int) {
	for range reads {
		s.in <- datagram{}
	}
}

func TestUDPPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := counted(silent)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range udpMaxAtOnce + 10 {
			wg.Go(func() {
				_, err := c.Announce(ctx, "udp://four:6969", Request{})
				require.Error(t, err)
			})
		}
		synctest.Wait()
		c.udp.mu.Lock()
		require.Equal(t, udpMaxAtOnce, c.udp.active)
		require.Len(t, c.udp.queue, 10)
		require.Equal(t, udpMaxAtOnce, c.udp.sockets[0].users)
		c.udp.mu.Unlock()
		// The next place is for who has waited longest.
		done := make(chan error, 1)
		go func() { done <- c.udp.enter(ctx) }()
		synctest.Wait()
		for range 10 {
			c.udp.exit()
		}
		synctest.Wait()
		require.Empty(t, done)
		c.udp.exit()
		require.NoError(t, <-done)
		for range 11 {
			require.NoError(t, c.udp.enter(ctx))
		}
		cancel()
		wg.Wait()
		c.udp.exit()
		requireIdle(t, c, log)
	})
}

func TestUDPIDsAreBounded(t *testing.T) {
	var u udpState
	now := time.Now()
	for i := range udpMaxIDs + 100 {
		until := now.Add(time.Hour)
		if i < 50 {
			until = now
		}
		u.keepIDLocked(udpPath{local: fmt.Sprint(i)}, udpGrant{until: until}, now)
	}
	require.Len(t, u.ids, udpMaxIDs)
	require.Contains(t, u.ids, udpPath{local: fmt.Sprint(udpMaxIDs + 99)})
	require.NotContains(t, u.ids, udpPath{local: "0"})
}

// The same over sockets of the system, of both families at once.
func TestT16_UDPOverLoopback(t *testing.T) {
	leakcheck.Check(t)
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			tracker, err := net.ListenPacket("udp", addr)
			if err != nil {
				t.Skip("no such loopback:", err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				buf := make([]byte, 2000)
				for {
					n, from, err := tracker.ReadFrom(buf)
					if err != nil {
						return
					}
					if buf[11] != 2 {
						for _, d := range obliging("", buf[:n]) {
							tracker.WriteTo(d.data, from)
						}
						continue
					}
					tracker.WriteTo(reply(buf[:n], "00000002 T 00000001 00000002 00000003"), from)
				}
			}()
			c := Client{Timeout: 20 * time.Second}
			where := "udp://" + tracker.LocalAddr().String() + "/announce"
			var wg sync.WaitGroup
			errs := make([]error, 200)
			for i := range errs {
				wg.Go(func() {
					var got Response
					got, errs[i] = c.Announce(context.Background(), where, Request{})
					if errs[i] == nil && got.Incomplete != 3 {
						errs[i] = errors.New("another answer")
					}
				})
			}
			wg.Wait()
			scrape, scrapeErr := c.Scrape(context.Background(), where, goldenHash)
			tracker.Close()
			<-done
			require.NoError(t, errors.Join(errs...))
			require.NoError(t, scrapeErr)
			require.Equal(t, 1, scrape.Files[goldenHash].Complete)
		})
	}
}
