package metainfo

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/seed1734be99/starling/bencode"
)

// fileKeys are cursors in front of the values of one entry of "files". The info
// dictionary of a single file has the same keys but for the path.
type fileKeys struct {
	length, path, pathUTF8, attr, symlinkPath bencode.Cursor
}

func (k *fileKeys) at(key []byte) *bencode.Cursor {
	switch string(key) {
	case "length":
		return &k.length
	case "path":
		return &k.path
	case "path.utf-8":
		return &k.pathUTF8
	case "attr":
		return &k.attr
	case "symlink path":
		return &k.symlinkPath
	}
	return nil
}

// fileList reads a list of files.
type fileList struct {
	name string // of the torrent, safe
	goos string
	text string // the list as it was found; all raw names are parts of it
	base int    // offset of text in the info dictionary

	names   *namer
	storage []string // for paths, cut off piece by piece
	raw     []string // the path being read
}

// parseFiles reads the list of files in front of c, a cursor of raw.
func (i *Info) parseFiles(c bencode.Cursor, raw []byte, goos string) error {
	if c.Kind() != bencode.List {
		return invalid("info.files", "not a list")
	}
	l := fileList{name: i.Name, goos: goos, base: c.Offset()}
	count, all := 0, c
	for all.Enter(bencode.List); all.More(); count++ {
		all.Skip()
	}
	l.text = string(raw[l.base:all.Offset()])
	if count == 0 {
		return invalid("info.files", "an empty list")
	}
	l.names = newNamer(count)
	i.Files = make([]File, count)
	c.Enter(bencode.List)
	for k := range i.Files {
		if err := l.parse(&c, &i.Files[k], k); err != nil {
			return err
		}
	}
	return nil
}

// parse reads file number k, in front of c.
func (l *fileList) parse(c *bencode.Cursor, f *File, k int) error {
	if !c.Enter(bencode.Dict) {
		return invalid(field(k, ""), "not a dictionary")
	}
	var keys fileKeys
	for c.More() {
		key, _ := c.Bytes()
		if at := keys.at(key); at != nil && at.Kind() == bencode.None {
			*at = *c
		}
		c.Skip()
	}
	if err := keys.attributes(f, k); err != nil {
		return err
	}
	ok := l.readPath(keys.pathUTF8, true) || l.readPath(keys.path, false)
	switch {
	case f.Pad: // BEP 47: the path may be missing, and is not used.
		f.Path = append(l.room(3), l.name, ".pad", strconv.FormatInt(f.Length, 10))
		if ok {
			f.Raw = append(l.room(len(l.raw)), l.raw...)
		}
		return nil
	case !ok: // BEP 3: a zero length list is an error case.
		return invalid(field(k, ".path"), "missing, empty, or not a list of strings")
	}
	return l.setPath(f, k)
}

// readPath reads a path into l.raw. It reports whether it is a list of strings,
// not empty, and if asked for all of UTF-8.
func (l *fileList) readPath(c bencode.Cursor, wantUTF8 bool) bool {
	l.raw = l.raw[:0]
	if c.Kind() != bencode.List {
		return false
	}
	for c.Enter(bencode.List); c.More(); {
		b, ok := c.Bytes()
		if !ok || wantUTF8 && !utf8.Valid(b) {
			return false
		}
		stop := c.Offset() - l.base
		l.raw = append(l.raw, l.text[stop-len(b):stop])
	}
	return len(l.raw) > 0
}

// setPath gives a file the path it has on disk, made from l.raw.
func (l *fileList) setPath(f *File, k int) error {
	if len(l.raw) >= maxDepth {
		return tooLarge(field(k, ".path"), "%d components, the limit is %d", len(l.raw)+1, maxDepth)
	}
	path := append(l.room(len(l.raw)+1), l.name)
	size := len(l.name)
	for _, raw := range l.raw {
		name := safeName(raw, l.goos)
		path = append(path, name)
		size += 1 + len(name)
	}
	if size > maxPath {
		return tooLarge(field(k, ".path"), "%d bytes, the limit is %d", size, maxPath)
	}
	l.names.place(path[1:])
	f.Path = path
	if slices.Equal(path[1:], l.raw) {
		f.Raw = path[1:]
	} else {
		f.Raw = append(l.room(len(l.raw)), l.raw...)
	}
	return nil
}

// room returns a slice that can take n strings and no more.
func (l *fileList) room(n int) []string {
	if len(l.storage) < n {
		l.storage = make([]string, max(n, min(1024, 4*len(l.names.taken)+16)))
	}
	s := l.storage[:0:n]
	l.storage = l.storage[n:]
	return s
}

// attributes reads what an entry says beside its path. k is the file's number,
// or -1 for the only file.
func (k *fileKeys) attributes(f *File, number int) error {
	link := false
	attr, _ := k.attr.Bytes()
	for _, c := range attr {
		switch c { // BEP 47: in any order, unknown ones are ignored.
		case 'p':
			f.Pad = number >= 0 // of a single file nothing would be left
		case 'x':
			f.Executable = true
		case 'h':
			f.Hidden = true
		case 'l':
			link = true
		}
	}
	if k.length.Kind() == bencode.None && link {
		f.Length = 0 // BEP 47: need not be there
	} else if n, ok := k.length.Int(); !ok {
		return invalid(field(number, ".length"), "missing, not an integer, or beyond 63 bits")
	} else if n < 0 {
		return invalid(field(number, ".length"), "%d", n)
	} else if n > maxLength {
		return tooLarge(field(number, ".length"), "%d, the limit is %d", n, maxLength)
	} else {
		f.Length = n
	}
	// A link that has a length, or leads nowhere, is an ordinary file.
	if link && f.Length == 0 && !f.Pad {
		f.Target = target(k.symlinkPath)
		f.Symlink = len(f.Target) > 0
	}
	return nil
}

// target reads the path a symbolic link leads to, or nil.
func target(c bencode.Cursor) []string {
	if c.Kind() != bencode.List {
		return nil
	}
	var path []string
	for c.Enter(bencode.List); c.More(); {
		b, ok := c.Bytes()
		if !ok || len(path) == maxDepth {
			return nil
		}
		path = append(path, string(b))
	}
	return path
}

// field names a key of a file in an error.
func field(number int, key string) string {
	if number < 0 {
		return "info" + key
	}
	return fmt.Sprintf("info.files[%d]%s", number, key)
}
