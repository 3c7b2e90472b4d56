package bencode_test

import (
	"errors"
	"fmt"

	"github.com/seed1734be99/starling/bencode"
)

func ExampleUnmarshal() {
	var answer struct {
		Interval int    `bencode:"interval"`
		Peers    []byte `bencode:"peers"`
	}
	err := bencode.Unmarshal([]byte("d8:intervali1800e5:peers6:\x7f\x00\x00\x01\x1a\xe1e"), &answer)
	fmt.Println(answer.Interval, answer.Peers, err)

	err = bencode.Unmarshal([]byte("d8:intervali01ee"), &answer)
	var syntax *bencode.SyntaxError
	fmt.Println(errors.As(err, &syntax), err)
	// Output:
	// 1800 [127 0 0 1 26 225] <nil>
	// true bencode: byte 11: an integer with a leading zero
}

func ExampleMarshal() {
	b, err := bencode.Marshal(map[string]any{"piece": 0, "msg_type": 1})
	fmt.Println(string(b), err)
	// Output: d8:msg_typei1e5:piecei0ee <nil>
}

func ExampleUnmarshalPrefix() {
	message := []byte("d8:msg_typei1e5:piecei0eeDATA")
	var head map[string]int
	n, err := bencode.UnmarshalPrefix(message, &head)
	fmt.Println(head["msg_type"], string(message[n:]), err)
	// Output: 1 DATA <nil>
}
