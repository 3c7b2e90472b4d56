package metainfo

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxName is how long, in bytes, one component of a path may be: what the
	// usual file systems take.
	maxName = 255
	// maxDepth and maxPath bound the components and the bytes of one file's
	// path; the operating systems allow 4096 bytes with the save folder.
	maxDepth = 256
	maxPath  = 3072
)

// SafeName returns name as one component of a path on the running system: never
// empty, "." or "..", without separators of any system, without control
// characters, characters that change the direction of writing or invalid UTF-8,
// not longer than 255 bytes (shortened before the extension). On Windows also
// its reserved names and characters and trailing dots and blanks are replaced.
// A name that is safe already comes back as it is.
func SafeName(name string) string { return safeName(name, runtime.GOOS) }

func safeName(name, goos string) string {
	windows := goos == "windows"
	if !plain(name, windows) {
		name = strings.Map(func(r rune) rune {
			if r == '/' || r == '\\' || unprintable(r) || windows && forbiddenOnWindows(r) {
				return '_'
			}
			return r
		}, toValid(name))
	}
	name = shorten(name, 0)
	switch name {
	case "", ".":
		return "_"
	case "..":
		return "__"
	}
	if windows {
		name = windowsName(name)
	}
	return name
}

// plain reports whether name has only characters that are safe without a closer
// look.
func plain(name string, windows bool) bool {
	for i := range len(name) {
		c := name[i]
		if c < 0x20 || c >= 0x7f || c == '/' || c == '\\' || windows && forbiddenOnWindows(rune(c)) {
			return false
		}
	}
	return true
}

// unprintable reports whether r controls how text is shown rather than being
// shown: control characters, line separators, changes of direction.
func unprintable(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r <= 0x9f,
		r == 0x061c, r == 0x200e, r == 0x200f,
		0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
		return true
	}
	return false
}

// toValid returns s with an underscore for every byte that is no UTF-8.
func toValid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b.WriteByte('_')
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// printable returns hostile text so that it can be shown in one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '_'
		}
		return r
	}, toValid(s))
}

// splitExt returns name in two, the second part being its extension with the
// dot. An extension that is the whole name, or long, is none.
func splitExt(name string) (stem, ext string) {
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 32 {
		return name[:i], name[i:]
	}
	return name, ""
}

// shorten returns name cut before its extension, so that it and reserve more
// bytes are no longer than a name may be.
func shorten(name string, reserve int) string {
	if len(name)+reserve <= maxName {
		return name
	}
	stem, ext := splitExt(name)
	n := maxName - reserve - len(ext)
	for n > 0 && !utf8.RuneStart(stem[n]) {
		n--
	}
	return stem[:n] + ext
}

func forbiddenOnWindows(r rune) bool {
	switch r {
	case '<', '>', ':', '"', '|', '?', '*':
		return true
	}
	return false
}

// windowsName changes what Windows would read as something else: trailing dots
// and blanks (it drops them), devices, and the short names it gives to files
// with long ones (LONGNA~1.TXT).
func windowsName(name string) string {
	if trimmed := strings.TrimRight(name, ". "); len(trimmed) < len(name) {
		name = trimmed + strings.Repeat("_", len(name)-len(trimmed))
	}
	stem, _, _ := strings.Cut(name, ".")
	if isDevice(strings.TrimRight(stem, " ")) {
		name = "_" + shorten(name, 1)
	}
	if i := strings.LastIndexByte(stem, '~'); i >= 0 && i < 8 && i+1 < len(stem) && len(stem) <= 8 {
		if _, err := strconv.ParseUint(stem[i+1:], 10, 32); err == nil {
			name = strings.Replace(name, "~", "_", -1)
		}
	}
	return name
}

// isDevice reports whether a name without extension is one of the devices of
// Windows, in any case of letters.
func isDevice(stem string) bool {
	if len(stem) < 3 || len(stem) > len("CONOUT$") {
		return false
	}
	switch s := strings.ToUpper(stem); s {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	default:
		number, ok := strings.CutPrefix(s, "COM")
		if !ok {
			number, ok = strings.CutPrefix(s, "LPT")
		}
		return ok && number != "" && strings.Contains("0 1 2 3 4 5 6 7 8 9 ¹ ² ³", number)
	}
}

// fold returns a key that is equal for names which some file system takes for
// the same: it ignores case, Unicode form and invisible characters.
func fold(name string) string {
	ascii, capitals := true, false
	for i := range len(name) {
		c := name[i]
		ascii = ascii && c < utf8.RuneSelf
		capitals = capitals || 'A' <= c && c <= 'Z'
	}
	if ascii {
		if capitals {
			return strings.ToLower(name)
		}
		return name
	}
	out := make([]rune, 0, len(name))
	for _, r := range name {
		if d := decompose(r); d != "" {
			for _, r := range d {
				out = appendFolded(out, r)
			}
		} else {
			out = appendFolded(out, r)
		}
	}
	// Marks on one letter may come in any order.
	for i := 0; i < len(out); i++ {
		j := i
		for j < len(out) && unicode.Is(unicode.Mn, out[j]) {
			j++
		}
		if j > i+1 {
			slices.Sort(out[i:j])
			i = j
		}
	}
	return string(out)
}

func appendFolded(out []rune, r rune) []rune {
	switch {
	case r == 0x00ad, 0x200b <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e,
		0x2060 <= r && r <= 0x206f, 0xfe00 <= r && r <= 0xfe0f, r == 0xfeff:
		return out
	case r == 'ß', r == 'ẞ':
		return append(out, 's', 's')
	}
	return append(out, unicode.ToLower(unicode.ToUpper(r)))
}

// A namer gives every file of a torrent a path of its own, in time that grows
// with the number of components. What clashes with an earlier name, exactly or
// by [fold], gets a number, as in "name (2).ext": a file of the same path, a
// file where a folder is, a folder where a file is. The names depend on nothing
// but the names before them.
type namer struct {
	taken    map[nodeKey]int32  // number of a folder; of a file 0, as of the torrent's own folder
	counters map[nodeKey]int    // the latest number given to a name
	beside   map[nodeKey]folder // folders whose name a file had before
	folders  int32              // how many there are

	last     []string // the folders of the file before, as they came
	lastDone []string // and as they were named
	lastID   int32
}

// nodeKey is a name, folded, within a folder.
type nodeKey struct {
	folder int32
	name   string
}

// folder is one that was renamed.
type folder struct {
	id   int32
	name string
}

func newNamer(files int) *namer {
	return &namer{taken: make(map[nodeKey]int32, files)}
}

// place changes the components of path, which are safe, as far as needed.
func (n *namer) place(path []string) {
	dirs := path[:len(path)-1]
	id := n.lastID
	if slices.Equal(dirs, n.last) {
		copy(dirs, n.lastDone)
	} else {
		n.last = append(n.last[:0], dirs...)
		id = 0
		for i := range dirs {
			id = n.enter(id, &dirs[i])
		}
		n.lastDone, n.lastID = append(n.lastDone[:0], dirs...), id
	}
	file := &path[len(path)-1]
	key := nodeKey{id, fold(*file)}
	if _, clash := n.taken[key]; clash {
		key = n.rename(id, file)
	}
	n.taken[key] = 0
}

// enter returns the folder of a name within another one.
func (n *namer) enter(in int32, name *string) int32 {
	key := nodeKey{in, fold(*name)}
	at, there := n.taken[key]
	if there && at > 0 {
		return at
	}
	if f, ok := n.beside[key]; ok {
		*name = f.name
		return f.id
	}
	n.folders++
	if !there {
		n.taken[key] = n.folders
		return n.folders
	}
	if n.beside == nil {
		n.beside = make(map[nodeKey]folder)
	}
	n.taken[n.rename(in, name)] = n.folders
	n.beside[key] = folder{n.folders, *name}
	return n.folders
}

// rename gives a name the next number that is free within a folder, and returns
// the key of the result. A number that was tried is not tried again.
func (n *namer) rename(in int32, name *string) nodeKey {
	const room = len(" (1234567890)")
	if n.counters == nil {
		n.counters = make(map[nodeKey]int)
	}
	stem, ext := splitExt(shorten(*name, room))
	series := nodeKey{in, fold(stem) + "/" + fold(ext)}
	for number := max(n.counters[series], 1) + 1; ; number++ {
		candidate := stem + " (" + strconv.Itoa(number) + ")" + ext
		key := nodeKey{in, fold(candidate)}
		if _, clash := n.taken[key]; !clash {
			n.counters[series] = number
			*name = candidate
			return key
		}
	}
}
