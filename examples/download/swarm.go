package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed1734be99/starling/client"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/tracker/server"
)

// The swarm: so slow a seed that the leeches must get most from each other.
const (
	leechCount   = 6
	seedRate     = 9 << 20
	samplePieces = 64 << 10
	memberMemory = 16 << 20
	announceRate = time.Second // nobody waits half an hour here
	swarmTime    = 2 * time.Minute
)

// A swarm is a tracker, a seed and leeches, all on loopback. They know each
// other from the tracker alone.
type swarm struct {
	dir      string
	root     string // the seed's data
	meta     *metainfo.MetaInfo
	tracker  *http.Server
	announce string
	served   sync.WaitGroup
	members  []*member // the seed first
}

// A member is a client with one torrent.
type member struct {
	*client.Torrent
	label  string
	client *client.Client
	dir    string
	share  share
}

// demo runs a swarm until every leech is complete, and verifies what they got.
func demo(ctx context.Context, show display) (err error) {
	dir, err := os.MkdirTemp("", "starling-swarm-")
	if err != nil {
		return err
	}
	s := &swarm{dir: dir}
	defer func() { err = cmp.Or(err, s.close()) }()
	if err := s.begin(ctx); err != nil {
		return err
	}
	show.say(fmt.Sprintf("a tracker, a seed (%s/s) and %d leeches on loopback; %s in %d files",
		size(seedRate), leechCount, size(s.meta.Info.Length()), len(sampleFiles)))
	began := time.Now()
	show.begin(s.rows())
	if err := s.wait(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	show.finish()
	if err := s.verify(); err != nil {
		return err
	}
	return s.summarize(show, took)
}

// begin makes the sample, its torrent, and everybody.
func (s *swarm) begin(ctx context.Context) error {
	if err := s.track(ctx); err != nil {
		return err
	}
	seedDir := filepath.Join(s.dir, "seed")
	root, err := makeSample(seedDir)
	if err != nil {
		return err
	}
	s.root = root
	s.meta, err = metainfo.Build(ctx, root, metainfo.BuildOptions{
		PieceLength: samplePieces, Trackers: [][]string{{s.announce}},
	})
	if err != nil {
		return err
	}
	if err := s.join("seed", seedDir, seedRate); err != nil {
		return err
	}
	for i := range leechCount {
		label := "leech " + strconv.Itoa(i+1)
		if err := s.join(label, filepath.Join(s.dir, label), 0); err != nil {
			return err
		}
	}
	return nil
}

// track starts the tracker.
func (s *swarm) track(ctx context.Context) error {
	t, err := server.New(server.Config{Interval: announceRate, MinInterval: announceRate})
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.announce = "http://" + l.Addr().String() + "/announce"
	s.tracker = &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second}
	s.served.Go(func() { _ = s.tracker.Serve(l) })
	return nil
}

// join adds a client to the swarm, with an upload limit of its own.
func (s *swarm) join(label, dir string, limit int64) error {
	c, err := client.New(client.Config{
		Dir: dir, Listen: "127.0.0.1:0", Memory: memberMemory, UploadLimit: limit, Trackers: client.TrackerConfig{MinInterval: announceRate},
	})
	if err != nil {
		return err
	}
	m := &member{label: label, client: c, dir: dir}
	s.members = append(s.members, m) // to be closed, whatever follows
	m.Torrent, err = c.Add(client.Spec{MetaInfo: s.meta})
	return err
}

func (s *swarm) seed() *member      { return s.members[0] }
func (s *swarm) leeches() []*member { return s.members[1:] }

func (s *swarm) rows() []row {
	rows := []row{{Torrent: s.seed().Torrent, label: "seed"}}
	for _, m := range s.leeches() {
		rows = append(rows, row{Torrent: m.Torrent, label: m.label, extra: m.fromSeed})
	}
	return rows
}

// wait returns when every leech is complete, or fails.
func (s *swarm) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, swarmTime, errors.New("the swarm is not complete within "+swarmTime.String()))
	defer cancel()
	errs := make([]error, len(s.members))
	var wg sync.WaitGroup
	for i, m := range s.members {
		wg.Go(func() {
			if errs[i] = m.Wait(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	real := slices.DeleteFunc(errs, func(err error) bool { return err == nil || errors.Is(err, context.Canceled) })
	if len(real) > 0 {
		return real[0]
	}
	return ctx.Err()
}

// verify compares every leech's files with the original.
func (s *swarm) verify() error {
	want, err := sampleSums(s.root)
	if err != nil {
		return err
	}
	for _, m := range s.leeches() {
		got, err := sampleSums(filepath.Join(m.dir, sampleName))
		if err != nil {
			return fmt.Errorf("%s: %w", m.label, err)
		}
		for i := range want {
			if got[i] != want[i] {
				return fmt.Errorf("%s: %s is not what the seed has", m.label, sampleFiles[i].path)
			}
		}
	}
	return nil
}

// summarize says who sent what. A swarm in which a leech sent nothing is none.
func (s *swarm) summarize(show display, took time.Duration) error {
	var traded int64
	for _, m := range s.leeches() {
		up := m.Stats().Uploaded
		if up == 0 {
			return fmt.Errorf("%s uploaded nothing to the others", m.label)
		}
		traded += up
	}
	sent := s.seed().Stats().Uploaded
	show.say(fmt.Sprintf("every file of all %d leeches is verified by SHA-256, after %s", leechCount, took.Round(100*time.Millisecond)))
	show.say(fmt.Sprintf("the seed sent %s; the leeches sent each other %s, %d%% of all",
		size(sent), size(traded), 100*traded/max(sent+traded, 1)))
	return nil
}

// close ends everybody, the tracker last, and removes all files.
func (s *swarm) close() error {
	errs := make([]error, len(s.members))
	var wg sync.WaitGroup
	for i, m := range s.members {
		wg.Go(func() { errs[i] = m.client.Close() })
	}
	wg.Wait()
	if s.tracker != nil {
		errs = append(errs, s.tracker.Close())
		s.served.Wait()
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// share is what a leech got from the seed, as far as was seen: counters end
// with their connection.
type share struct {
	mu   sync.Mutex
	seed [20]byte                 // its peer id; zero: not met yet
	got  map[netip.AddrPort]int64 // by connection
}

// fromSeed says how much of what the member has came from the seed.
func (m *member) fromSeed() string {
	s := &m.share
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.got == nil {
		s.got = make(map[netip.AddrPort]int64)
	}
	for _, p := range m.Peers() {
		// Other leeches become complete later; who is it first is the seed.
		if s.seed == [20]byte{} && p.Seed {
			s.seed = p.ID
		}
		if p.ID == s.seed {
			s.got[p.Addr] = p.Downloaded
		}
	}
	var sum int64
	for _, n := range s.got {
		sum += n
	}
	return fmt.Sprintf("%d%% by the seed", 100*sum/max(m.Stats().Downloaded, 1))
}
