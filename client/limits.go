package client

import (
	"errors"

	"github.com/seed1734be99/starling/client/internal/conn"
)

// Limits are rates in bytes per second; 0 is no limit. What is sent counts by
// its blocks alone, so that our requests never wait; of what is received every
// byte counts. After a pause a quarter of a second's worth may pass at once, or
// a block.
//
// A byte passes the limit of its connection, of its torrent and of the client
// ([Config.PeerLimits], [Torrent.SetLimits], [Client.SetLimits]); connections
// that wait for one of them get equal shares of it (C8).
type Limits struct {
	Upload, Download int64
}

// negative refuses limits below zero; what names the call.
func (l Limits) negative(what string) error {
	if l.Upload < 0 || l.Download < 0 {
		return errors.New("client: " + what + ": a limit is negative")
	}
	return nil
}

// limit is a rate that can be changed while it is used.
type limit struct{ r *conn.Gate }

func newLimit(bytesPerSecond int64) limit {
	l := limit{new(conn.Gate)}
	l.set(bytesPerSecond)
	return l
}

func (l limit) set(bytesPerSecond int64) { l.r.Set(bytesPerSecond) }

// limits are the rates of a whole client, and of each connection.
type limits struct {
	up, down limit
	each     conn.PeerLimits
	slots    dealer
}

func newLimits(cfg *Config) *limits {
	l := &limits{up: newLimit(cfg.UploadLimit), down: newLimit(cfg.DownloadLimit)}
	l.each.Set(cfg.PeerLimits.Upload, cfg.PeerLimits.Download)
	return l
}

// SetLimits changes the rates of all torrents together. It takes effect at once,
// on what waits too.
func (c *Client) SetLimits(l Limits) error {
	if err := l.negative("SetLimits"); err != nil {
		return err
	}
	c.limits.up.set(l.Upload)
	c.limits.down.set(l.Download)
	return nil
}

// SetPeerLimits changes the rates of each connection, those that are there too.
// It takes effect at once.
func (c *Client) SetPeerLimits(l Limits) error {
	if err := l.negative("SetPeerLimits"); err != nil {
		return err
	}
	c.limits.each.Set(l.Upload, l.Download)
	return nil
}

// SetLimits changes the torrent's own rates, within the client's. It takes
// effect at once, on what waits too.
func (t *Torrent) SetLimits(l Limits) error {
	if err := l.negative("SetLimits"); err != nil {
		return err
	}
	t.up.set(l.Upload)
	t.down.set(l.Download)
	return nil
}

// limitConns makes the torrent's connections obey its limits and the client's.
func limitConns(t *Torrent) {
	l := t.c.limits
	t.env.Up = [2]*conn.Gate{t.up.r, l.up.r}
	t.env.Down = [2]*conn.Gate{t.down.r, l.down.r}
	t.env.Peers, t.env.ExemptLocal = &l.each, t.c.cfg.ExemptLocal
}
