package client_test

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/internal/simnet"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/storage"
)

// A stage is a world with one real client in it, that plays against actors,
// all on lines of 10 ms. Times are counted from when the stage was set.
type stage struct {
	*world
	tor    *client.Torrent
	crew   *crew
	began  time.Time
	events chan client.Event // nil: nobody listens
}

// leeching sets a stage for a client that has nothing.
func leeching(t *testing.T, size, pieceLength int, cfg client.Config) *stage {
	t.Helper()
	w := newWorld(t, size, pieceLength, simnet.Link{Latency: 5 * time.Millisecond}, nil)
	return w.set(cfg)
}

// seeding sets a stage for a client that has everything.
func seeding(t *testing.T, size, pieceLength int, cfg client.Config) *stage {
	t.Helper()
	w := newWorld(t, size, pieceLength, simnet.Link{Latency: 5 * time.Millisecond}, nil)
	cfg.Storage = w.full()
	return w.set(cfg)
}

// partly is a storage that holds the first n bytes of the payload.
func (w *world) partly(n int) *storage.Memory {
	w.t.Helper()
	mem := storage.NewMemory()
	st, err := mem.Open(storage.Spec{Name: "payload", Hashes: w.m.Hashes(), Layout: w.m.Info.Layout()})
	require.NoError(w.t, err)
	_, err = st.WriteAt(w.data[:n], 0)
	require.NoError(w.t, err)
	require.NoError(w.t, st.Close())
	return mem
}

// set sets the stage: the client on it is complete, or downloads.
func (w *world) set(cfg client.Config) *stage {
	w.t.Helper()
	s := &stage{world: w}
	s.tor = add(w.t, w.client(ip4(0, 1), cfg), client.Spec{MetaInfo: w.m})
	waitState(w.t, s.tor, client.Running)
	s.crew, s.began = newCrew(w.t), time.Now()
	return s
}

// now is the time on the stage.
func (s *stage) now() time.Duration { return time.Since(s.began) }

// listen notes the events of the torrent from now on.
func (s *stage) listen() {
	s.events = make(chan client.Event, 1000)
	events := s.tor.Events(s.t.Context())
	s.crew.wg.Go(func() {
		for ev := range events {
			s.events <- ev
		}
	})
}

// about returns the client's view of an actor.
func (s *stage) about(a *actor) client.PeerInfo {
	s.t.Helper()
	for _, p := range s.tor.Peers() {
		if p.Addr == a.addr {
			return p
		}
	}
	require.FailNow(s.t, "not connected: "+a.addr.String())
	return client.PeerInfo{}
}

// watch looks each second for so long at who of a cast is unchoked, by number.
// That is the client's view: an actor hears of a choke behind what is under way.
func (s *stage) watch(d time.Duration, cast []*actor, look func(at time.Duration, unchoked []int)) {
	for end := s.now() + d; s.now() < end; time.Sleep(time.Second) {
		var who []int
		peers := s.tor.Peers()
		for i, a := range cast {
			if slices.ContainsFunc(peers, func(p client.PeerInfo) bool { return p.Addr == a.addr && !p.Choking }) {
				who = append(who, i)
			}
		}
		look(s.now(), who)
	}
}

// A role is what an actor is like when it comes.
type role struct {
	fast       bool             // speaks BEP 6
	has        func(i int) bool // its pieces; nil: none
	mute       bool             // says nothing of what it has, not even have-none
	interested bool
	unchokes   bool
	sends      int64 // bytes per second; 0: it answers nothing, but keeps what it was asked
	most       int   // blocks that it sends; 0: no end
	takes      int64 // bytes per second it asks for and takes in; 0: it asks for nothing
	depth      int   // requests of 8 KiB that it keeps open; 0: 2
}

// allBut is a possession of all pieces but one, so that nobody takes it for a seed's.
func allBut(missing int) func(int) bool { return func(i int) bool { return i != missing } }

func everyPiece(int) bool { return true }

// A note is a message as an actor read it, without data.
type note struct {
	at time.Duration
	peerwire.Message
}

// An actor is a scripted peer that sends and takes at its own pace, and notes
// what it is told and when.
type actor struct {
	s    *stage
	role role
	addr netip.AddrPort // ours, as the client sees it
	p    *scripted
	kick chan struct{}
	done chan struct{}

	mu     sync.Mutex
	sends  int64
	queue  []peerwire.Message // asked of us, not answered
	notes  []note
	got    []got
	open   int // asked by us, not answered
	cursor int // the next block we ask for
	err    error
}

// got is how many bytes of payload an actor had by a time.
type got struct {
	at    time.Duration
	bytes int64
}

// enter connects an actor from a host of that address, and lets it say what
// its role has it say.
func (s *stage) enter(at netip.Addr, r role) *actor {
	s.t.Helper()
	h := s.Host(at)
	if r.takes > 0 {
		h.SetLink(simnet.Link{Latency: 5 * time.Millisecond, Down: r.takes})
	}
	nc, err := h.DialContext(s.t.Context(), "tcp", simAddr(ip4(0, 1)))
	require.NoError(s.t, err)
	a := &actor{s: s, role: r, sends: r.sends, kick: make(chan struct{}, 1), done: make(chan struct{}),
		addr: nc.LocalAddr().(*net.TCPAddr).AddrPort()}
	a.p, err = greet(nc, s.m.Hashes().V1, r.fast)
	require.NoError(s.t, err)
	s.crew.run(nc, a.play)
	if r.has != nil {
		a.say(peerwire.Message{ID: peerwire.MsgBitfield, Data: s.bits(r.has)})
	} else if r.fast && !r.mute {
		a.say(peerwire.Message{ID: peerwire.MsgHaveNone})
	}
	if r.interested {
		a.say(peerwire.Message{ID: peerwire.MsgInterested})
	}
	if r.unchokes {
		a.say(peerwire.Message{ID: peerwire.MsgUnchoke})
	}
	return a
}

// bits is a bitfield as on the wire.
func (s *stage) bits(has func(int) bool) []byte {
	n := s.m.Info.NumPieces()
	b := make([]byte, (n+7)/8)
	for i := range n {
		if has(i) {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	return b
}

// say sends messages at once. One that can't be sent any more shows in err.
func (a *actor) say(msgs ...peerwire.Message) { a.p.send(msgs...) }

// leave hangs up.
func (a *actor) leave() {
	a.p.Close()
	<-a.done
}

// pace changes how many bytes per second the actor sends.
func (a *actor) pace(bytesPerSecond int64) {
	a.mu.Lock()
	a.sends = bytesPerSecond
	a.mu.Unlock()
	a.wake()
}

func (a *actor) wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// play reads until the connection ends.
func (a *actor) play(net.Conn) error {
	var wg sync.WaitGroup
	wg.Go(a.answer)
	defer wg.Wait()
	defer close(a.done)
	for {
		m, err := a.p.next()
		if err != nil {
			a.mu.Lock()
			a.err = err
			a.mu.Unlock()
			return err
		}
		if out := a.hear(m); len(out) > 0 {
			a.say(out...)
		}
	}
}

// hear notes a message and returns what there is to say to it at once.
func (a *actor) hear(m peerwire.Message) (out []peerwire.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := int64(len(m.Data))
	m.Data = nil
	a.notes = append(a.notes, note{a.s.now(), m})
	switch m.ID {
	case peerwire.MsgRequest:
		a.queue = append(a.queue, m)
		a.wake()
	case peerwire.MsgCancel:
		before := len(a.queue)
		a.queue = slices.DeleteFunc(a.queue, func(q peerwire.Message) bool { return sameBlock(q, m) })
		if a.role.fast && len(a.queue) < before {
			out = append(out, peerwire.Message{ID: peerwire.MsgReject, Index: m.Index, Begin: m.Begin, Length: m.Length})
		}
	case peerwire.MsgPiece:
		if k := len(a.got); k > 0 {
			n += a.got[k-1].bytes
		}
		a.got = append(a.got, got{a.s.now(), n})
		a.open--
	case peerwire.MsgReject:
		a.open--
	case peerwire.MsgChoke:
		if !a.role.fast {
			a.open = 0
		}
		return nil
	}
	if a.role.takes > 0 && a.unchokedLocked() {
		out = append(out, a.asks()...)
	}
	return out
}

func sameBlock(a, b peerwire.Message) bool {
	return a.Index == b.Index && a.Begin == b.Begin && a.Length == b.Length
}

// asks returns requests until enough are open: part by part, around and
// around. The payload is of whole pieces.
func (a *actor) asks() (out []peerwire.Message) {
	const length = blockSize / 2
	per := int(a.s.m.Info.PieceLength / length)
	for ; a.open < max(a.role.depth, 2); a.open++ {
		out = append(out, peerwire.Message{ID: peerwire.MsgRequest, Index: uint32(a.cursor / per),
			Begin: uint32(a.cursor % per * length), Length: length})
		a.cursor = (a.cursor + 1) % (per * a.s.m.Info.NumPieces())
	}
	return out
}

// answer sends what is asked for at the actor's pace: a block, as soon as the
// time for it has gone by. While there is nothing to send, it keeps itself alive.
func (a *actor) answer() {
	src := source{m: a.s.m, data: a.s.data}
	alive := time.NewTicker(time.Minute)
	defer alive.Stop()
	for sent := 0; ; {
		if a.role.most > 0 && sent == a.role.most {
			<-a.done
			return
		}
		a.mu.Lock()
		pace, waiting := a.sends, len(a.queue)
		a.mu.Unlock()
		if pace == 0 || waiting == 0 {
			select {
			case <-a.kick:
				continue
			case <-alive.C:
				a.say(peerwire.Message{ID: peerwire.MsgKeepAlive})
				continue
			case <-a.done:
				return
			}
		}
		select {
		case <-time.After(time.Duration(blockSize * int64(time.Second) / pace)):
		case <-a.done:
			return
		}
		a.mu.Lock()
		var b net.Buffers
		if len(a.queue) > 0 && a.sends > 0 {
			b = src.block(a.queue[0])
			a.queue = a.queue[1:]
			sent++
		}
		a.mu.Unlock()
		b.WriteTo(a.p)
	}
}

// heard returns the notes of some kinds, in order; none named: all.
func (a *actor) heard(ids ...peerwire.ID) (notes []note) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.notes {
		if len(ids) == 0 || slices.Contains(ids, n.ID) {
			notes = append(notes, n)
		}
	}
	return notes
}

func (a *actor) unchokedLocked() bool {
	for _, n := range slices.Backward(a.notes) {
		if n.ID == peerwire.MsgChoke || n.ID == peerwire.MsgUnchoke {
			return n.ID == peerwire.MsgUnchoke
		}
	}
	return false
}

// unchoked reports whether the client lets the actor download at a time.
func (a *actor) unchoked(at time.Duration) bool {
	for _, s := range a.stints() {
		if s.from <= at && at < s.to {
			return true
		}
	}
	return false
}

// received is how many bytes of payload had come by a time.
func (a *actor) received(by time.Duration) (n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.got {
		if g.at <= by {
			n = g.bytes
		}
	}
	return n
}

// A stint is the time from an unchoke to the choke that follows. One that has
// not ended does so in a hundred years.
type stint struct{ from, to time.Duration }

const never = 100 * 365 * 24 * time.Hour

func (s stint) length() time.Duration { return s.to - s.from }

func (a *actor) stints() (all []stint) {
	for _, n := range a.heard(peerwire.MsgChoke, peerwire.MsgUnchoke) {
		if k := len(all); n.ID == peerwire.MsgUnchoke {
			all = append(all, stint{n.at, never})
		} else if k > 0 {
			all[k-1].to = n.at
		}
	}
	return all
}

// asked is a request and whom it was made to.
type asked struct {
	note
	of *actor
}

// requests returns the requests that actors got, in the order of time.
func requests(cast ...*actor) (all []asked) {
	for _, a := range cast {
		for _, n := range a.heard(peerwire.MsgRequest) {
			all = append(all, asked{n, a})
		}
	}
	slices.SortStableFunc(all, func(a, b asked) int { return cmp.Compare(a.at, b.at) })
	return all
}

// free is who of a cast is unchoked at a time, by number.
func free(at time.Duration, cast []*actor) (who []int) {
	for i, a := range cast {
		if a.unchoked(at) {
			who = append(who, i)
		}
	}
	return who
}
