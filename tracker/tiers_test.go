package tracker

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

const anyFamily = families(1 << AnyFamily)

func (t *tiers) urls() (list [][]string) {
	for _, e := range t.list {
		for len(list) <= int(e.tier) {
			list = append(list, nil)
		}
		list[e.tier] = append(list[e.tier], e.url)
	}
	return list
}

func TestT15_ShuffleWithinTierOnce(t *testing.T) {
	first := make(map[string]int)
	for seed := range uint64(300) {
		var ts tiers
		require.Equal(t, 4, ts.add([][]string{{"a", "b", "c"}, {"d"}}, anyFamily, rand.New(rand.NewPCG(seed, 0))))
		urls := ts.urls()
		require.ElementsMatch(t, []string{"a", "b", "c"}, urls[0])
		require.Equal(t, []string{"d"}, urls[1])
		first[urls[0][0]]++
		require.Equal(t, urls, ts.urls(), "reading does not shuffle")
	}
	for _, u := range []string{"a", "b", "c"} {
		require.InDelta(t, 100, first[u], 40)
	}
}

// The second example of BEP 12.
func TestT15_PromoteWhatAnswered(t *testing.T) {
	var ts tiers
	ts.add([][]string{{"first"}, {"tracker1", "tracker2", "tracker3"}, {"backup"}}, anyFamily, nil)
	find := func(url string) *entry {
		for _, e := range ts.list {
			if e.url == url {
				return e
			}
		}
		return nil
	}
	ts.promote(find("tracker2"))
	require.Equal(t, [][]string{{"first"}, {"tracker2", "tracker1", "tracker3"}, {"backup"}}, ts.urls())
	ts.promote(find("tracker3"))
	require.Equal(t, [][]string{{"first"}, {"tracker3", "tracker2", "tracker1"}, {"backup"}}, ts.urls())
	ts.promote(find("tracker3"))
	ts.promote(find("backup"))
	ts.promote(find("first"))
	ts.promote(&entry{})
	require.Equal(t, [][]string{{"first"}, {"tracker3", "tracker2", "tracker1"}, {"backup"}}, ts.urls())
}

func TestT15_TiersAreCleaned(t *testing.T) {
	var ts tiers
	require.Equal(t, 3, ts.add([][]string{{" a ", "", "b", "a"}, {"b"}, {}, {"c"}}, anyFamily, nil))
	require.Equal(t, 1, ts.add([][]string{{"c", "d"}}, anyFamily, nil))
	require.Equal(t, [][]string{{"a", "b"}, {"c"}, {"d"}}, ts.urls())

	var many []string
	for i := range 100_000 {
		many = append(many, fmt.Sprint("http://", i))
	}
	require.Equal(t, maxTrackers-4, ts.add([][]string{many}, anyFamily, nil))
	require.Zero(t, ts.add([][]string{{"e"}}, anyFamily, nil))
}
