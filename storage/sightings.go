package storage

import (
	"sync"
	"time"
)

// A fileState is what a torrent knows of one of its files.
type fileState uint8

const (
	unseen  fileState = iota // nothing: it may be missing or short, and writing makes it whole
	settled                  // seen at full size: it must stay so
	void                     // was settled, then removed, replaced or cut short by somebody else
)

// sightings are what a torrent knows of its files, and the short memory of a run of probes.
// mu may be held across the stat of one file, by a probe; reads and writes need it only when they open.
type sightings struct {
	mu     sync.Mutex
	states []fileState // as far as anything is known; unseen beyond
	last   int64       // address of the latest probe
	recent [4]glance   // a run with rising addresses comes back to the latest files only
	turn   int
}

// A glance is the size of a file at a time; negative when there is no such file.
type glance struct {
	valid bool
	file  int
	size  int64
	at    time.Time
}

// glanceLife is how long a glance is believed within a run.
const glanceLife = time.Second

func (s *sightings) state(file int) fileState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if file >= len(s.states) {
		return unseen
	}
	return s.states[file]
}

func (s *sightings) setLocked(file int, st fileState) {
	if file >= len(s.states) {
		if st == unseen {
			return
		}
		s.states = append(s.states, make([]fileState, file+1-len(s.states))...)
	}
	s.states[file] = st
}

// settle: the file was seen, or made, at full size.
func (s *sightings) settle(file int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(file)
	s.setLocked(file, settled)
}

// spoil: what was known does not hold any more.
func (s *sightings) spoil(file int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(file)
	s.setLocked(file, void)
}

func (s *sightings) forgetLocked(file int) {
	for i := range s.recent {
		if s.recent[i].file == file {
			s.recent[i] = glance{}
		}
	}
}
