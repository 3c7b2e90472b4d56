package server

import "strings"

// pair is a name and a value of a query, as they came.
type pair struct{ name, value string }

// nextPair cuts the first pair off a query. It is the loop of [net/url.ParseQuery]
// without its maps.
func nextPair(query string) (p pair, rest string, ok bool) {
	for query != "" {
		var item string
		item, query, _ = strings.Cut(query, "&")
		if item == "" {
			continue
		}
		p.name, p.value, _ = strings.Cut(item, "=")
		return p, query, true
	}
	return pair{}, "", false
}

// unescape writes a value without its percent-encoding to dst and returns its
// length; -1 if an escape is broken or there is more than fits. Any byte may be
// escaped or not (T28), a plus is a space.
func unescape(dst []byte, value string) int {
	n := 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if len(value) < i+3 {
				return -1
			}
			hi, lo := unhex(value[i+1]), unhex(value[i+2])
			if hi|lo > 15 {
				return -1
			}
			c = hi<<4 | lo
			i += 2
		}
		if n == len(dst) {
			return -1
		}
		dst[n] = c
		n++
	}
	return n
}

// unhex returns a hexadecimal digit's value; 255 if it is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// unescapeHash reads a value of exactly 20 bytes.
func unescapeHash(dst *[20]byte, value string) bool {
	return unescape(dst[:], value) == len(dst)
}
