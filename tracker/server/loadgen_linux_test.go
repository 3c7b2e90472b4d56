package server_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	loadSources = 1000 // addresses that the load comes from, 127.0.x.y
	loadBatch   = 32   // packets a system call
	loadWindow  = 128  // packets under way: fewer than any socket buffer holds
)

// population is the peers that a load is about.
type population struct {
	hashes  [][20]byte
	swarmOf []uint32 // by peer
}

func newPopulation(peers, swarms int, skew bool) *population {
	p := &population{hashes: make([][20]byte, swarms), swarmOf: make([]uint32, peers)}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range p.hashes {
		for at := 0; at < 20; at += 4 {
			binary.BigEndian.PutUint32(p.hashes[i][at:], random.Uint32())
		}
	}
	zipf := rand.NewZipf(random, 1.2, 10, uint64(swarms-1))
	for i := range p.swarmOf {
		p.swarmOf[i] = uint32(i % swarms)
		if skew && i >= swarms { // every swarm has at least one
			p.swarmOf[i] = uint32(zipf.Uint64())
		}
	}
	return p
}

// source is which of the addresses a peer has; with the port, peers of a swarm
// are distinct.
func (p *population) source(peer int) int { return int(uint32(peer) * 2654435761 >> 8 % loadSources) }

func (p *population) port(peer int) uint16 { return uint16(1024 + peer%60000) }

func sourceAddr(i int) [4]byte { return [4]byte{127, 0, byte(1 + i/250), byte(1 + i%250)} }

// mmsghdr is what sendmmsg and recvmmsg take.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// generator sends announces from many addresses through one socket.
type generator struct {
	fd        int
	p         *population
	ids       [loadSources]uint64
	random    *rand.Rand
	out, in   [loadBatch]mmsghdr
	outBuf    [loadBatch][98]byte
	inBuf     [loadBatch][2048]byte
	outIov    [loadBatch]unix.Iovec
	inIov     [loadBatch]unix.Iovec
	control   [loadBatch][32]byte
	to        unix.RawSockaddrInet4
	underWay  int
	answered  int
	refused   int
	peerBytes int
	lost      int
	seen      func(packet []byte)
}

func newGenerator(t *testing.T, p *population, to netip.AddrPort) *generator {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{}))
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200_000}))
	g := &generator{fd: fd, p: p, random: rand.New(rand.NewPCG(3, 4))}
	g.to = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&g.to.Port))[:], to.Port())
	for i := range loadBatch {
		g.outIov[i].Base = &g.outBuf[i][0]
		c := (*unix.Cmsghdr)(unsafe.Pointer(&g.control[i][0]))
		c.Level, c.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		c.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		h := &g.out[i].hdr
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&g.to)), unix.SizeofSockaddrInet4
		h.Iov, h.Control = &g.outIov[i], &g.control[i][0]
		h.SetIovlen(1)
		h.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))

		g.inIov[i].Base = &g.inBuf[i][0]
		g.inIov[i].SetLen(len(g.inBuf[i]))
		g.in[i].hdr.Iov = &g.inIov[i]
		g.in[i].hdr.SetIovlen(1)
	}
	return g
}

// from makes a packet of the batch come from a source.
func (g *generator) from(i, source, length int) {
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&g.control[i][unix.CmsgLen(0)]))
	info.Spec_dst = sourceAddr(source)
	g.outIov[i].SetLen(length)
}

func (g *generator) send(t *testing.T, n int) {
	for at := 0; at < n; {
		sent, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(g.fd), uintptr(unsafe.Pointer(&g.out[at])), uintptr(n-at), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			t.Fatal("sendmmsg:", errno)
		}
		at += int(sent)
	}
	g.underWay += n
}

// receive takes what has come, at least one packet, unless none comes for a while.
func (g *generator) receive(t *testing.T) {
	n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(g.fd), uintptr(unsafe.Pointer(&g.in[0])), loadBatch, unix.MSG_WAITFORONE, 0, 0)
	switch errno {
	case 0:
	case unix.EINTR:
		return
	case unix.EAGAIN:
		g.lost += g.underWay
		g.underWay = 0
		return
	default:
		t.Fatal("recvmmsg:", errno)
	}
	for i := range int(n) {
		b := g.inBuf[i][:g.in[i].n]
		g.underWay = max(0, g.underWay-1)
		if len(b) < 8 || binary.BigEndian.Uint32(b) == 3 {
			g.refused++
			continue
		}
		g.answered++
		g.peerBytes += max(0, len(b)-20)
		if g.seen != nil {
			g.seen(b)
		}
	}
}

// connect gets the connection ids of all sources.
func (g *generator) connect(t *testing.T) {
	got := 0
	g.seen = func(b []byte) {
		if binary.BigEndian.Uint32(b) == 0 && len(b) >= 16 {
			source := binary.BigEndian.Uint32(b[4:]) % loadSources
			if id := binary.BigEndian.Uint64(b[8:]); g.ids[source] != id {
				g.ids[source] = id
				got++
			}
		}
	}
	defer func() { g.seen = nil }()
	clear(g.ids[:])
	for try := 0; got < loadSources && try < 10; try++ {
		for source := range loadSources {
			if g.ids[source] != 0 {
				continue
			}
			b := &g.outBuf[0]
			binary.BigEndian.PutUint64(b[:], 0x41727101980)
			binary.BigEndian.PutUint32(b[8:], 0)
			binary.BigEndian.PutUint32(b[12:], uint32(source))
			g.from(0, source, 16)
			g.send(t, 1)
			for g.underWay >= loadWindow {
				g.receive(t)
			}
		}
		for g.underWay > 0 {
			g.receive(t)
		}
	}
	require.Equal(t, loadSources, got, "connection ids")
}

// announcePeer writes an announce into a place of the batch.
func (g *generator) announcePeer(i, peer int, event uint32) {
	be := binary.BigEndian
	b := &g.outBuf[i]
	source := g.p.source(peer)
	be.PutUint64(b[:], g.ids[source])
	be.PutUint32(b[8:], 1)
	be.PutUint32(b[12:], uint32(peer))
	copy(b[16:36], g.p.hashes[g.p.swarmOf[peer]][:])
	copy(b[36:], "-LD0001-")
	be.PutUint64(b[48:], uint64(peer))
	be.PutUint64(b[56:], 0)
	left := uint64(1 << 20)
	if peer/7%3 == 0 {
		left = 0
	}
	be.PutUint64(b[64:], left)
	be.PutUint64(b[72:], 0)
	be.PutUint32(b[80:], event)
	be.PutUint32(b[84:], 0)
	be.PutUint32(b[88:], uint32(peer))
	be.PutUint32(b[92:], 50)
	be.PutUint16(b[96:], g.p.port(peer))
	g.from(i, source, 98)
}

// fill announces every peer once.
func (g *generator) fill(t *testing.T) {
	g.connect(t)
	fresh := time.Now()
	for peer := 0; peer < len(g.p.swarmOf); {
		n := min(loadBatch, len(g.p.swarmOf)-peer)
		for i := range n {
			g.announcePeer(i, peer+i, 2)
		}
		g.send(t, n)
		peer += n
		for g.underWay > loadWindow-loadBatch {
			g.receive(t)
		}
		if time.Since(fresh) > time.Minute {
			g.drain(t)
			g.connect(t)
			fresh = time.Now()
		}
	}
	g.drain(t)
}

func (g *generator) drain(t *testing.T) {
	for g.underWay > 0 {
		g.receive(t)
	}
}

// run announces peers at random for a while and returns how many answers came.
func (g *generator) run(t *testing.T, d time.Duration) (answered int, took time.Duration) {
	g.connect(t)
	g.answered, g.peerBytes = 0, 0
	begin := time.Now()
	for time.Since(begin) < d {
		for i := range loadBatch {
			g.announcePeer(i, g.random.IntN(len(g.p.swarmOf)), 0)
		}
		g.send(t, loadBatch)
		for g.underWay > loadWindow-loadBatch {
			g.receive(t)
		}
	}
	g.drain(t)
	return g.answered, time.Since(begin)
}

func (g *generator) String() string {
	return fmt.Sprintf("%.1f peers an answer, %d refused, %d lost", float64(g.peerBytes)/6/float64(max(1, g.answered)), g.refused, g.lost)
}
