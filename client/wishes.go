package client

import (
	"sync"
	"time"

	"github.com/seed1734be99/starling/internal/swarm"
)

// wishes is the torrent's settings, which the swarm has a copy of.
type wishes struct {
	t  *Torrent // constant
	mu sync.Mutex

	swarm.Settings
	ownSlots bool // the program said how many slots; else it is the dealer who does
}

func (w *wishes) init(t *Torrent, s swarm.Settings) { w.t, w.Settings = t, s }

// change lets how change the settings, and tells the swarm if it did.
func (w *wishes) change(how func(*wishes)) {
	var eff swarm.Effects
	w.mu.Lock()
	before := w.Settings
	if how(w); w.Settings != before {
		w.t.g.Set(w.Settings, time.Now(), &eff) // under mu: the last change is the last to be told
	}
	w.mu.Unlock()
	w.t.carry(&eff, nil)
}

func (w *wishes) ownsSlots() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ownSlots
}
