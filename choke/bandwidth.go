package choke

import (
	"math"
	"time"
)

const (
	bandwidthTime    = 2 * time.Minute  // what the outgoing bandwidth is averaged over
	bandwidthStep    = 10 * time.Second // between two samples
	bandwidthSamples = int(bandwidthTime / bandwidthStep)
)

// bandwidth estimates what a torrent can send: an average over two minutes, of which the highest is remembered and
// fades by a hundredth each ten seconds (a half is gone after twelve minutes).
type bandwidth struct {
	samples [bandwidthSamples]int64
	n       int // samples taken, ever
	last    time.Time
	peak    int64
}

// note takes in a round.
func (b *bandwidth) note(r *Round) {
	if gone := r.Now.Sub(b.last); b.n > 0 && gone >= 0 && gone < bandwidthStep-turnSlack {
		return
	}
	b.last = r.Now
	b.samples[b.n%bandwidthSamples] = total(r.UploadRate)
	b.n++
	count := min(b.n, bandwidthSamples)
	var mean int64
	for _, s := range b.samples[:count] {
		mean += s / int64(count)
	}
	b.peak = max(mean, b.peak-b.peak/100)
}

// now is what can be sent in bytes per second, 0 while that is not known. Sure: it is a limit that was set, and no
// estimate.
func (b *bandwidth) now(r *Round) (rate int64, sure bool) {
	switch {
	case r.UploadLimit > 0:
		return r.UploadLimit, true
	case b.n < bandwidthSamples:
		return 0, false
	}
	return b.peak, false
}

// root is the share of a bandwidth that is set aside for optimistic unchokes: √(kB/s).
func root(rate int64) int64 { return int64(math.Sqrt(float64(rate)/1000) * 1000) }
