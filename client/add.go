package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/piece"
	"github.com/seed1734be99/starling/storage"
)

// Spec says what torrent to add, and how. One of MetaInfo, Magnet and Hashes
// is needed; the rest is optional.
type Spec struct {
	MetaInfo *metainfo.MetaInfo // a parsed .torrent, not changed from then on
	Magnet   string             // a magnet link; the metadata comes from peers (BEP 9)
	Hashes   metainfo.Hashes    // with nothing else known: peers have the metadata

	Dir       string          // the save folder; "": the storage's default
	Storage   storage.Storage // nil: the client's
	Order     piece.Strategy  // which pieces are begun first; nil: the rarest. See [Torrent.SetOrder].
	Choker    choke.Strategy  // nil: one of Config.Choker. It serves this torrent alone.
	Limits    Limits          // of this torrent, within the client's
	Trackers  [][]string      // tiers, behind those of the torrent itself
	Peers     []string        // "host:port" to connect to
	SuperSeed bool            // see [Torrent.SetSuperSeed]
	Paused    bool            // nothing is sent before Resume; data is checked
	Trust     bool            // what is there is taken for complete, without a check
	Tag       any             // comes back with every event
}

// maxTorrentFile bounds a torrent file that is fetched.
const maxTorrentFile = metainfo.MaxSize

// AddFile adds the torrent of a .torrent file.
func (c *Client) AddFile(path string) (*Torrent, error) {
	m, err := metainfo.LoadFile(path)
	if err != nil {
		return nil, err
	}
	return c.Add(Spec{MetaInfo: m})
}

// AddMagnet adds the torrent of a magnet link. It returns at once; the
// metadata is fetched from peers.
func (c *Client) AddMagnet(link string) (*Torrent, error) { return c.Add(Spec{Magnet: link}) }

// AddURL fetches a .torrent over HTTP and adds it. ctx bounds the fetch.
func (c *Client) AddURL(ctx context.Context, url string) (*Torrent, error) {
	m, err := c.fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	return c.Add(Spec{MetaInfo: m})
}

func (c *Client) fetch(ctx context.Context, url string) (*metainfo.MetaInfo, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("client: get %s: HTTP status %d", url, res.StatusCode)
	}
	m, err := metainfo.Load(io.LimitReader(res.Body, maxTorrentFile+1))
	if err != nil {
		return nil, fmt.Errorf("client: get %s: %w", url, err)
	}
	return m, nil
}

// Add adds a torrent. Adding one that is there gives the same Torrent with
// ErrExists beside it, its trackers and peers merged. What is wrong with the
// spec or the storage is an error; what the network does comes later.
func (c *Client) Add(spec Spec) (*Torrent, error) {
	n, err := c.prepare(&spec)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	for _, k := range keys(n.hashes) {
		if t := c.torrents[k]; t != nil {
			c.mu.Unlock()
			merge(t, n.tiers, spec.Peers)
			if err := t.life.learn(n.info, n.raw); err != nil {
				t.c.cfg.Logger.Info("metadata of a torrent that exists", "torrent", t.Name(), "error", err)
			}
			return t, ErrExists
		}
	}
	t := newTorrent(c, n, &spec)
	for _, k := range keys(n.hashes) {
		c.torrents[k] = t
	}
	c.list = append(c.list, t)
	c.mu.Unlock()
	if err := t.life.begin(n.info, n.raw); err != nil {
		c.forget(t)
		c.shut([]*Torrent{t}, err, false)
		return nil, err
	}
	t.AddPeers(spec.Peers...)
	return t, nil
}

// merge takes more trackers and peers for a torrent that is added again.
func merge(t *Torrent, tiers [][]string, peers []string) {
	private := false // BEP 27: its own trackers alone; who knows its infohash must not bring others
	if info := t.Info(); info != nil {
		private = info.Private
	}
	if !t.c.cfg.Trackers.Off && !private {
		t.trackers.schedule.Add(time.Now(), tiers)
	}
	t.AddPeers(peers...)
	t.poke()
}

// news is what a spec names.
type news struct {
	hashes metainfo.Hashes
	name   string
	info   *metainfo.Info
	raw    []byte
	tiers  [][]string
}

func (c *Client) prepare(spec *Spec) (n news, err error) {
	switch {
	case spec.MetaInfo != nil:
		m := spec.MetaInfo
		if m.Info == nil {
			return n, errors.New("client: Spec.MetaInfo has no info dictionary")
		}
		n = news{hashes: m.Hashes(), name: m.Info.Name, info: m.Info, raw: m.InfoBytes, tiers: m.Trackers()}
	case spec.Magnet != "":
		m, err := metainfo.ParseMagnet(spec.Magnet)
		if err != nil {
			return n, err
		}
		n = news{hashes: m.Hashes, name: m.Name}
		for _, u := range m.Trackers {
			n.tiers = append(n.tiers, []string{u})
		}
		spec.Peers = slices.Concat(spec.Peers, m.Peers)
	default:
		n = news{hashes: spec.Hashes}
	}
	if n.hashes.IsZero() {
		return n, errors.New("client: Spec names no torrent: no metainfo, magnet link or infohash")
	}
	if n.hashes.V1.IsZero() {
		return n, fmt.Errorf("client: %s: torrents of version 2 alone are not supported yet", n.hashes)
	}
	if spec.Limits.Upload < 0 || spec.Limits.Download < 0 {
		return n, errors.New("client: Spec.Limits: a limit is negative")
	}
	n.tiers = slices.Concat(n.tiers, spec.Trackers)
	return n, nil
}

// forget takes a torrent out of the table.
func (c *Client) forget(t *Torrent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(t)
}

func (c *Client) forgetLocked(t *Torrent) {
	for _, k := range keys(t.hashes) {
		if c.torrents[k] == t {
			delete(c.torrents, k)
		}
	}
	c.list = slices.DeleteFunc(c.list, func(x *Torrent) bool { return x == t })
}
