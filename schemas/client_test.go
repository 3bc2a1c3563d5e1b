package schemas

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// answering is a client of a registry that answers every request as f does.
func answering(t *testing.T, f http.HandlerFunc) *Registry {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return mustRegistry(t, RegistryConfig{URL: server.URL})
}

// Whatever comes without end is given up, in little memory.
func TestEndlessAnswers(t *testing.T) {
	endless := func(w http.ResponseWriter, piece string) {
		for {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"body": func(w http.ResponseWriter, _ *http.Request) { endless(w, strings.Repeat("[", 1<<16)) },
		"error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			endless(w, strings.Repeat("x", 1<<16))
		},
		"header": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for err == nil {
				_, err = io.WriteString(conn, strings.Repeat("X-Endless: x\r\n", 1000))
			}
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			registry := answering(t, answer)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := registry.Lookup(t.Context(), Events, "call.events")
			runtime.ReadMemStats(&after)
			wantError(t, err, "call.events-value", registry.urls)
			if n := after.TotalAlloc - before.TotalAlloc; n > 10*answerMax {
				t.Errorf("it took %d MiB", n>>20)
			}
		})
	}
}

// A registry that cannot answer now is asked again a few times.
func TestAskedAgain(t *testing.T) {
	for name, refuse := range map[string]http.HandlerFunc{
		"unavailable": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"throttled": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"id":`)
		},
		"broken": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			fake, requests := srfake.NewRegistry(), 0
			registry := answering(t, func(w http.ResponseWriter, r *http.Request) {
				if requests++; requests%triesMax != 0 {
					refuse(w, r)
					return
				}
				fake.Handler().ServeHTTP(w, r)
			})
			registry.client.http.Transport.(*currentTransport).current().DisableKeepAlives = true // Go itself asks again on a connection that it kept
			if _, err := registry.Register(t.Context(), Events, "call.events"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Asking ends, and says that it went on for a while.
func TestAskedAgainInVain(t *testing.T) {
	requests := 0
	registry := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<html>Bad luck</html>")
	})
	_, err := registry.Lookup(t.Context(), Events, "call.events")
	wantError(t, err, "status 503: a web page", "asked several times")
	if requests != triesMax {
		t.Errorf("%d requests", requests)
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for value, want := range map[string]time.Duration{
			"": 0, "soon": 0, "-5": 0, "3": 3 * time.Second, "99999999999": time.Hour,
			time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
			time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat):       0,
		} {
			if got := retryAfter(value); got != want {
				t.Errorf("%q: got %v, want %v", value, got, want)
			}
		}
	})
}

// A registry that asks for an hour is not waited for so long.
func TestRetryAfterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := mustRegistry(t, RegistryConfig{URL: "http://registry"})
		registry.client.http.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusTooManyRequests, Body: http.NoBody, Header: http.Header{"Retry-After": {"3600"}},
			}, nil
		})
		begun := time.Now()
		_, err := registry.Lookup(t.Context(), Events, "call.events")
		wantError(t, err, "429", "try again later")
		if took := time.Since(begun); took != (triesMax-1)*pauseMax {
			t.Errorf("it took %v", took)
		}
	})
}

// A request has a limit of its own, and says so.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := mustRegistry(t, RegistryConfig{URL: "http://registry"})
		registry.client.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		begun := time.Now()
		_, err := registry.Lookup(t.Context(), Events, "call.events")
		wantError(t, err, "no answer within 15s", "is schema_registry.url right and the registry running?")
		if took := time.Since(begun); took != requestTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// Answers that are no registry's say what to do next, and tell no secret.
func TestStrangeAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   []string
	}{
		"login page": {
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "\n <!DOCTYPE html><title>Log in</title>")
			},
			[]string{"not that of a schema registry: a web page", "set schema_registry.url to the registry itself"},
		},
		"text": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "it\nworks\x1b[0m") },
			[]string{"not that of a schema registry: it works [0m"},
		},
		"empty": {
			func(http.ResponseWriter, *http.Request) {},
			[]string{"not that of a schema registry: nothing"},
		},
		"other JSON": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"ok"}`) },
			[]string{"not that of a schema registry"},
		},
		"login redirect": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://login.example/start?token=hush&state=hush", http.StatusFound)
			},
			[]string{"status 302: it leads to https://login.example/start;", "set schema_registry.url"},
		},
		"proxy": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) },
			[]string{"status 407: nothing more; a proxy wants credentials"},
		},
		"echo": {
			func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				user, password, _ := r.BasicAuth()
				_, _ = fmt.Fprintf(w, "Authorization: %s, that is %s and %s", r.Header.Get("Authorization"), user, password)
			},
			[]string{"Authorization: Basic •••, that is key and •••"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			registry := mustRegistry(t, RegistryConfig{URL: strings.Replace(server.URL, "://", "://key:hush@", 1) + "/base?apikey=hush"})
			_, err := registry.Lookup(t.Context(), Events, "call.events")
			wantError(t, err, append(test.want, "call.events-value at "+server.URL+"/base")...)
			if strings.Contains(err.Error(), "hush") || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// JSON of something else is taken for nothing that was asked for.
func TestOtherJSON(t *testing.T) {
	fake := srfake.NewRegistry()
	fake.SeedSchema("call.audit-value", 1, 1, sr.Schema{Schema: Audit.Schema()})
	fake.SeedSchema("call.events-value", 1, 2, sr.Schema{Schema: Audit.Schema()})
	for _, path := range []string{
		"POST /subjects/call.audit-value", "GET /subjects/call.audit-value/versions/latest", "GET /subjects/call.events-value/versions/1",
		"GET /subjects/call.events-value/versions", "POST /subjects/call.legs-value/versions", "GET /schemas/ids/1",
	} {
		registry := answering(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method+" "+r.URL.Path == path {
				_, _ = io.WriteString(w, `{"status":"ok"}`)
				return
			}
			fake.Handler().ServeHTTP(w, r)
		})
		_, err := registry.Check(t.Context(), Audit, "call.audit")
		if err == nil {
			_, err = registry.Check(t.Context(), Events, "call.events")
		}
		if err == nil {
			_, err = registry.Register(t.Context(), Legs, "call.legs")
		}
		if err == nil {
			_, err = registry.Reader(t.Context(), 1)
		}
		wantError(t, err, "not that of a schema registry")
	}
}

// A key in the address reaches the registry, and no error.
func TestKeyInTheAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	registry := mustRegistry(t, RegistryConfig{URL: server.URL + "/?apikey=hush#hush"})
	_, err := registry.Lookup(t.Context(), Events, "call.events")
	wantError(t, err, "call.events-value at "+server.URL+"/:", "connection refused")
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("the error is %q", err)
	}
}

// A redirect is followed where the request stays what it is.
func TestRedirects(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	for status, followed := range map[int]bool{
		http.StatusMovedPermanently: false, http.StatusFound: false, http.StatusSeeOther: false,
		http.StatusTemporaryRedirect: true, http.StatusPermanentRedirect: true,
	} {
		registry := answering(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, fake.URL()+r.URL.Path, status) })
		_, err := registry.Register(t.Context(), Events, fmt.Sprint("call.events", status))
		if followed != (err == nil) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// One request tells an id that is known, however many versions there are.
func TestKnownIDIsOneRequest(t *testing.T) {
	fake, registry, requests := fakeRegistry(t)
	for n := range 50 {
		fake.SeedSchema("call.audit-value", n+1, n+1, sr.Schema{Schema: strings.Replace(Audit.Schema(), "Source topic.", fmt.Sprintf("Topic %d.", n), 1)})
	}
	fake.SeedSchema("call.audit-value", 51, 51, sr.Schema{Schema: Audit.Schema()})
	for range 2 {
		if id, err := registry.Register(t.Context(), Audit, "call.audit"); err != nil || id != 51 || requests.Load() != 1 {
			t.Fatalf("got %d, %v after %d requests", id, err, requests.Load())
		}
	}
	if _, err := registry.Check(t.Context(), Audit, "call.audit"); err != nil || requests.Load() != 2 {
		t.Errorf("checked in %d requests: %v", requests.Load()-1, err)
	}
}

// What was learnt before a failure is not asked for again.
func TestProgressIsKept(t *testing.T) {
	fake := srfake.NewRegistry()
	older := strings.Replace(Audit.Schema(), "Source topic.", "A topic.", 1)
	fake.SeedSchema("call.audit-value", 1, 1, sr.Schema{Schema: older})
	fake.SeedSchema("call.audit-value", 2, 2, sr.Schema{Schema: strings.Replace(older, "A topic.", "Its topic.", 1)})
	reads := map[string]int{}
	registry := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			reads[r.URL.Path]++
		}
		if r.URL.Path == "/subjects/call.audit-value/versions/2" && reads[r.URL.Path] == 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fake.Handler().ServeHTTP(w, r)
	})
	for want := range []int{0, 1} {
		if _, err := registry.Register(t.Context(), Audit, "call.audit"); (err == nil) != (want == 1) {
			t.Fatal(err)
		}
	}
	if n := reads["/subjects/call.audit-value/versions/1"]; n != 1 {
		t.Errorf("version 1 was read %d times", n)
	}
}

// A schema that cannot be had is not asked for with each record that has it.
func TestFailuresAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		registry := mustRegistry(t, RegistryConfig{URL: "http://registry"})
		registry.client.http.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			requests++
			return nil, errors.New("nobody there")
		})
		for range 1000 {
			if _, err := registry.Reader(t.Context(), 7); err == nil {
				t.Fatal("it was read")
			}
		}
		if requests != 1 {
			t.Errorf("%d requests", requests)
		}
		time.Sleep(failureKept)
		_, _ = registry.Reader(t.Context(), 7)
		if requests != 2 {
			t.Errorf("%d requests after a while", requests)
		}
	})
}

// The address that answered last is asked first: one that hangs costs its time once.
func TestAddressThatAnswered(t *testing.T) {
	var asked atomic.Int64
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer down.Close()
	fake := srfake.New()
	defer fake.Close()
	registry := mustRegistry(t, RegistryConfig{URL: down.URL + "," + fake.URL()})
	for _, s := range Subjects() {
		if _, err := registry.Register(t.Context(), s, s.String()); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the address that is down was asked %d times", asked.Load())
	}
}

// Two programs that register at once both succeed, whatever the registry makes of
// the second write.
func TestRegisterAtOnce(t *testing.T) {
	fake := srfake.NewRegistry()
	var mu sync.Mutex
	written := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		write := r.Method + r.URL.Path
		if written[write] {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"error_code":409,"message":"A rule named 'COMPATIBILITY' already exists."}`)
			return
		}
		written[write] = r.Method == http.MethodPut || r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/versions")
		fake.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	for round := range 20 {
		var group sync.WaitGroup
		for range 2 {
			registry := mustRegistry(t, RegistryConfig{URL: server.URL})
			group.Go(func() {
				if _, err := registry.Register(t.Context(), Audit, fmt.Sprint("call.audit", round)); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}

// A rule that could not be set is no hindrance where it is the right one already.
func TestRuleIsThere(t *testing.T) {
	for level, want := range map[string]bool{fullTransitive: true, "NONE": false} {
		fake := srfake.NewRegistry()
		registry := answering(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				w.WriteHeader(http.StatusConflict)
			case strings.HasPrefix(r.URL.Path, "/config/"):
				_, _ = fmt.Fprintf(w, `{"compatibilityLevel":%q}`, level)
			default:
				fake.Handler().ServeHTTP(w, r)
			}
		})
		if _, err := registry.Register(t.Context(), Audit, "call.audit"); (err == nil) != want {
			t.Errorf("%s: %v", level, err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
