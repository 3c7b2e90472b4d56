package main

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/seed1734be99/starling/client"
)

// machine is the display for programs: one JSON object a line. Each has a
// "type": "progress" (a torrent, once a second), "event" (something happened
// to a torrent), "check" (what -check found of a torrent), "note" (words for
// people), and at last "total".
type machine struct {
	began  time.Time
	rows   []row
	pulse  pulse
	listen sync.WaitGroup
	hush   context.CancelFunc

	mu  sync.Mutex
	enc *json.Encoder
}

// head begins every object.
type head struct {
	Type string    `json:"type"`
	Time time.Time `json:"time"`
}

// torrentJSON is a torrent's numbers: bytes, and bytes per second.
type torrentJSON struct {
	Infohash   string `json:"infohash"`
	Name       string `json:"name"`
	Label      string `json:"label,omitempty"`
	State      string `json:"state"`
	Complete   bool   `json:"complete"`
	Length     int64  `json:"length"`
	Left       int64  `json:"left"`
	Pieces     int    `json:"pieces"`
	Have       int    `json:"have"`
	Checked    int    `json:"checked,omitempty"`
	ToCheck    int    `json:"to_check,omitempty"`
	Downloaded int64  `json:"downloaded"`
	Uploaded   int64  `json:"uploaded"`
	Wasted     int64  `json:"wasted"`
	HashFails  int    `json:"hash_fails"`
	DownRate   int64  `json:"down_rate"`
	UpRate     int64  `json:"up_rate"`
	Peers      int    `json:"peers"`
	Seeds      int    `json:"seeds"`
	Error      string `json:"error,omitempty"`
}

type progressJSON struct {
	head
	torrentJSON
}

type eventJSON struct {
	head
	Infohash string `json:"infohash"`
	Label    string `json:"label,omitempty"`
	Event    string `json:"event"`
	State    string `json:"state,omitempty"`
	Piece    *int   `json:"piece,omitempty"`
	Addr     string `json:"addr,omitempty"`
	URL      string `json:"url,omitempty"`
	Error    string `json:"error,omitempty"`
	Lost     int    `json:"lost,omitempty"` // events before this one
}

type checkJSON struct {
	head
	torrentJSON
	Files []fileJSON `json:"files"`
}

type fileJSON struct {
	Path     string `json:"path"`
	Length   int64  `json:"length"`
	Have     int64  `json:"have"`
	Complete bool   `json:"complete"`
}

type noteJSON struct {
	head
	Text string `json:"text"`
}

type totalJSON struct {
	head
	OK         bool          `json:"ok"`
	Error      string        `json:"error,omitempty"`
	Seconds    float64       `json:"seconds"`
	Downloaded int64         `json:"downloaded"`
	Uploaded   int64         `json:"uploaded"`
	Torrents   []torrentJSON `json:"torrents"`
}

func newMachine(w io.Writer) *machine {
	m := &machine{began: time.Now(), enc: json.NewEncoder(w)}
	m.enc.SetEscapeHTML(false)
	return m
}

func (m *machine) put(v any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.enc.Encode(v) // nobody reads any more: that ends nothing
}

func (m *machine) begin(rows []row) {
	m.rows = rows
	var ctx context.Context
	ctx, m.hush = context.WithCancel(context.Background())
	for _, r := range rows {
		events := r.Events(ctx)
		m.listen.Go(func() {
			for ev := range events {
				m.event(&r, &ev)
			}
		})
	}
	m.draw()
	m.pulse.start(time.Second, m.draw)
}

func (m *machine) draw() {
	for i := range m.rows {
		m.put(progressJSON{head{"progress", time.Now()}, numbers(&m.rows[i])})
	}
}

func (m *machine) event(r *row, ev *client.Event) {
	e := eventJSON{
		head: head{"event", ev.Time}, Infohash: r.Hashes().String(), Label: r.label,
		Event: ev.Kind.String(), Addr: ev.Addr, URL: ev.URL, Error: text(ev.Err), Lost: ev.Lost,
	}
	switch ev.Kind {
	case client.EventPiece: // too many to tell; progress has their number
		return
	case client.EventState:
		e.State = ev.State.String()
	case client.EventHashFail:
		e.Piece = &ev.Piece
	}
	m.put(e)
}

func (m *machine) say(line string) { m.put(noteJSON{head{"note", time.Now()}, line}) }

func (m *machine) files(r row) {
	c := checkJSON{head: head{"check", time.Now()}, torrentJSON: numbers(&r), Files: []fileJSON{}}
	for _, f := range r.Files() {
		if !f.Pad {
			c.Files = append(c.Files, fileJSON{f.Path, f.Length, f.Have, f.Have == f.Length})
		}
	}
	m.put(c)
}

func (m *machine) finish() {} // total has it all

func (m *machine) close(err error) {
	m.pulse.stop()
	if m.hush != nil {
		m.hush()
		m.listen.Wait()
	}
	t := totalJSON{
		head: head{"total", time.Now()}, OK: err == nil, Error: text(err),
		Seconds: time.Since(m.began).Seconds(), Torrents: []torrentJSON{},
	}
	for i := range m.rows {
		n := numbers(&m.rows[i])
		t.Downloaded += n.Downloaded
		t.Uploaded += n.Uploaded
		t.Torrents = append(t.Torrents, n)
	}
	m.put(t)
}

func numbers(r *row) torrentJSON {
	st := r.Stats()
	return torrentJSON{
		Infohash: st.Hashes.String(), Name: st.Name, Label: r.label, State: st.State.String(), Complete: st.Complete(),
		Length: st.Length, Left: st.Left, Pieces: st.Pieces, Have: st.Have, Checked: st.Checked, ToCheck: st.ToCheck,
		Downloaded: st.Downloaded, Uploaded: st.Uploaded, Wasted: st.Wasted, HashFails: st.HashFails,
		DownRate: st.DownRate, UpRate: st.UpRate, Peers: st.Peers, Seeds: st.Seeds, Error: text(st.Fault),
	}
}
