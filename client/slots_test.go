package client

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestC10_DealSlots(t *testing.T) {
	for _, tc := range []struct {
		total        int
		demand, want []int
	}{
		{8, []int{50}, []int{8}},
		{8, []int{0}, []int{8}},
		{8, []int{50, 50}, []int{4, 4}},
		{8, []int{50, 1}, []int{7, 1}},
		{8, []int{3, 0, 50}, []int{3, 0, 5}},
		{8, []int{1, 1}, []int{4, 4}},
		{2, []int{9, 9, 9}, []int{1, 1, 1}},
		{7, []int{9, 9}, []int{4, 3}},
		{4, nil, []int{}},
	} {
		require.Equal(t, tc.want, dealSlots([]int{}, tc.total, tc.demand), "%d over %v", tc.total, tc.demand)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		demand := make([]int, r.IntN(20))
		users := 0
		for i := range demand {
			if demand[i] = max(r.IntN(40)-10, 0); demand[i] > 0 {
				users++
			}
		}
		total := r.IntN(60)
		dealt := dealSlots(nil, total, demand)
		sum := 0
		for i, n := range dealt {
			sum += n
			for j, m := range dealt {
				if n > demand[i]+1 && m < demand[j] {
					require.Fail(t, fmt.Sprint("more than it can use while another lacks some: ", total, demand, dealt))
				}
			}
			require.False(t, demand[i] > 0 && n == 0)
		}
		if len(demand) > 0 {
			require.Equal(t, max(total, users), sum, "%d over %v: %v", total, demand, dealt)
		}
	}
}

func TestC10_Automatic(t *testing.T) {
	require.Equal(t, leastAuto, automaticSlots(0))
	require.Equal(t, 25, automaticSlots(1<<20))
	require.Equal(t, mostAuto, automaticSlots(1<<40))
}
