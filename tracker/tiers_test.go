package tracker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func (t *tiers) urls() (list [][]string) {
	for _, tier := range t.list {
		var urls []string
		for _, e := range tier {
			urls = append(urls, e.url)
		}
		list = append(list, urls)
	}
	return list
}

func TestBEP12_ShuffleWithinTierOnce(t *testing.T) {
	first := make(map[string]int)
	for seed := range uint64(300) {
		var ts tiers
		require.Equal(t, 4, ts.add([][]string{{"a", "b", "c"}, {"d"}}, rand.New(rand.NewPCG(seed, 0))))
		urls := ts.urls()
		require.ElementsMatch(t, []string{"a", "b", "c"}, urls[0])
		require.Equal(t, []string{"d"}, urls[1])
		first[urls[0][0]]++
		var order []string
		for _, e := range ts.all() {
			order = append(order, e.url)
		}
		require.Equal(t, slices.Concat(urls...), order)
		require.Equal(t, urls, ts.urls(), "reading does not shuffle")
	}
	for _, u := range []string{"a", "b", "c"} {
		require.InDelta(t, 100, first[u], 40)
	}
}

// The second example of BEP 12.
func TestBEP12_PromoteWhatAnswered(t *testing.T) {
	var ts tiers
	ts.add([][]string{{"tracker1", "tracker2", "tracker3"}, {"backup"}}, nil)
	find := func(url string) *entry {
		for _, e := range ts.all() {
			if e.url == url {
				return e
			}
		}
		return nil
	}
	ts.promote(find("tracker2"))
	require.Equal(t, [][]string{{"tracker2", "tracker1", "tracker3"}, {"backup"}}, ts.urls())
	ts.promote(find("tracker3"))
	require.Equal(t, [][]string{{"tracker3", "tracker2", "tracker1"}, {"backup"}}, ts.urls())
	ts.promote(find("tracker3"))
	ts.promote(find("backup"))
	ts.promote(&entry{})
	require.Equal(t, [][]string{{"tracker3", "tracker2", "tracker1"}, {"backup"}}, ts.urls())
}

func TestTiersAreCleaned(t *testing.T) {
	var ts tiers
	require.Equal(t, 3, ts.add([][]string{{" a ", "", "b", "a"}, {"b"}, {}, {"c"}}, nil))
	require.Equal(t, 1, ts.add([][]string{{"c", "d"}}, nil))
	require.Equal(t, [][]string{{"a", "b"}, {"c"}, {"d"}}, ts.urls())

	var many []string
	for i := range 100_000 {
		many = append(many, fmt.Sprint("http://", i))
	}
	require.Equal(t, maxTrackers-4, ts.add([][]string{many}, nil))
	require.Zero(t, ts.add([][]string{{"e"}}, nil))
}

func TestUnsupportedTrackersAreShown(t *testing.T) {
	s := NewSchedule([][]string{{"wss://h/announce", "http://h/"}}, nil)
	st := s.Status()[0]
	require.True(t, st.Retired)
	require.Equal(t, "tracker scheme wss is not supported", st.Err)
	require.False(t, s.Status()[1].Retired)
}
