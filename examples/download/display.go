package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/vbauerster/mpb/v8/cwriter"

	"github.com/seed1734be99/starling/client"
)

// A display shows torrents at work.
type display interface {
	// begin starts to show; it is called once at most.
	begin(rows []row)
	// say shows a line for people.
	say(line string)
	// files shows how much of each file of a torrent is there.
	files(r row)
	// finish stops showing the torrents at work and shows what became of them.
	// They may be closed by then. Later calls do nothing.
	finish()
	// close finishes, and tells programs how it ended. Nothing follows it.
	close(err error)
}

// A row is a torrent as it is shown.
type row struct {
	*client.Torrent
	label string        // "": the torrent's name
	extra func() string // more to say about it; nil: nothing
}

func (r *row) name() string {
	if r.label != "" {
		return r.label
	}
	return printable(r.Name())
}

func rowsOf(list []*client.Torrent) []row {
	rows := make([]row, len(list))
	for i, t := range list {
		rows[i].Torrent = t
	}
	return rows
}

// newDisplay chooses a display: bars on a terminal, otherwise lines, unless
// the options want something else.
func newDisplay(o *options, stdout io.Writer) display {
	switch {
	case o.quiet:
		return silent{}
	case o.json:
		return newMachine(stdout)
	}
	if f, ok := stdout.(*os.File); ok && isTerminal(f) {
		return newBars(f)
	}
	return newLines(stdout)
}

// isTerminal reports whether f is a terminal that bars can be drawn on.
func isTerminal(f *os.File) bool {
	fd := int(f.Fd())
	if os.Getenv("TERM") == "dumb" || !cwriter.IsTerminal(fd) {
		return false
	}
	width, height, err := cwriter.GetSize(fd)
	return err == nil && width > 0 && height > 0
}

type silent struct{}

func (silent) begin([]row) {}
func (silent) say(string)  {}
func (silent) files(row)   {}
func (silent) finish()     {}
func (silent) close(error) {}

// A pulse calls a function at intervals, until it is stopped.
type pulse struct {
	quit chan struct{}
	wg   sync.WaitGroup
}

func (p *pulse) start(every time.Duration, beat func()) {
	p.quit = make(chan struct{})
	p.wg.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				beat()
			case <-p.quit:
				return
			}
		}
	})
}

// stop returns when the function runs no more. One that never began is no error.
func (p *pulse) stop() {
	if p.quit != nil {
		close(p.quit)
		p.wg.Wait()
		p.quit = nil
	}
}

// done is how many bytes are verified, of st.Length.
func done(st *client.Stats) int64 {
	if st.State == client.Checking && st.ToCheck > 0 {
		return int64(float64(st.Length) * float64(st.Checked) / float64(st.ToCheck))
	}
	return st.Length - st.Left
}

// percent is rounded down: only what is complete has 100.
func percent(st *client.Stats) string {
	if st.Complete() {
		return "100%"
	}
	share := 100 * float64(done(st)) / float64(max(st.Length, 1))
	return strconv.Itoa(min(int(share), 99)) + "%"
}

// doing says in words what goes on.
func (r *row) doing(st *client.Stats) string {
	if word := r.standstill(st); word != "" {
		return word
	}
	return fmt.Sprintf("down %s/s, up %s/s, %s%s", size(st.DownRate), size(st.UpRate), peers(st), r.outlook(st))
}

// brief is doing in few columns.
func (r *row) brief(st *client.Stats) string {
	if word := r.standstill(st); word != "" {
		return word
	}
	down, up := strings.TrimSuffix(size(st.DownRate), "iB"), strings.TrimSuffix(size(st.UpRate), "iB")
	return fmt.Sprintf("↓%s ↑%s, %s%s", down, up, peers(st), r.outlook(st))
}

// standstill says why nothing comes or goes; "": something may.
func (r *row) standstill(st *client.Stats) string {
	switch {
	case st.State != client.Running && st.State != client.NoInfo:
		return st.State.String()
	case st.Peers == 0 && !st.Complete():
		return "no peers yet" + r.trouble()
	case st.State == client.NoInfo:
		return fmt.Sprintf("%s, %s", st.State, peers(st))
	}
	return ""
}

func peers(st *client.Stats) string {
	if st.Peers == 1 {
		return "1 peer"
	}
	return strconv.Itoa(st.Peers) + " peers"
}

// outlook is the time left, and what the row says of itself.
func (r *row) outlook(st *client.Stats) string {
	var s string
	if st.DownRate > 0 && st.Left > 0 {
		s = ", " + (time.Duration(st.Left/st.DownRate+1) * time.Second).String() + " left"
	}
	if r.extra != nil {
		s += ", " + r.extra()
	}
	return s
}

// trouble is why a tracker knows no peers, if one failed.
func (r *row) trouble() string {
	for _, t := range r.Trackers() {
		if t.Err != "" {
			return "; " + printable(t.Err)
		}
	}
	return ""
}

// result says in one line what has become of a torrent.
func result(name string, st *client.Stats, took time.Duration) string {
	word := "complete, " + size(st.Length)
	switch {
	case st.Pieces == 0:
		word = "no metadata yet"
	case !st.Complete():
		word = percent(st) + " of " + size(st.Length)
	}
	if st.Downloaded+st.Uploaded > 0 {
		word += "; downloaded " + size(st.Downloaded) + ", uploaded " + size(st.Uploaded)
	}
	return fmt.Sprintf("%s: %s in %s", name, word, took.Round(100*time.Millisecond))
}

// extents says how much of each file is there.
func extents(r row) []string {
	var list []string
	for _, f := range r.Files() {
		if f.Pad {
			continue
		}
		word := "complete"
		if f.Have < f.Length {
			word = fmt.Sprintf("%d of %d bytes", f.Have, f.Length)
		}
		list = append(list, printable(f.Path)+": "+word)
	}
	return list
}

// size is a number of bytes for people.
func size(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/(1<<10), 0
	for ; v >= 999.95 && unit < 5; unit++ {
		v /= 1 << 10
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTPE"[unit])
}

// printable escapes what a terminal would not show as it is: names may hold
// control characters, and characters that turn the direction of writing.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// text is an error in words, for people who know which program speaks.
func text(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "client: "), "metainfo: ")
}
