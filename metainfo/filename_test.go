package metainfo

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestSafeName(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct{ in, unix, windows string }{
		{"plain.txt", "plain.txt", "plain.txt"},
		{"crop.05:00.jpg", "crop.05:00.jpg", "crop.05_00.jpg"},
		{"grüße – 日本語.txt", "grüße – 日本語.txt", "grüße – 日本語.txt"},
		{".hidden", ".hidden", ".hidden"},
		{"...", "...", "___"},
		{"..foo", "..foo", "..foo"},
		// Ways out of the folder.
		{"", "_", "_"},
		{".", "_", "_"},
		{"..", "__", "__"},
		{"/", "_", "_"},
		{"/etc/passwd", "_etc_passwd", "_etc_passwd"},
		{"../../x", ".._.._x", ".._.._x"},
		{`..\..\x`, ".._.._x", ".._.._x"},
		{`\\server\share`, "__server_share", "__server_share"},
		{`C:\x`, "C:_x", "C__x"},
		{"C:", "C:", "C_"},
		{"x:stream", "x:stream", "x_stream"},
		{"a/b", "a_b", "a_b"},
		// Characters that are not shown, or show something else.
		{"a\x00b", "a_b", "a_b"},
		{"a\nb\tc\x1b[31m\x7f", "a_b_c_[31m_", "a_b_c_[31m_"},
		{"a\u009bb\u0085c", "a_b_c", "a_b_c"},
		{"evil\u202egpj.exe", "evil_gpj.exe", "evil_gpj.exe"},
		{"a\u2066b\u2069c\u200fd\u061ce\u2028f", "a_b_c_d_e_f", "a_b_c_d_e_f"},
		{"a\xffb\xc3", "a_b_", "a_b_"},
		{"\xc0\xae\xc0\xae", "____", "____"}, // an overlong ".."
		{"\u202e.", "_.", "__"},
		{"a\ufffdb", "a\ufffdb", "a\ufffdb"},
		// What is too long.
		{long, long[:255], long[:255]},
		{long + ".txt", long[:251] + ".txt", long[:251] + ".txt"},
		{"." + long, "." + long[:254], "." + long[:254]},
		{"x." + long, "x." + long[:253], "x." + long[:253]},
		{strings.Repeat("ü", 150), strings.Repeat("ü", 127), strings.Repeat("ü", 127)},
		{strings.Repeat("日", 100) + ".jpg", strings.Repeat("日", 83) + ".jpg", strings.Repeat("日", 83) + ".jpg"},
		// Windows.
		{`<>"|?*`, `<>"|?*`, "______"},
		{"CON", "CON", "_CON"},
		{"con", "con", "_con"},
		{"Aux.txt", "Aux.txt", "_Aux.txt"},
		{"nul.tar.gz", "nul.tar.gz", "_nul.tar.gz"},
		{"nul .txt", "nul .txt", "_nul .txt"},
		{"COM1", "COM1", "_COM1"},
		{"lpt9.x", "lpt9.x", "_lpt9.x"},
		{"COM¹", "COM¹", "_COM¹"},
		{"conin$", "conin$", "_conin$"},
		{"COM10", "COM10", "COM10"},
		{"COM", "COM", "COM"},
		{"CONSOLE", "CONSOLE", "CONSOLE"},
		{"dot.", "dot.", "dot_"},
		{"blank ", "blank ", "blank_"},
		{"both. .", "both. .", "both___"},
		{"con.", "con.", "con_"},
		{"LONGNA~1.TXT", "LONGNA~1.TXT", "LONGNA_1.TXT"},
		{"backup~", "backup~", "backup~"},
		{"a~b.txt", "a~b.txt", "a~b.txt"},
	} {
		for goos, want := range map[string]string{"linux": c.unix, "darwin": c.unix, "windows": c.windows} {
			got := safeName(c.in, goos)
			require.Equal(t, want, got, "%q on %s", c.in, goos)
			require.Equal(t, got, safeName(got, goos), "what is safe stays as it is")
		}
	}
	require.Equal(t, "_", SafeName(""))
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"a", "..", "nul.txt", strings.Repeat("ü", 200), "a\xff/\\.", "x~1", "日\u202e. "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, goos := range []string{"linux", "windows"} {
			got := safeName(s, goos)
			require.True(t, filepath.IsLocal(got))
			require.NotContains(t, got, "/")
			require.NotContains(t, got, `\`)
			require.NotEqual(t, ".", got)
			require.True(t, utf8.ValidString(got))
			require.LessOrEqual(t, len(got), maxName)
			require.Equal(t, got, printable(got))
			require.Equal(t, got, safeName(got, goos))
			require.Equal(t, fold(got), fold(fold(got)))
		}
	})
}

func TestFold(t *testing.T) {
	for _, same := range [][]string{
		{"readme", "README", "ReadMe"},
		{"é", "e\u0301", "É", "E\u0301"},
		{"ệ", "e\u0323\u0302", "e\u0302\u0323", "ê\u0323"},
		{"straße", "STRASSE", "STRAẞE"},
		{"한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"},
		{"が", "か\u3099"},
		{"Å", "\u212b", "A\u030a"},
		{"ab", "a\u200bb", "a\ufeffb"},
		{"K", "\u212a"},
		{"σ", "ς", "Σ"},
		{"i;", "i\u037e"},
	} {
		for _, s := range same[1:] {
			require.Equal(t, fold(same[0]), fold(s), "%q %q", same[0], s)
		}
	}
	for _, differ := range [][2]string{{"a", "b"}, {"résumé", "resume"}, {"a", "a "}, {"が", "か"}, {"е", "e"}} {
		require.NotEqual(t, fold(differ[0]), fold(differ[1]))
	}
}

func placed(paths ...string) []string {
	n := newNamer(len(paths))
	for i, p := range paths {
		parts := strings.Split(p, "/")
		n.place(parts)
		paths[i] = strings.Join(parts, "/")
	}
	return paths
}

func TestNamer(t *testing.T) {
	for _, c := range [][2][]string{
		{{"a", "b", "d/a"}, {"a", "b", "d/a"}},
		{{"a.txt", "a.txt", "a.txt"}, {"a.txt", "a (2).txt", "a (3).txt"}},
		{{"a.txt", "A.TXT", "d/A.txt"}, {"a.txt", "A (2).TXT", "d/A.txt"}},
		{{"a (2).txt", "a.txt", "a.txt", "a.txt"}, {"a (2).txt", "a.txt", "a (3).txt", "a (4).txt"}},
		{{"a.txt", "a.txt", "a (2).txt"}, {"a.txt", "a (2).txt", "a (2) (2).txt"}},
		{{"Dir/x", "dir/x", "DIR/y"}, {"Dir/x", "dir/x (2)", "DIR/y"}},
		{{"é/x", "e\u0301/x"}, {"é/x", "e\u0301/x (2)"}},
		// Both a file and a folder.
		{{"a", "a/b", "a/c", "a/b"}, {"a", "a (2)/b", "a (2)/c", "a (2)/b (2)"}},
		{{"a/b", "a", "a/c"}, {"a/b", "a (2)", "a/c"}},
		{{"d/a", "d/a/b/c", "d/A/b/d", "d/a/b"}, {"d/a", "d/a (2)/b/c", "d/a (2)/b/d", "d/a (2)/b (2)"}},
		{{"a", "a (2)", "a/b", "a (2)/b"}, {"a", "a (2)", "a (3)/b", "a (2) (2)/b"}},
		{{".hidden", ".hidden"}, {".hidden", ".hidden (2)"}},
	} {
		in := strings.Join(c[0], " ")
		require.Equal(t, c[1], placed(c[0]...), in)
	}
	long := strings.Repeat("x", 251) + ".txt"
	got := placed(long, long)[1]
	require.Equal(t, strings.Repeat("x", 238)+" (2).txt", got)
	require.Equal(t, got, safeName(got, "windows"))
}

// Names that all lead to the same numbers must not take quadratic time.
func TestNamerIsLinear(t *testing.T) {
	const files = 40_000
	for name, path := range map[string]func(i int) string{
		"equal":          func(int) string { return "d/a.txt" },
		"long and equal": func(int) string { return strings.Repeat("x", 255) },
		"long pairs":     func(i int) string { return strings.Repeat("x", 247) + fmt.Sprintf("%08d", i/2) },
		"taken numbers": func(i int) string {
			if i < files/2 {
				return fmt.Sprintf("a (%d)", i)
			}
			return "a"
		},
		"files as folders": func(i int) string {
			if i%2 == 0 {
				return fmt.Sprintf("%d", i/2)
			}
			return fmt.Sprintf("%d/x", i/2)
		},
	} {
		start := time.Now()
		n := newNamer(files)
		seen := make(map[string]bool, files)
		for i := range files {
			parts := strings.Split(path(i), "/")
			n.place(parts)
			p := strings.Join(parts, "/")
			require.False(t, seen[p], p)
			seen[p] = true
		}
		require.Less(t, time.Since(start), 20*time.Second, name)
	}
}
