package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// pbx is a Xelion server of one tenant and one user.
type pbx struct {
	mu       sync.Mutex
	password string
	life     time.Duration // of a session; 0: until logout
	zone     string        // layout of validUntil
	refuse   map[string]pbxRefusal
	slow     time.Duration          // from a new token to its answer
	strict   bool                   // tokens that are unknown are refused at a login
	mute     bool                   // sockets are read, and nothing is said
	deaf     bool                   // sockets are not even read
	sessions map[string]*pbxSession // by user space
	sockets  map[*pbxSocket]bool
	asked    []string // requests, in their order
	logins   []time.Time
	serial   int
}

type pbxRefusal struct{ status, code int }

type pbxSession struct {
	token, renewal string
	until          time.Time
	renewed        []time.Time
}

type pbxSocket struct {
	space   string
	conn    *websocket.Conn
	toggled []string
}

func newPBX() *pbx {
	return &pbx{
		password: "s3cret", zone: time.DateTime, life: time.Hour, refuse: map[string]pbxRefusal{},
		sessions: map[string]*pbxSession{}, sockets: map[*pbxSocket]bool{},
	}
}

// secrets are in what the server says and is told; no log may hold one.
var secrets = []string{"s3cret", "token-", "renewal-", "ticket-", "5550100"}

func (p *pbx) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, ok := strings.CutPrefix(r.URL.Path, "/api/v1/master/me/")
	if r.URL.Path == "/socket" {
		p.socket(w, r)
		return
	}
	answer := httptest.NewRecorder()
	p.request(answer, r, what, ok)
	if what == "login" || what == "renew" {
		time.Sleep(p.slow)
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

func (p *pbx) request(w http.ResponseWriter, r *http.Request, what string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, what)
	if no, refused := p.refuse[what]; refused {
		pbxSays(w, no.status, no.code)
		return
	}
	space, session := p.sessionOf(r)
	switch {
	case !ok || r.Method != http.MethodPost:
		pbxSays(w, 404, 10100)
	case what == "login":
		p.login(w, r, space, session)
	case session == nil:
		pbxSays(w, 401, 10021)
	case what == "renew":
		p.renew(w, r, session)
	case what == "websocket":
		p.serial++
		fmt.Fprintf(w, `{"object":"ws://%s/socket?ticket-%d=%s"}`, r.Host, p.serial, space)
	case what == "logout":
		p.end(space)
	default:
		pbxSays(w, 404, 10100)
	}
}

func pbxSays(w http.ResponseWriter, status, code int) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errorCode":%d,"message":"no +15550100001","info":"resource=POST /api/v1/master/me/login"}`, code)
}

func (p *pbx) sessionOf(r *http.Request) (string, *pbxSession) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "xelion ")
	for space, s := range p.sessions {
		if !s.until.After(time.Now()) {
			p.end(space)
		} else if s.token == token {
			return space, s
		}
	}
	return "", nil
}

func (p *pbx) login(w http.ResponseWriter, r *http.Request, old string, session *pbxSession) {
	p.logins = append(p.logins, time.Now())
	var ask struct{ UserName, Password, UserSpace string }
	err := json.NewDecoder(r.Body).Decode(&ask)
	if session != nil {
		p.end(old)
	}
	switch {
	case err != nil:
		pbxSays(w, 400, 10202)
	case session == nil && p.strict && r.Header.Get("Authorization") != "":
		pbxSays(w, 401, 10022)
	case ask.UserName != "callstitch" || ask.Password != p.password:
		pbxSays(w, 401, 10004)
	case p.sessions[ask.UserSpace] != nil:
		pbxSays(w, 401, 10005)
	default:
		s := new(pbxSession)
		p.sessions[ask.UserSpace] = s
		p.grant(w, s)
	}
}

func (p *pbx) renew(w http.ResponseWriter, r *http.Request, s *pbxSession) {
	var renewal string
	if json.NewDecoder(r.Body).Decode(&renewal) != nil || renewal != s.renewal {
		pbxSays(w, 401, 10023)
		return
	}
	s.renewed = append(s.renewed, time.Now())
	p.grant(w, s)
}

// grant gives a session new tokens and a new end.
func (p *pbx) grant(w http.ResponseWriter, s *pbxSession) {
	p.serial++
	s.token, s.renewal = fmt.Sprint("token-", p.serial), fmt.Sprint("renewal-", p.serial)
	s.until = time.Now().Add(p.life)
	if p.life == 0 {
		s.until = time.Now().AddDate(100, 0, 0)
	}
	// The server's clock is of its own zone, where the layout has none.
	until := s.until.In(time.FixedZone("", 2*60*60))
	json.NewEncoder(w).Encode(map[string]any{"authentication": s.token, "renewalToken": s.renewal, "validUntil": until.Format(p.zone), "brand": nil})
}

// end ends a session, and its sockets with it.
func (p *pbx) end(space string) {
	delete(p.sessions, space)
	for s := range p.sockets {
		if s.space == space {
			s.conn.CloseNow()
		}
	}
}

// expire ends the sessions that were not renewed in time.
func (p *pbx) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for space, s := range p.sessions {
		if !s.until.After(time.Now()) {
			p.end(space)
		}
	}
}

func (p *pbx) socket(w http.ResponseWriter, r *http.Request) {
	_, space, _ := strings.Cut(r.URL.RawQuery, "=")
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	s := &pbxSocket{space: space, conn: conn}
	p.mu.Lock()
	if p.sessions[space] == nil {
		p.mu.Unlock()
		conn.Close(websocket.StatusPolicyViolation, "no session of +15550100001")
		return
	}
	p.sockets[s] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.sockets, s)
	}()
	for p.answer(s) {
	}
}

// answer reads a frame and does what it asks for.
func (p *pbx) answer(s *pbxSocket) bool {
	for p.is(func() bool { return p.deaf }) {
		time.Sleep(time.Second)
		if p.is(func() bool { return !p.sockets[s] }) {
			return false
		}
	}
	_, body, err := s.conn.Read(context.Background())
	if err != nil {
		return false
	}
	var frame struct {
		MessageType, NotificationType string
		Toggle                        bool
	}
	switch json.Unmarshal(body, &frame); {
	case p.is(func() bool { return p.mute }):
	case frame.MessageType == "test":
		s.conn.Write(context.Background(), websocket.MessageText, body)
	case frame.MessageType == "notificationRequest" && frame.Toggle:
		p.mu.Lock()
		s.toggled = append(s.toggled, frame.NotificationType)
		p.mu.Unlock()
	}
	return true
}

func (p *pbx) is(what func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return what()
}

func (p *pbx) set(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
}

// open are the sockets that are open and have subscribed to what is wanted.
func (p *pbx) open() (open []*pbxSocket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sockets {
		if slices.Contains(s.toggled, "callHungUpEvent") {
			open = append(open, s)
		}
	}
	return open
}

// push sends a frame to everybody who is there.
func (p *pbx) push(frame string) {
	for _, s := range p.open() {
		s.conn.Write(context.Background(), websocket.MessageText, []byte(frame))
	}
}

// hangUp is a frame as the server pushes it.
func hangUp(callID int) string {
	return fmt.Sprintf(`{ "messageType":"notification","notificationType":"callHungUpEvent","notification":{"callId":"%d","callerPhoneNumber":"+15550100001"}}`, callID)
}
