package storage

import (
	"path/filepath"
	"strings"
	"sync"
)

// claims know which open torrent uses which paths, so that no file ever has two writers. They cost one
// entry for each torrent: torrents are filed under their save folder and the first component of their
// paths, and their files are compared only where those meet.
type claims struct {
	mu    sync.Mutex
	byDir map[string]map[string][]*onDisk // save folder, first component (both folded), torrents
}

// take files t, or says which of its files is taken.
func (c *claims) take(t *onDisk) error {
	tops := t.tops()
	c.mu.Lock()
	defer c.mu.Unlock()
	own := fold(t.dir)
	for dir, entries := range c.byDir {
		if dir == own {
			for top := range tops {
				if err := clash(t, entries[top]); err != nil {
					return err
				}
			}
			continue
		}
		// One save folder lies inside of the other: their torrents meet when the way leads through a
		// folder of the torrent above.
		if top, inside := firstBelow(own, dir); inside && tops[top] {
			for _, others := range entries {
				if err := clash(t, others); err != nil {
					return err
				}
			}
		}
		if top, inside := firstBelow(dir, own); inside {
			if err := clash(t, entries[top]); err != nil {
				return err
			}
		}
	}
	for top := range tops {
		if c.byDir == nil {
			c.byDir = make(map[string]map[string][]*onDisk)
		}
		if c.byDir[own] == nil {
			c.byDir[own] = make(map[string][]*onDisk)
		}
		c.byDir[own][top] = append(c.byDir[own][top], t)
	}
	return nil
}

// drop takes t out again.
func (c *claims) drop(t *onDisk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := fold(t.dir)
	entries := c.byDir[own]
	for top := range t.tops() {
		var left []*onDisk
		for _, o := range entries[top] {
			if o != t {
				left = append(left, o)
			}
		}
		if len(left) > 0 {
			entries[top] = left
		} else {
			delete(entries, top)
		}
	}
	if len(entries) == 0 {
		delete(c.byDir, own)
	}
}

// tops returns the first components of the torrent's paths, folded. It is one, unless a layout was made
// by hand.
func (t *onDisk) tops() map[string]bool {
	tops := make(map[string]bool, 1)
	for _, name := range t.names {
		if name != "" {
			top, _, _ := strings.Cut(name, string(filepath.Separator))
			tops[fold(top)] = true
		}
	}
	return tops
}

// firstBelow returns the first component of the way from folder up to folder low, if low is inside up.
func firstBelow(up, low string) (string, bool) {
	if !strings.HasSuffix(up, string(filepath.Separator)) {
		up += string(filepath.Separator)
	}
	rest, inside := strings.CutPrefix(low, up)
	if !inside {
		return "", false
	}
	top, _, _ := strings.Cut(rest, string(filepath.Separator))
	return top, true
}

// clash looks for a file that t and one of the others have in common.
func clash(t *onDisk, others []*onDisk) error {
	if len(others) == 0 {
		return nil
	}
	own := make(map[string]struct{}, len(t.names))
	for i, name := range t.names {
		if name != "" {
			own[fold(t.path(i))] = struct{}{}
		}
	}
	for _, o := range others {
		for i, name := range o.names {
			if name == "" {
				continue
			}
			path := o.path(i)
			if _, taken := own[fold(path)]; taken {
				return fileError("open", path, ErrInUse)
			}
		}
	}
	return nil
}
