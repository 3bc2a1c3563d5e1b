package decode

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"callstitch/processor/call"
)

func TestWithoutSecrets(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"nothing to hide", "https://media.example.com/r-1.wav", "https://media.example.com/r-1.wav"},
		{"an innocent query", "https://media.example.com/get?id=r-1&part=2&format=wav&expires=never", "https://media.example.com/get?id=r-1&part=2&format=wav&expires=never"},
		{
			"S3, version 4",
			"https://b.s3.amazonaws.com/r-1.wav?part=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20240220%2Fus-east-1&X-Amz-Date=20240220T100000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=IQ&X-Amz-Signature=5f",
			"https://b.s3.amazonaws.com/r-1.wav?part=2",
		},
		{"S3, version 2", "https://b.s3.amazonaws.com/r-1.wav?AWSAccessKeyId=AK&Expires=1708423200&Signature=5f%3D", "https://b.s3.amazonaws.com/r-1.wav"},
		{"Google", "https://storage.googleapis.com/b/r-1.wav?GoogleAccessId=x%40y&Expires=1708423200&Signature=5f", "https://storage.googleapis.com/b/r-1.wav"},
		{"Azure", "https://a.blob.core.windows.net/b/r-1.wav?snapshot=2&sv=2022-11-02&sr=b&sp=r&se=2024-02-20T11%3A00%3A00Z&sig=5f%3D", "https://a.blob.core.windows.net/b/r-1.wav?snapshot=2"},
		{"CloudFront", "https://d.cloudfront.net/r-1.wav?Policy=x&Key-Pair-Id=K&Signature=5f", "https://d.cloudfront.net/r-1.wav"},
		{"a token, in whatever spelling", "https://m/r?token=1&access_token=2&accessToken=3&Api-Key=4&api_key=5&auth=6&password=7&key=8&jwt=9&id=10", "https://m/r?id=10"},
		{"an escaped name", "https://m/r?id=1&%74oken=2&acc%65ss%5Ftoken=3", "https://m/r?id=1"},
		{"semicolons", "https://m/r?id=1;part=2&x=1;token=2", "https://m/r?id=1;part=2"},
		{"a token by its form", "https://m/r?id=1&x=eyJhbGciOiJIUzI1NiJ9.e30.5f", "https://m/r?id=1"},
		{"a URL in a URL", "https://m/r?id=1&to=https%3A%2F%2Fn%2Fr%3Ftoken%3D1&from=https%3A%2F%2Fn%2Fr", "https://m/r?id=1&from=https%3A%2F%2Fn%2Fr"},
		{"a user", "https://user:pass@media.example.com:8443/r-1.wav", "https://media.example.com:8443/r-1.wav"},
		{"an @ that is none", "https://media.example.com/a@b.wav?id=c@d", "https://media.example.com/a@b.wav?id=c@d"},
		{"an @ in the password", "https://user:p@ss@media.example.com/r?id=1", "https://media.example.com/r?id=1"},
		{"no scheme", "//user@host/r?id=1", "//host/r?id=1"},
		{"only a path", "/recordings/r-1.wav?token=1", "/recordings/r-1.wav"},
		{"a fragment", "https://m/r?id=1#access_token=5f", "https://m/r?id=1"},
		{"unreadable", "https://m:x/r-1.wav?id=1&token=2", "https://m:x/r-1.wav"},
		{"a value that cannot be unescaped", "https://m/r?id=1&x=%zz", "https://m/r?id=1"},
		{"an empty query", "https://m/r?", "https://m/r"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := withoutSecrets(tt.raw); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Whatever stands around it, a secret does not come through, and what is public does
// not change when it is read again.
func TestASecretDoesNotComeThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		noise := rapid.StringMatching(`[a-z0-9%&=+;:@/?.-]{0,12}`)
		name := rapid.SampledFrom([]string{"token", "X-Amz-Signature", "sig", "api_key", "password"}).Draw(t, "name")
		raw := rapid.SampledFrom([]string{"", "https://", "https://u@h", "http://h:8/", "//h", "/p"}).Draw(t, "front") + noise.Draw(t, "path") +
			"?" + noise.Draw(t, "before") + "&" + name + "=SECRET&" + noise.Draw(t, "after")
		got := withoutSecrets(raw)
		if strings.Contains(got, "SECRET") {
			t.Fatalf("%s\nbecomes %s", raw, got)
		}
		if again := withoutSecrets(got); again != got {
			t.Fatalf("%s\nbecomes %s\nand then %s", raw, got, again)
		}
	})
}

// A recording that is told twice, each time with a URL signed anew, is one event told
// twice, wherever a provider names its URL.
func TestASignatureMadeAnewIsNoOtherEvent(t *testing.T) {
	for provider, text := range map[call.Provider]string{
		call.Bandwidth: `{"eventType":"recordingAvailable","eventTime":"2024-02-20T10:00:00Z","callId":"c","recordingId":"r-1","mediaUrl":"URL"}`,
		call.Stringee:  `{"call_id":"c","recording_url":"URL","start_time":1708423200000,"end_time":1708423260000,"event_id":"e-1"}`,
		call.Opentact: `{"uuid":"e-1","created_on":"2024-02-20T10:00:00.000Z","type":"call_record","call_record":{"uuid":"r-1","url":"URL","call":{"uuid":"c"}},
			"call":{"uuid":"c"}}`,
	} {
		tell := func(signature string) *call.Event {
			r := New(Settings{Provider: provider}).Decode(Input{Value: []byte(strings.Replace(text, "URL", "https://u:p@m.example/r-1.wav?part=2&Expires="+signature+"&Signature="+signature, 1))})
			if len(r.Events) != 1 {
				t.Fatalf("%s: %+v", provider, r)
			}
			return r.Events[0]
		}
		a, b := tell("1708423300"), tell("1708429999")
		if a.ID != b.ID || a.Content != b.Content {
			t.Errorf("%s: two signatures make two events", provider)
		}
		if want := "https://m.example/r-1.wav?part=2"; a.Recording.URL != want {
			t.Errorf("%s: the URL is %q, want %q", provider, a.Recording.URL, want)
		}
	}
}

// A signed URL may be long; what is left of it counts.
func TestALongSignatureDoesNotCostTheURL(t *testing.T) {
	value := `{"call_id":"c","recording_url":"https://m.example/r-1.wav?X-Amz-Security-Token=` + strings.Repeat("x", 3000) + `","start_time":1708423200000}`
	r := New(Settings{Provider: call.Stringee}).Decode(Input{Value: []byte(value)})
	if got := r.Events[0].Recording; got.URL != "https://m.example/r-1.wav" || got.ID != "r-1.wav" {
		t.Errorf("recording %+v", got)
	}
}
