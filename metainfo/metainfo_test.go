package metainfo

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed1734be99/starling/bencode"
)

func TestParse(t *testing.T) {
	info := with(nil)
	in := encode(t, dict{
		"announce": "http://a.example/announce", "announce-list": []any{[]any{"http://a.example/announce", "udp://b.example:1"}, []any{"http://c.example/"}},
		"comment": "two\r\nlines\x1b", "created by": "a tool", "creation date": 1064759973, "info": info,
		"nodes": []any{[]any{"127.0.0.1", 6881}, []any{"::1", 6882}}, "url-list": []any{"http://w.example/"},
		"encoding": "UTF-8", "zz": []any{1, dict{}},
	})
	m, err := Parse(in)
	require.NoError(t, err)
	require.Equal(t, "http://a.example/announce", m.Announce)
	require.Equal(t, [][]string{{"http://a.example/announce", "udp://b.example:1"}, {"http://c.example/"}}, m.AnnounceList)
	require.Equal(t, []string{"http://w.example/"}, m.URLList)
	require.Equal(t, []string{"127.0.0.1:6881", "[::1]:6882"}, m.Nodes)
	require.Equal(t, time.Unix(1064759973, 0).UTC(), m.CreationDate)
	require.Equal(t, "two\nlines_", m.Comment)
	require.Equal(t, "a tool", m.CreatedBy)
	require.Equal(t, map[string]bencode.RawMessage{"encoding": bencode.RawMessage("5:UTF-8"), "zz": bencode.RawMessage("li1edee")}, m.Extra)
	require.Equal(t, encode(t, info), m.InfoBytes)
	require.Equal(t, SumHash(m.InfoBytes), m.Hashes().V1)

	// What is kept does not alias the input, and is written again.
	out, err := m.Marshal()
	require.NoError(t, err)
	clear(in)
	again, err := Parse(out)
	require.NoError(t, err)
	require.Equal(t, m, again)
	twice, err := again.Marshal()
	require.NoError(t, err)
	require.Equal(t, out, twice)
}

// What one can do without does not make a torrent unusable.
func TestParseIgnoresOddValues(t *testing.T) {
	info := with(nil)
	for name, c := range map[string]struct {
		in   dict
		want MetaInfo
	}{
		"nothing":              {dict{}, MetaInfo{}},
		"announce an integer":  {dict{"announce": 7}, MetaInfo{}},
		"announce with blanks": {dict{"announce": " http://a/ \n"}, MetaInfo{Announce: "http://a/"}},
		"announce of controls": {dict{"announce": "http://a/\x1b[2J"}, MetaInfo{}},
		"tiers: a string":      {dict{"announce-list": "http://a/"}, MetaInfo{}},
		"tiers: empty":         {dict{"announce-list": []any{[]any{}, []any{""}, []any{7, dict{}}}}, MetaInfo{}},
		"tiers: flat":          {dict{"announce-list": []any{"http://a/", []any{"http://b/", 7, "http://c/"}, 3, dict{"x": 1}}}, MetaInfo{AnnounceList: [][]string{{"http://a/"}, {"http://b/", "http://c/"}}}},
		"url-list a string":    {dict{"url-list": "http://w/"}, MetaInfo{URLList: []string{"http://w/"}}},
		"url-list empty":       {dict{"url-list": ""}, MetaInfo{}},
		"url-list junk":        {dict{"url-list": []any{1, []any{"x"}, "http://w/", ""}}, MetaInfo{URLList: []string{"http://w/"}}},
		"nodes junk":           {dict{"nodes": []any{1, "x", []any{}, []any{"h"}, []any{"h", "1"}, []any{"h", 0}, []any{"h", 65536}, []any{"h", 1, 2}, []any{7, 7}}}, MetaInfo{Nodes: []string{"h:1"}}},
		"nodes a string":       {dict{"nodes": "x"}, MetaInfo{}},
		"date a string":        {dict{"creation date": "yesterday"}, MetaInfo{}},
		"date negative":        {dict{"creation date": -5}, MetaInfo{}},
		"date far away":        {dict{"creation date": int64(1) << 62}, MetaInfo{}},
		"comment a list":       {dict{"comment": []any{1}}, MetaInfo{}},
		"comment not UTF-8":    {dict{"comment": "a\xff"}, MetaInfo{Comment: "a_"}},
		"comment twice":        {dict{"comment": "a\xff", "comment.utf-8": "aü"}, MetaInfo{Comment: "aü"}},
		"comment.utf-8":        {dict{"comment.utf-8": "aü"}, MetaInfo{Comment: "aü"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.in["info"] = info
			m, err := Parse(encode(t, c.in))
			require.NoError(t, err)
			c.want.Info, c.want.InfoBytes, c.want.hashes = m.Info, m.InfoBytes, m.hashes
			require.Equal(t, &c.want, m)
			_, err = m.Marshal()
			require.NoError(t, err)
		})
	}
}

func TestParseManyTrackers(t *testing.T) {
	var list []any
	for range 10_000 {
		list = append(list, []any{"http://t.example/announce"})
	}
	m, err := Parse(encode(t, dict{"announce-list": list, "url-list": list, "info": with(nil)}))
	require.NoError(t, err)
	require.Len(t, m.Trackers(), 10_000)
}

func TestBEP12_Trackers(t *testing.T) {
	for _, c := range []struct {
		m    MetaInfo
		want [][]string
	}{
		{MetaInfo{}, nil},
		{MetaInfo{Announce: "a"}, [][]string{{"a"}}},
		{MetaInfo{Announce: "a", AnnounceList: [][]string{{"b", "c"}, {"d"}}}, [][]string{{"b", "c"}, {"d"}}},
		{MetaInfo{Announce: "a", AnnounceList: [][]string{{}, {""}}}, [][]string{{"a"}}},
		{MetaInfo{AnnounceList: [][]string{{"", "b"}}}, [][]string{{"b"}}},
	} {
		got := c.m.Trackers()
		require.Equal(t, c.want, got)
		if len(got) > 0 {
			got[0][0] = "changed"
			require.NotEqual(t, got, c.m.Trackers(), "a copy")
		}
	}
}

func TestLoad(t *testing.T) {
	in := encode(t, dict{"info": with(nil)})
	m, err := Load(iotest.OneByteReader(bytes.NewReader(append(in, '\n'))))
	require.NoError(t, err)
	require.Equal(t, "a", m.Info.Name)

	oops := errors.New("oops")
	_, err = Load(iotest.ErrReader(oops))
	require.ErrorIs(t, err, oops)
	_, err = Load(io.LimitReader(zeros{}, MaxSize+5))
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = Load(strings.NewReader(""))
	require.ErrorIs(t, err, ErrNotTorrent)
	_, err = Parse(make([]byte, MaxSize+1))
	require.ErrorIs(t, err, ErrTooLarge)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// One error that names the file, once.
func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "photo.jpg")
	require.NoError(t, os.WriteFile(name, []byte("\xff\xd8\xff\xe0 a picture"), 0o600))
	_, err := LoadFile(name)
	require.ErrorIs(t, err, ErrNotTorrent)
	var syntax *bencode.SyntaxError
	require.ErrorAs(t, err, &syntax)
	require.Equal(t, 1, strings.Count(err.Error(), "photo.jpg"))

	missing := filepath.Join(dir, "missing.torrent")
	_, err = LoadFile(missing)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, 1, strings.Count(err.Error(), "missing.torrent"))
	_, err = LoadFile(dir)
	require.Error(t, err)
	require.Equal(t, 1, strings.Count(err.Error(), filepath.Base(dir)))
}

func TestNew(t *testing.T) {
	raw := encode(t, with(nil))
	m, err := New(raw)
	require.NoError(t, err)
	require.Equal(t, SumHash(raw), m.Hashes().V1)
	m.Announce = "http://t.example/announce"
	var b bytes.Buffer
	require.NoError(t, m.Write(&b))
	require.Equal(t, "d8:announce25:http://t.example/announce4:info"+string(raw)+"e", b.String())
	_, err = New([]byte("de"))
	require.ErrorIs(t, err, ErrInvalid)
	require.Equal(t, SumHash(raw), (&MetaInfo{InfoBytes: raw}).Hashes().V1)
	require.True(t, new(MetaInfo).Hashes().IsZero())
}

func TestMarshalRefuses(t *testing.T) {
	raw := encode(t, with(nil))
	for _, m := range []*MetaInfo{
		{}, {InfoBytes: []byte("junk")}, {InfoBytes: append(raw[:len(raw):len(raw)], 'x')},
		{InfoBytes: raw, Extra: map[string]bencode.RawMessage{"x": nil}},
		{InfoBytes: raw, Extra: map[string]bencode.RawMessage{"x": bencode.RawMessage("i1ei2e")}},
	} {
		_, err := m.Marshal()
		require.ErrorIs(t, err, ErrInvalid)
		require.ErrorIs(t, m.Write(io.Discard), ErrInvalid)
	}
	m := &MetaInfo{InfoBytes: raw}
	r, w := io.Pipe()
	require.NoError(t, r.Close())
	require.ErrorIs(t, m.Write(w), io.ErrClosedPipe)
	// What a field says is not said twice.
	m = &MetaInfo{InfoBytes: raw, Nodes: []string{"h:1", "junk", "h:x"}, Extra: map[string]bencode.RawMessage{"announce": bencode.RawMessage("1:x"), "info": bencode.RawMessage("1:x")}}
	b, err := m.Marshal()
	require.NoError(t, err)
	require.Equal(t, "d4:info"+string(raw)+"5:nodesll1:hi1eeee", string(b))
}

func TestMetaInfoMagnet(t *testing.T) {
	m, err := Parse(encode(t, dict{"info": with(dict{"name": "a b"}), "announce": "http://t.example/announce", "url-list": "http://w.example/"}))
	require.NoError(t, err)
	require.Equal(t, "magnet:?xt=urn:btih:"+m.Hashes().V1.String()+"&dn=a%20b&xl=5&tr=http%3A%2F%2Ft.example%2Fannounce&ws=http%3A%2F%2Fw.example%2F", m.Magnet().String())
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, dict{"info": with(nil), "announce-list": []any{[]any{"x"}}, "nodes": []any{[]any{"h", 1}}, "url-list": "w", "creation date": 5, "zz": 1}))
	f.Add(encode(f, dict{"info": files(file(5, "x"), file(0, "X"))}))
	names, err := filepath.Glob("testdata/bad/*.torrent")
	require.NoError(f, err)
	require.NotEmpty(f, names)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Parse(in)
		if err != nil {
			require.Nil(t, m)
			return
		}
		require.True(t, bytes.Contains(in, m.InfoBytes))
		out, err := m.Marshal()
		require.NoError(t, err)
		again, err := Parse(out)
		require.NoError(t, err)
		require.Equal(t, m, again)
		link, err := ParseMagnet(m.Magnet().String())
		require.NoError(t, err)
		require.Equal(t, m.Hashes(), link.Hashes)
	})
}
