package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"strings"
	"testing"
)

// vectors were computed by others than Go: each with
//
//	openssl dgst -sha1 -hmac KEY -binary BODY | openssl base64
//	base64.b64encode(hmac.new(KEY, BODY, hashlib.sha1).digest())
//
// of OpenSSL 3 and Python 3, which agreed.
var vectors = []struct{ key, body, signature string }{
	{"signing-secret-1", `{"call_id":"call-vn-1","project_id":1,"event":"ended"}`, "TMSFWJATYJWH65wZaHnjSRQwXeU="},
	{"signing-secret-1", "\xff\xfe{\"a\":\"\xc3\x28\x00\x80\"}\r\n", "kV+EYhXHlM8ayQHOq31KyHFIhCc="}, // no UTF-8
	{"signing-secret-1", "", "NnNs1X6jTOJifaze7O+lPT88U50="},
}

func TestStringeeVectors(t *testing.T) {
	for _, v := range vectors {
		body := []byte(v.body)
		if got := Stringee.Sign(v.key, body); got != v.signature {
			t.Errorf("%q: signed %s, others %s", v.body, got, v.signature)
		}
		for name, keys := range map[string][]string{
			"the key": {v.key}, "the first of two": {v.key, "other"}, "the second of two": {"other", v.key},
		} {
			if !Stringee.Verify(v.signature, body, keys) {
				t.Errorf("%q: a right signature is refused with %s", v.body, name)
			}
		}
		for name, refused := range map[string]bool{
			"another key":          Stringee.Verify(v.signature, body, []string{"other"}),
			"no key":               Stringee.Verify(v.signature, body, nil),
			"an empty key":         Stringee.Verify(Stringee.Sign("", body), body, []string{""}),
			"no signature":         Stringee.Verify("", body, []string{v.key}),
			"a space":              Stringee.Verify(v.signature+" ", body, []string{v.key}),
			"no padding":           Stringee.Verify(strings.TrimRight(v.signature, "="), body, []string{v.key}),
			"a byte more":          Stringee.Verify(v.signature, append(body, '\n'), []string{v.key}),
			"body as valid UTF-8":  v.body != strings.ToValidUTF8(v.body, "�") && Stringee.Verify(v.signature, []byte(strings.ToValidUTF8(v.body, "�")), []string{v.key}),
			"hexadecimal":          Stringee.Verify("36736cd57ea34ce26289f69eecefa53d3f3c539d", body, []string{v.key}),
			"a signature of SHA-1": Stringee.Verify(base64.StdEncoding.EncodeToString(sum(v.body)), body, []string{v.key}),
		} {
			if refused {
				t.Errorf("%q: taken with %s", v.body, name)
			}
		}
	}
}

func sum(s string) []byte {
	h := sha1.Sum([]byte(s))
	return h[:]
}

// FuzzStringee takes a signature exactly where it decodes to what HMAC-SHA1 of the
// standard library says of one of the keys, whatever the bytes are.
func FuzzStringee(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.signature, []byte(v.body), v.key, "other")
		f.Add(v.signature, []byte(v.body), "other", v.key)
		f.Add(v.signature, []byte(v.body+"\x00"), v.key, "")
	}
	f.Add("", []byte{}, "", "")
	f.Fuzz(func(t *testing.T, signature string, body []byte, one, two string) {
		want := false
		decoded, err := base64.StdEncoding.Strict().DecodeString(signature)
		for _, key := range []string{one, two} {
			mac := hmac.New(sha1.New, []byte(key))
			mac.Write(body)
			plain := !strings.ContainsAny(signature, "\r\n") // which the decoder passes over
			want = want || err == nil && plain && key != "" && hmac.Equal(decoded, mac.Sum(nil))
		}
		if got := Stringee.Verify(signature, body, []string{one, two}); got != want {
			t.Errorf("got %t, want %t", got, want)
		}
		for _, key := range []string{one, two} {
			if key != "" && !Stringee.Verify(Stringee.Sign(key, body), body, []string{one, two}) {
				t.Error("its own signature is refused")
			}
		}
	})
}

// FuzzBasic takes a header exactly where it says the user and a password as they are.
func FuzzBasic(f *testing.F) {
	f.Add(basic("bw:new"), "bw", "new")
	f.Add(basic("bw:a:b"), "bw", "a:b")
	f.Add(basic(":"), "", "")
	f.Add("Basic =", "b\x00w", "\xff")
	f.Fuzz(func(t *testing.T, header, user, password string) {
		if user == "" || strings.Contains(user, ":") {
			return // no user's name is so
		}
		if !Basic(basic(user+":"+password), user, []string{"other", password}) && password != "" {
			t.Error("right credentials are refused")
		}
		if !Basic(header, user, []string{password}) {
			return
		}
		name, encoded, _ := strings.Cut(header, " ")
		decoded, err := base64.StdEncoding.DecodeString(strings.Trim(encoded, " "))
		if err != nil || !strings.EqualFold(name, "basic") || string(decoded) != user+":"+password || password == "" {
			t.Errorf("%q is taken as %q", header, decoded)
		}
	})
}
