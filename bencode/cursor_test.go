package bencode

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// twin reads a value with a Cursor into what Unmarshal makes of it.
func twin(c *Cursor) any {
	switch c.Kind() {
	case Int:
		v, ok := c.Int()
		if !ok {
			return "too large"
		}
		return v
	case String:
		b, _ := c.Bytes()
		return string(b)
	case List:
		var list []any
		c.Enter(List)
		for c.More() {
			list = append(list, twin(c))
		}
		return list
	case Dict:
		m := make(map[string]any)
		c.Enter(Dict)
		for c.More() {
			key, _ := c.Bytes()
			m[string(key)] = twin(c)
		}
		return m
	}
	return nil
}

func TestCursorAgreesWithUnmarshal(t *testing.T) {
	for _, in := range canonical {
		var want any
		require.NoError(t, Unmarshal([]byte(in), &want))
		c, err := NewCursor([]byte(in))
		require.NoError(t, err)
		require.Equal(t, want, twin(&c))
		require.Equal(t, None, c.Kind())
		require.Equal(t, len(in), c.Offset())

		c, _ = NewCursor([]byte(in))
		require.Equal(t, RawMessage(in), c.Skip())
		require.Nil(t, c.Skip())
	}
}

func TestCursorOtherKinds(t *testing.T) {
	c, err := NewCursor([]byte("ld1:ai1eei7e1:xl1:yei9e18446744073709551615:e"))
	require.Error(t, err)
	require.Equal(t, None, c.Kind(), "no cursor without a scan")

	c, err = NewCursor([]byte("ld1:ai1eei7e1:xl1:yei18446744073709551615ei-9223372036854775808ee"))
	require.NoError(t, err)
	require.True(t, c.Enter(List))
	_, ok := c.Int()
	require.False(t, ok, "a dictionary")
	_, ok = c.Bytes()
	require.False(t, ok, "an integer")
	require.False(t, c.Enter(Dict), "a string")
	require.False(t, c.Enter(Int), "nothing to enter")
	_, ok = c.Int()
	require.False(t, ok, "beyond 63 bits")
	v, ok := c.Int()
	require.True(t, ok)
	require.Equal(t, int64(-1<<63), v)
	// At the end of the list every method stays where it is.
	_, ok = c.Bytes()
	require.False(t, ok)
	_, ok = c.Int()
	require.False(t, ok)
	require.Nil(t, c.Skip())
	require.False(t, c.More())
	require.False(t, c.More())

	_, err = NewCursor([]byte("d1:bi1e1:ai2ee"))
	require.Error(t, err)
	c, err = NewTolerantCursor([]byte("d1:bi1e1:ai2ee\r\n"))
	require.NoError(t, err)
	require.Equal(t, RawMessage("d1:bi1e1:ai2ee"), c.Skip())
}

func TestNoAllocsCursor(t *testing.T) {
	in := fileList(100)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c, err := NewCursor(in)
		if err != nil || c.Skip() == nil {
			t.Fatal(err)
		}
	}))
}

func TestKindString(t *testing.T) {
	require.Equal(t, "dictionary", Dict.String())
	require.Equal(t, "nothing", None.String())
	require.Equal(t, "unknown", Kind(9).String())
}

func ExampleCursor() {
	c, err := NewCursor([]byte("d6:lengthi1024e4:name5:a.txte"))
	if err != nil {
		fmt.Println(err)
		return
	}
	var length int64
	c.Enter(Dict)
	for c.More() {
		key, _ := c.Bytes()
		switch string(key) {
		case "length":
			length, _ = c.Int()
		default:
			c.Skip()
		}
	}
	fmt.Println(length)
	// Output: 1024
}
