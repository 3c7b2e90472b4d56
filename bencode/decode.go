package bencode

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/zeebo/bencode"
)

// Unmarshal reads data, which must be exactly one value in canonical form, into
// the value v points to. The package comment says which Go types fit. The error
// is a [*SyntaxError] or a [*TypeError]; *v is then as it was.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, strict) }

// UnmarshalTolerant is [Unmarshal] for bytes that others made less carefully:
// keys may come in any order and more than once (the first one counts), any
// other integer than 0 is true, and one line end may follow the value.
func UnmarshalTolerant(data []byte, v any) error { return unmarshal(data, v, tolerant) }

// UnmarshalPrefix reads the canonical value at the beginning of data into the
// value v points to and returns its length n. What follows it is left alone:
// data[n:]. Errors are those of [Unmarshal].
func UnmarshalPrefix(data []byte, v any) (n int, err error) {
	n, err = scan(data, strict)
	if err != nil {
		return 0, err
	}
	if err := decode(data[:n], v, strict); err != nil {
		return 0, err
	}
	return n, nil
}

func unmarshal(data []byte, v any, m mode) error {
	n, err := scan(data, m)
	if err != nil {
		return err
	}
	if err := whole(data, n, m); err != nil {
		return err
	}
	return decode(data[:n], v, m)
}

// decode reads data, which has been scanned, into the value v points to.
func decode(data []byte, v any, m mode) (err error) {
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return &TypeError{Type: fmt.Sprintf("%T", v), Value: "any value", Err: errors.New("a pointer that is not nil is needed")}
	}
	t := to.Type().Elem()
	// Types of users (UnmarshalBencode) run in here, and zeebo panics by itself.
	defer func() {
		if p := recover(); p != nil {
			err = &TypeError{Type: t.String(), Value: "the value", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	f := fitter{c: Cursor{data: data}, m: m}
	if err := f.fit(t); err != nil {
		return err
	}
	// Read into a copy, so that an error leaves *v alone.
	fresh := reflect.New(t)
	fresh.Elem().Set(to.Elem())
	empty(fresh.Elem())
	if err := bencode.DecodeBytes(f.kept(), fresh.Interface()); err != nil {
		return &TypeError{Type: t.String(), Value: "the value", Err: err}
	}
	to.Elem().Set(fresh.Elem())
	return nil
}

// empty sets to nil what zeebo would otherwise merge with and change in place:
// slices, maps, pointers and interfaces.
func empty(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		if v.CanSet() {
			v.SetZero()
		}
	case reflect.Struct:
		for i := range v.NumField() {
			empty(v.Field(i))
		}
	}
}
