package receive

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// refusal is the answer to a request whose event was not taken.
type refusal struct {
	status        int
	header, value string
	text          string
	last          bool // nothing more is read from the client
	drop          bool // the connection ends without an answer
}

// retryAfter is when to try again, in seconds: room is made, or Kafka comes back, in
// about that time.
const retryAfter = 5

var (
	forbidden   = &refusal{status: http.StatusForbidden, text: "not from there"}
	notFound    = &refusal{status: http.StatusNotFound, text: "no endpoint"}
	notPost     = &refusal{status: http.StatusMethodNotAllowed, header: "Allow", value: http.MethodPost, text: "POST events"}
	encoded     = &refusal{status: http.StatusUnsupportedMediaType, header: "Accept-Encoding", value: "identity", text: "no content encoding is taken"}
	tooLarge    = &refusal{status: http.StatusRequestEntityTooLarge, text: "the body is too large", last: true}
	tooSlow     = &refusal{status: http.StatusRequestTimeout, text: "the body did not come in time", last: true}
	torn        = &refusal{status: http.StatusBadRequest, text: "the body is not whole", last: true}
	unavailable = &refusal{status: http.StatusServiceUnavailable, header: "Retry-After", value: strconv.Itoa(retryAfter), text: "not taken: try again"}
	dropped     = &refusal{drop: true}
)

// errOpen is what an endpoint would be that asks for nothing and does not say so.
var errOpen = errors.New("an endpoint must say what requests prove, or that they prove nothing")

// code is the refusal's name in metrics.
func (f *refusal) code() string {
	if f.drop {
		return codeDropped
	}
	return strconv.Itoa(f.status)
}

// write answers, or ends the connection.
func (f *refusal) write(w http.ResponseWriter, r *http.Request) {
	if f.drop {
		panic(http.ErrAbortHandler) // how net/http is told to
	}
	if f.header != "" {
		w.Header().Set(f.header, f.value)
	}
	if f.last && r.ProtoMajor == 1 { // over HTTP/2 a request ends alone, and others go on
		w.Header().Set("Connection", "close")
	}
	http.Error(w, f.text, f.status)
}

// rarelyInterval is how often the same is told at most.
const rarelyInterval = time.Minute

// rarely keeps a log short: what is true of every request is said once a minute.
type rarely struct{ next atomic.Int64 }

// now reports whether it may be said again, and takes it as said.
func (r *rarely) now() bool {
	now, next := time.Now(), r.next.Load()
	return now.UnixNano() >= next && r.next.CompareAndSwap(next, now.Add(rarelyInterval).UnixNano())
}
