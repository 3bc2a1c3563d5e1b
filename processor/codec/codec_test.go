package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// color is a word of a vocabulary of three.
type color uint8

const colors = 3

// everything is a value that uses each kind of visit once.
type everything struct {
	Small, Large int64
	Int32        int32
	Hash         uint64
	Byte         byte
	Yes, No      bool
	Raw          [3]byte
	Text, Empty  string
	Color        color
	List         []string
	None         []string
}

const everythingForm = 2

func (v *everything) Visit(c *Codec) {
	c.Form(everythingForm)
	c.Int64(&v.Small)
	c.Int64(&v.Large)
	c.Int32(&v.Int32)
	c.Uint64(&v.Hash)
	c.Byte(&v.Byte)
	c.Bool(&v.Yes)
	c.Bool(&v.No)
	c.Raw(v.Raw[:])
	c.String(&v.Text)
	c.String(&v.Empty)
	Enum(c, &v.Color, colors)
	List(c, &v.List, func(s *string, c *Codec) { c.String(s) })
	List(c, &v.None, func(s *string, c *Codec) { c.String(s) })
}

func sample() *everything {
	return &everything{
		Small: -3, Large: math.MinInt64, Int32: math.MinInt32, Hash: 1 << 63, Byte: 0xFF, Yes: true,
		Raw: [3]byte{7, 8, 9}, Text: "zażółć", Color: colors - 1, List: []string{"a", "", "c"},
	}
}

// readInt64 reads one integer, and what is left of the input.
func readInt64(b []byte) (n int64, left int, err error) {
	c := NewReader(b)
	c.Int64(&n)
	return n, len(c.Buf), c.Err
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := sample()
	form := Append([]byte("before"), want)
	form, ok := bytes.CutPrefix(form, []byte("before"))
	if !ok {
		t.Fatal("what was there before was changed")
	}
	got := new(everything)
	if err := Read(form, got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// A value that held something else before is read over, and is none the worse.
	used := &everything{Text: "old", Empty: "old", List: []string{"1", "2", "3", "4"}, None: []string{"old"}, Yes: false, No: true}
	if err := Read(form, used); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, used); d != "" {
		t.Errorf("read over another value: %s", d)
	}
}

// The bytes themselves: forms are stored for as long as a topic is.
func TestBytesOfAForm(t *testing.T) {
	for name, test := range map[string]struct {
		visit func(c *Codec)
		want  []byte
	}{
		"zero":       {func(c *Codec) { n := int64(0); c.Int64(&n) }, []byte{0}},
		"minus one":  {func(c *Codec) { n := int64(-1); c.Int64(&n) }, []byte{1}},
		"one byte":   {func(c *Codec) { n := int64(63); c.Int64(&n) }, []byte{126}},
		"two bytes":  {func(c *Codec) { n := int64(64); c.Int64(&n) }, []byte{0x80, 1}},
		"32 bits":    {func(c *Codec) { n := int32(-2); c.Int32(&n) }, []byte{3}},
		"a hash":     {func(c *Codec) { n := uint64(0x0102); c.Uint64(&n) }, []byte{0, 0, 0, 0, 0, 0, 1, 2}},
		"true":       {func(c *Codec) { b := true; c.Bool(&b) }, []byte{1}},
		"false":      {func(c *Codec) { b := false; c.Bool(&b) }, []byte{0}},
		"a string":   {func(c *Codec) { s := "ab"; c.String(&s) }, []byte{4, 'a', 'b'}},
		"a form":     {func(c *Codec) { c.Form(5) }, []byte{5}},
		"a word":     {func(c *Codec) { w := color(2); Enum(c, &w, colors) }, []byte{2}},
		"raw bytes":  {func(c *Codec) { c.Raw([]byte{9, 9}) }, []byte{9, 9}},
		"a list":     {func(c *Codec) { l := []byte{7}; List(c, &l, func(b *byte, c *Codec) { c.Byte(b) }) }, []byte{2, 7}},
		"no element": {func(c *Codec) { var l []byte; List(c, &l, func(b *byte, c *Codec) { c.Byte(b) }) }, []byte{0}},
	} {
		c := NewWriter(nil)
		test.visit(c)
		if !bytes.Equal(c.Buf, test.want) {
			t.Errorf("%s is written as %v, want %v", name, c.Buf, test.want)
		}
	}
}

func TestIntegersOfEverySize(t *testing.T) {
	for shift := range 64 {
		for _, n := range []int64{1 << shift, 1<<shift - 1, -1 << shift, -1<<shift - 1} {
			w := NewWriter(nil)
			w.Int64(&n)
			got, left, err := readInt64(w.Buf)
			if got != n || left != 0 || err != nil {
				t.Errorf("%d was read as %d, with %d bytes left: %v", n, got, left, err)
			}
		}
	}
}

func TestDamagedIntegers(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"a cut one":       {0x80},
		"one that is cut": {0xFF, 0xFF, 0xFF},
		"one too long":    {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1},
	} {
		n := int64(5)
		c := NewReader(b)
		c.Int64(&n)
		if n != 0 || !errors.Is(c.Err, ErrCorrupt) {
			t.Errorf("%s was read as %d: %v", name, n, c.Err)
		}
	}
}

// Every form that was cut short is damaged, wherever it was cut.
func TestACutFormIsCorrupt(t *testing.T) {
	form := Append(nil, sample())
	for n := range form {
		if err := Read(form[:n], new(everything)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("the first %d of %d bytes: %v", n, len(form), err)
		}
	}
}

// Each visit that finds too little is itself the failure, though others follow that
// would fail as well.
func TestTooLittleForOneVisit(t *testing.T) {
	for name, test := range map[string]struct {
		in    []byte
		visit func(c *Codec)
	}{
		"a hash of seven bytes":       {make([]byte, 7), func(c *Codec) { var n uint64; c.Uint64(&n) }},
		"a byte of none":              {nil, func(c *Codec) { var b byte; c.Byte(&b) }},
		"a boolean of none":           {nil, func(c *Codec) { var b bool; c.Bool(&b) }},
		"raw bytes, one missing":      {[]byte{1, 2}, func(c *Codec) { var b [3]byte; c.Raw(b[:]) }},
		"a string, one byte missing":  {[]byte{6, 'a', 'b'}, func(c *Codec) { var s string; c.String(&s) }},
		"a list, one element missing": {[]byte{4, 1}, func(c *Codec) { c.Len(0) }},
		"a word of none":              {nil, func(c *Codec) { var w color; Enum(c, &w, colors) }},
		"a form of none":              {nil, func(c *Codec) { c.Form(1) }},
	} {
		c := NewReader(test.in)
		test.visit(c)
		if !errors.Is(c.Err, ErrCorrupt) || len(c.Buf) != 0 {
			t.Errorf("%s: %v, %d bytes left", name, c.Err, len(c.Buf))
		}
	}
}

// A length that no input can have is damage, not a panic and not memory.
func TestAbsurdLengths(t *testing.T) {
	for _, n := range []int64{-1, math.MinInt64, 3, 1 << 31, math.MaxInt64} {
		in := append(binary.AppendVarint(nil, n), 'a', 'b')
		c := NewReader(in)
		text := "old"
		c.String(&text)
		if text != "" || !errors.Is(c.Err, ErrCorrupt) {
			t.Errorf("a string of length %d was read as %q: %v", n, text, c.Err)
		}
		c = NewReader(in)
		list := []byte{1, 2, 3}
		List(c, &list, func(b *byte, c *Codec) { c.Byte(b) })
		if list != nil || !errors.Is(c.Err, ErrCorrupt) {
			t.Errorf("a list of length %d was read as %v: %v", n, list, c.Err)
		}
	}
}

func TestAWordBeyondItsVocabulary(t *testing.T) {
	for _, b := range []byte{colors, 0xFF} {
		c := NewReader([]byte{b, 1})
		w := color(1)
		Enum(c, &w, colors)
		if w != 0 || !errors.Is(c.Err, ErrCorrupt) {
			t.Errorf("word %d of %d was read as %d: %v", b, colors, w, c.Err)
		}
	}
}

func TestForms(t *testing.T) {
	for _, test := range []struct {
		form, current byte
		want          error
	}{
		{2, 2, nil},
		{3, 2, ErrNewerState},
		{255, 2, ErrNewerState},
		{1, 2, ErrCorrupt}, // none such was ever written
		{0, 1, ErrCorrupt},
	} {
		if err := CheckForm(test.form, test.current, test.current); !errors.Is(err, test.want) {
			t.Errorf("form %d where %d is current: %v, want %v", test.form, test.current, err, test.want)
		}
		c := NewReader([]byte{test.form, 9})
		c.Form(test.current)
		if !errors.Is(c.Err, test.want) {
			t.Errorf("a reader of form %d where %d is current: %v, want %v", test.form, test.current, c.Err, test.want)
		}
	}
	for form, want := range map[byte]error{0: ErrCorrupt, 1: nil, 2: nil, 3: ErrNewerState} {
		c, got := NewReader([]byte{form, 9}), byte(0)
		if c.Forms(&got, 1, 2); !errors.Is(c.Err, want) || got != form {
			t.Errorf("a reader of form %d where 1 and 2 are: %d, %v, want %v", form, got, c.Err, want)
		}
	}
	// A newer form is not read on: what follows it means something else.
	form := Append(nil, sample())
	form[0] = everythingForm + 1
	got := new(everything)
	if err := Read(form, got); !errors.Is(err, ErrNewerState) {
		t.Errorf("a newer form: %v", err)
	}
	if d := cmp.Diff(new(everything), got); d != "" {
		t.Errorf("something of a newer form was read: %s", d)
	}
}

// What failed first is why: that a newer form cannot be read to its end is no damage.
func TestTheFirstFailureStays(t *testing.T) {
	c := NewReader([]byte{9, 1, 2, 3})
	c.Form(1)
	var n int64
	c.Int64(&n)
	c.Fail(ErrCorrupt)
	if !errors.Is(c.Err, ErrNewerState) || !errors.Is(c.Done(), ErrNewerState) {
		t.Errorf("%v, then %v; want the first failure", c.Err, c.Done())
	}
	if n != 0 || len(c.Buf) != 0 {
		t.Errorf("after a failure %d was read, and %d bytes are left", n, len(c.Buf))
	}
}

func TestAWriterDoesNotFail(t *testing.T) {
	c := NewWriter([]byte{1})
	c.Fail(ErrCorrupt)
	if c.Err != nil || len(c.Buf) != 1 {
		t.Errorf("a writer failed: %v, %d bytes left", c.Err, len(c.Buf))
	}
}

// One byte too many is too many.
func TestARestIsCorrupt(t *testing.T) {
	form := Append(nil, sample())
	if err := Read(append(form, 0), new(everything)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a form with a byte behind it: %v", err)
	}
	c := NewReader([]byte{1, 2})
	var b byte
	c.Byte(&b)
	if !errors.Is(c.Done(), ErrCorrupt) {
		t.Errorf("done with a byte left: %v", c.Done())
	}
}

// What is read does not change when the memory it came from is used again.
func TestStringsAreKept(t *testing.T) {
	form := Append(nil, sample())
	got := new(everything)
	if err := Read(form, got); err != nil {
		t.Fatal(err)
	}
	for i := range form {
		form[i] = 'x'
	}
	if d := cmp.Diff(sample(), got); d != "" {
		t.Error(d)
	}
}

// A codec that is used again knows nothing of what it did before.
func TestACodecIsUsedAgain(t *testing.T) {
	c := NewReader(nil)
	var b byte
	c.Byte(&b)
	form := Append(nil, sample())
	c.Write(nil)
	sample().Visit(c)
	if c.Err != nil || !bytes.Equal(c.Buf, form) {
		t.Errorf("writing after a failed reading: %v, %v", c.Buf, c.Err)
	}
	c.Read(form)
	got := new(everything)
	got.Visit(c)
	if err := c.Done(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), got); d != "" {
		t.Error(d)
	}
}

// FuzzRead holds that no bytes make a reader panic, and that what can be read is
// from then on written as it is read.
func FuzzRead(f *testing.F) {
	f.Add(Append(nil, sample()))
	f.Add(Append(nil, new(everything)))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := new(everything)
		err := Read(b, read)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerState) {
				t.Fatal(err)
			}
			return
		}
		again := new(everything)
		if err := Read(Append(nil, read), again); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(read, again); d != "" {
			t.Error(d)
		}
	})
}

// What ends a form may be as long as the form has bytes.
func TestTheLastFieldTakesAllThatIsLeft(t *testing.T) {
	c := NewReader([]byte{4, 'a', 'b'})
	var text string
	c.String(&text)
	if err := c.Done(); err != nil || text != "ab" {
		t.Errorf("a string at the end was read as %q: %v", text, err)
	}
	c = NewReader([]byte{4, 7, 8})
	var list []byte
	List(c, &list, func(b *byte, c *Codec) { c.Byte(b) })
	if err := c.Done(); err != nil || !bytes.Equal(list, []byte{7, 8}) {
		t.Errorf("a list at the end was read as %v: %v", list, err)
	}
}

// A byte that is neither false nor true is damage, not false.
func TestABooleanIsZeroOrOne(t *testing.T) {
	for form := 2; form < 256; form++ {
		c := NewReader([]byte{byte(form)})
		b := true
		if c.Bool(&b); !errors.Is(c.Done(), ErrCorrupt) || b {
			t.Fatalf("%d reads as %t, %v", form, b, c.Done())
		}
	}
}
