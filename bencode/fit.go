package bencode

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"sync"
	"unicode"

	"github.com/zeebo/bencode"
)

var (
	unmarshalerType     = reflect.TypeFor[bencode.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	bytesType           = reflect.TypeFor[[]byte]()
	stringType          = reflect.TypeFor[string]()
)

// A fitter walks over a scanned value and a Go type side by side and refuses
// what zeebo would store wrongly, or panic on. It also notes what zeebo is not
// to see: keys nobody asked for, and keys that were there before.
//
// It recurses as deep as the value is nested, that is at most MaxDepth.
type fitter struct {
	c    Cursor
	m    mode
	cuts []cut
}

// A cut is a range of the input that is left out.
type cut struct{ start, stop int }

// kept returns the input without what was cut.
func (f *fitter) kept() []byte {
	if len(f.cuts) == 0 {
		return f.c.data
	}
	out := make([]byte, 0, len(f.c.data))
	at := 0
	for _, c := range f.cuts {
		out = append(out, f.c.data[at:c.start]...)
		at = c.stop
	}
	return append(out, f.c.data[at:]...)
}

// misfit says that the value the cursor stands before does not fit t.
func (f *fitter) misfit(t reflect.Type) error {
	e := &TypeError{Offset: f.c.pos, Type: t.String(), Value: f.c.Kind().String()}
	if f.c.Kind() == Int {
		c := f.c
		raw := c.Skip()
		e.Value = "integer " + string(raw[1:len(raw)-1])
	}
	return e
}

// fit checks that the value the cursor stands before can be read into a zero
// value of type t, and moves behind it.
func (f *fitter) fit(t reflect.Type) error {
	if p := reflect.PointerTo(t); p.Implements(unmarshalerType) || p.Implements(textUnmarshalerType) {
		// A type without a name, zeebo asks or does not ask, as it comes.
		if t.Name() == "" || !p.Implements(unmarshalerType) && f.c.Kind() != String {
			return f.misfit(t)
		}
		f.c.Skip()
		return nil
	}
	if t.Kind() == reflect.Pointer {
		// Where there is nil, zeebo makes a value but does not ask it either.
		if t.Implements(unmarshalerType) || t.Implements(textUnmarshalerType) {
			return f.misfit(t)
		}
		return f.fit(t.Elem())
	}
	if t.Kind() == reflect.Interface {
		if t.NumMethod() > 0 {
			return f.misfit(t)
		}
		return f.fitAny(t)
	}
	switch f.c.Kind() {
	case Int:
		return f.fitInt(t)
	case String:
		if t.Kind() != reflect.String && t != bytesType {
			return f.misfit(t)
		}
		f.c.Skip()
		return nil
	case List:
		return f.fitList(t)
	default:
		return f.fitDict(t)
	}
}

// fitAny checks a value that goes into an any.
func (f *fitter) fitAny(t reflect.Type) error {
	switch f.c.Kind() {
	case Int:
		return f.fitInt(t)
	case String:
		f.c.Skip()
	case List:
		f.c.Enter(List)
		for f.c.More() {
			if err := f.fitAny(t); err != nil {
				return err
			}
		}
	case Dict:
		return f.fitMap(t)
	}
	return nil
}

// fitInt checks that an integer is in the range of t.
func (f *fitter) fitInt(t reflect.Type) error {
	at := f.c
	v, negative := f.c.number()
	ok := false
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		most := uint64(1) << (t.Bits() - 1)
		ok = v < most || negative && v == most
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		ok = !negative && v <= math.MaxUint64>>(64-t.Bits())
	case reflect.Interface:
		ok = v <= math.MaxInt64 || negative
	case reflect.Bool:
		ok = !negative && (v <= 1 || f.m == tolerant)
	}
	if !ok {
		f.c = at
		return f.misfit(t)
	}
	return nil
}

// fitList checks a list that goes into a type of its own.
func (f *fitter) fitList(t reflect.Type) error {
	// Into an array zeebo panics, into a []byte it reads a list of integers.
	if t.Kind() != reflect.Slice || t.Elem().Kind() == reflect.Uint8 {
		return f.misfit(t)
	}
	f.c.Enter(List)
	for f.c.More() {
		if err := f.fit(t.Elem()); err != nil {
			return err
		}
	}
	return nil
}

// fitDict checks a dictionary that goes into a type of its own.
func (f *fitter) fitDict(t reflect.Type) error {
	switch {
	case t.Kind() == reflect.Struct:
		return f.fitStruct(t)
	case t.Kind() == reflect.Map && t.Key() == stringType:
		return f.fitMap(t)
	}
	return f.misfit(t)
}

// fitMap checks a dictionary that goes into a map, or into an any.
func (f *fitter) fitMap(t reflect.Type) error {
	elem := t
	if t.Kind() == reflect.Map {
		elem = t.Elem()
	}
	var seen map[string]struct{}
	if f.m == tolerant {
		seen = make(map[string]struct{})
	}
	f.c.Enter(Dict)
	for f.c.More() {
		start := f.c.pos
		key, _ := f.c.Bytes()
		if seen != nil {
			if _, again := seen[string(key)]; again {
				f.cut(start)
				continue
			}
			seen[string(key)] = struct{}{}
		}
		if err := f.fit(elem); err != nil {
			return err
		}
	}
	return nil
}

// fitStruct checks a dictionary that goes into a struct.
func (f *fitter) fitStruct(t reflect.Type) error {
	fields := fieldsOf(t)
	var seen map[string]struct{}
	f.c.Enter(Dict)
	for f.c.More() {
		start := f.c.pos
		key, _ := f.c.Bytes()
		field, wanted := fields[string(key)]
		if !wanted {
			f.cut(start)
			continue
		}
		if f.m == tolerant {
			if _, again := seen[string(key)]; again {
				f.cut(start)
				continue
			}
			if seen == nil {
				seen = make(map[string]struct{}, len(fields))
			}
			seen[string(key)] = struct{}{}
		}
		if err := f.fit(field); err != nil {
			return err
		}
	}
	return nil
}

// cut skips the value the cursor stands before, and leaves it and what lies
// between start and it out of what zeebo reads.
func (f *fitter) cut(start int) {
	f.c.Skip()
	if n := len(f.cuts); n > 0 && f.cuts[n-1].stop == start {
		f.cuts[n-1].stop = f.c.pos
		return
	}
	f.cuts = append(f.cuts, cut{start, f.c.pos})
}

var structFields sync.Map // reflect.Type to map[string]reflect.Type, for fieldsOf

// fieldsOf returns the keys of a struct and the types of their fields, by the
// rules of zeebo, but that the tag "-" leaves a field out.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if m, ok := structFields.Load(t); ok {
		return m.(map[string]reflect.Type)
	}
	fields := make(map[string]reflect.Type)
	addFields(fields, t)
	structFields.Store(t, fields)
	return fields
}

func addFields(fields map[string]reflect.Type, t reflect.Type) {
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.PkgPath == "" && sf.Anonymous && sf.Tag == "" && sf.Type.Kind() == reflect.Struct {
			addFields(fields, sf.Type)
		}
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.PkgPath != "" {
			continue
		}
		tag := sf.Tag.Get("bencode")
		name, _ := splitTag(tag)
		if name == "" {
			if sf.Anonymous {
				continue
			}
			name = sf.Name
		}
		if tag == "-" || !validName(name) {
			continue
		}
		fields[name] = sf.Type
	}
}

// splitTag splits a field's tag into the key and the options behind it.
func splitTag(tag string) (name, options string) {
	for i := range len(tag) {
		if tag[i] == ',' {
			return tag[:i], tag[i+1:]
		}
	}
	return tag, ""
}

// validName reports whether zeebo takes a tag's name for a key.
func validName(name string) bool {
	for _, c := range name {
		switch c {
		case ' ', '$', '-', '_', '.':
		default:
			if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
				return false
			}
		}
	}
	return name != ""
}

// describe names a Go value in an error.
func describe(v reflect.Value) string {
	if !v.IsValid() {
		return "nil"
	}
	return fmt.Sprintf("a %s", v.Type())
}
