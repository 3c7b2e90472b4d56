package bencode

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/zeebo/bencode"
)

// Marshal returns v in canonical form, keys sorted. Fields of a struct that are
// nil pointers or interfaces, tagged "-", or empty and tagged ",omitempty" are
// left out. Types may write themselves with MarshalBencode or MarshalText.
//
// The error is a [*TypeError]: for what cannot be written (floats, channels,
// byte arrays, maps whose keys are no strings, values that contain themselves),
// for what would silently be lost (a nil within a list or as a value of a map,
// two fields of one key), and for a type that writes what is not bencoding.
// RawMessages must be canonical, too.
func Marshal(v any) (out []byte, err error) {
	rv := reflect.ValueOf(v)
	t := fmt.Sprintf("%T", v)
	// Methods of users' types run in here.
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, &TypeError{Type: t, Value: "the value", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	if err := writable(rv, 4*MaxDepth); err != nil {
		return nil, err
	}
	if rv.Kind() == reflect.Struct {
		// In an addressable struct methods of pointers to fields are found.
		p := reflect.New(rv.Type())
		p.Elem().Set(rv)
		v = p.Interface()
	}
	out, err = bencode.EncodeBytes(v)
	if err != nil {
		return nil, &TypeError{Type: t, Value: "the value", Err: err}
	}
	n, err := scan(out, strict)
	if err == nil {
		err = whole(out, n, strict)
	}
	if err != nil {
		return nil, &TypeError{Type: t, Value: "the value", Err: err}
	}
	return out, nil
}

// AppendString appends a string to b and returns the extended slice.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// AppendInt appends an integer to b and returns the extended slice.
func AppendInt(b []byte, v int64) []byte {
	b = append(b, 'i')
	b = strconv.AppendInt(b, v, 10)
	return append(b, 'e')
}

var (
	marshalerType     = reflect.TypeFor[bencode.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

// writable refuses what zeebo drops, writes as something else, or never returns
// from. What it cannot see, the scan behind it does.
func writable(v reflect.Value, depth int) error {
	unfit := func(reason string) error {
		return &TypeError{Type: "bencoding", Value: describe(v), Err: errors.New(reason)}
	}
	if !v.IsValid() {
		return unfit("nil has no encoding")
	}
	if depth < 0 {
		return unfit("nested too deep, or contains itself")
	}
	t := v.Type()
	if nilable(v) && v.IsNil() {
		return unfit("nil has no encoding")
	}
	if raw, ok := v.Interface().(RawMessage); ok {
		n, err := scan(raw, strict)
		if err == nil {
			err = whole(raw, n, strict)
		}
		if err != nil {
			return &TypeError{Type: "bencoding", Value: describe(v), Err: err}
		}
		return nil
	}
	if t.Implements(marshalerType) || t.Implements(textMarshalerType) {
		return nil
	}
	if p := reflect.PointerTo(t); v.CanAddr() && (p.Implements(marshalerType) || p.Implements(textMarshalerType)) {
		return nil
	}
	switch v.Kind() {
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer:
		if v.Elem().Type() == bytesType {
			return unfit("would be written as a list")
		}
		return writable(v.Elem(), depth-1)
	case reflect.Interface:
		return writable(v.Elem(), depth-1)
	case reflect.Slice, reflect.Array:
		if t == bytesType {
			return nil
		}
		if t.Elem().Kind() == reflect.Uint8 {
			return unfit("would be written as a list; []byte is needed")
		}
		for i := range v.Len() {
			if err := writable(v.Index(i), depth-1); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return unfit("keys must be strings")
		}
		for it := v.MapRange(); it.Next(); {
			if err := writable(it.Value(), depth-1); err != nil {
				return err
			}
		}
		return nil
	case reflect.Struct:
		return writableStruct(v, depth)
	}
	return unfit("has no encoding")
}

func writableStruct(v reflect.Value, depth int) error {
	t := v.Type()
	for i := range v.NumField() {
		sf, field := t.Field(i), v.Field(i)
		if sf.PkgPath != "" || sf.Tag.Get("bencode") == "-" || nilable(field) && field.IsNil() {
			continue
		}
		if _, options := splitTag(sf.Tag.Get("bencode")); strings.Contains(options, "omitempty") && field.IsZero() {
			continue
		}
		if err := writable(field, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// nilable reports whether v is of a kind that zeebo leaves out when it is nil.
func nilable(v reflect.Value) bool {
	return v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface
}
