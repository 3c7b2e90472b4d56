package server

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// twin is what a list says, said plainly.
type twin map[[6]byte]struct {
	seed, partial bool
	heard         uint32
	id            byte
}

// After any history a list, with and without an index, says what its twin does.
func TestListAgainstTwin(t *testing.T) {
	for _, size := range []int{10, 300} {
		random := rand.New(rand.NewPCG(1, uint64(size)))
		var l list[[6]byte]
		plain := make(twin)
		now := uint32(1000)
		indexed := false
		for step := range 20_000 {
			now += uint32(random.IntN(2))
			k := [6]byte{4: byte(random.IntN(size) >> 8), 5: byte(random.IntN(size))}
			switch at := l.find(k); random.IntN(6) {
			case 0, 1:
				if at >= 0 {
					l.remove(at)
				}
				delete(plain, k)
			case 2:
				if random.IntN(50) == 0 {
					n, _ := l.expire(now, 200)
					for k, p := range plain {
						if now-p.heard > 200 {
							delete(plain, k)
							n--
						}
					}
					require.Zero(t, n)
				}
			default:
				p := plain[k]
				p.seed, p.heard, p.id = random.IntN(3) == 0, now, byte(step)
				p.partial = !p.seed && random.IntN(3) == 0
				plain[k] = p
				l.put(at, k, &[20]byte{p.id}, p.seed, p.partial, now)
			}
			indexed = indexed || l.index != nil
			checkList(t, &l, plain)
		}
		require.Equal(t, size > indexFrom, indexed)
	}
}

func checkList(t *testing.T, l *list[[6]byte], plain twin) {
	seeds, partial := 0, 0
	for k, p := range plain {
		at := l.find(k)
		if at < 0 || l.records[at].key != k || l.records[at].heard != p.heard || l.records[at].partial != p.partial ||
			l.ids[at][0] != p.id || (at >= int(l.leeches)) != p.seed {
			require.Fail(t, "not the same", "%v: %+v", k, p)
		}
		if p.seed {
			seeds++
		}
		if p.partial {
			partial++
		}
	}
	if len(plain) != len(l.records) || seeds != l.seeds() || partial != int(l.partial) || l.index != nil && used(l.index) != len(plain) {
		require.Fail(t, "counts", "%d %d %d %+v", len(plain), seeds, partial, l)
	}
}

func used(x index) (n int) {
	for _, v := range x {
		if v != 0 {
			n++
		}
	}
	return n
}

// A swarm that shrinks gives its memory back.
func TestListShrinks(t *testing.T) {
	var l list[[6]byte]
	for i := range 10_000 {
		l.put(-1, [6]byte{0: byte(i >> 8), 1: byte(i)}, &[20]byte{}, false, false, 0)
	}
	require.Less(t, cap(l.records), 11_500)
	require.LessOrEqual(t, len(l.index), 1<<15)
	for len(l.records) > 100 {
		l.remove(0)
	}
	require.LessOrEqual(t, len(l.index), 1<<9)
	for len(l.records) > 5 {
		l.remove(0)
	}
	require.LessOrEqual(t, cap(l.records), 16)
	require.LessOrEqual(t, cap(l.ids), 16)
	require.Nil(t, l.index)
}

// Distinct, never the asker, and each as likely as any other.
func TestDraw(t *testing.T) {
	random := rand.NewPCG(1, 2)
	for _, test := range []struct{ n, m, skip int }{
		{50, 10, 3}, {10, 10, -1}, {10, 11, 10}, {10, 12, 0}, {7, 100, 50}, {50, 75, -1}, {1, 3, 1}, {50, 60, 99}, {0, 5, 2}, {5, 0, -1}, {3, 1, 0},
	} {
		seen := make([]int, test.m)
		const rounds = 20_000
		var drawn []uint32
		for range rounds {
			drawn = draw(drawn[:0], test.n, test.m, test.skip, random)
			last := make(map[uint32]bool)
			for _, at := range drawn {
				seen[at]++
				if last[at] {
					require.Fail(t, "drawn twice", "%+v %v", test, drawn)
				}
				last[at] = true
			}
		}
		others := test.m
		if test.skip >= 0 && test.skip < test.m {
			require.Zero(t, seen[test.skip])
			others--
		}
		require.Len(t, drawn, min(test.n, others), "%+v", test)
		for at, n := range seen {
			if at != test.skip {
				want := float64(rounds) * float64(len(drawn)) / float64(others)
				require.InEpsilon(t, want+1, float64(n)+1, 0.15, "%+v: place %d", test, at)
			}
		}
	}
}
