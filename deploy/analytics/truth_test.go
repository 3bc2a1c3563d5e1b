package analytics

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// call is what really happened in a call: what the simulator says, and where it
// is not sure, because the call's provider went silent, what the session says.
type call struct {
	Tenant      string `json:"tenant_id"`
	Provider    string `json:"provider"`
	Direction   string `json:"direction"`
	Disposition string `json:"disposition"`
	HangupCause string `json:"hangup_cause"`
	Caller      string `json:"from_e164"`
	Started     int64  `json:"started_at"`
	Answered    int64  `json:"answered_at"`
	Ended       int64  `json:"ended_at"`
	RingMS      *int64 `json:"ring_ms"`
	TalkMS      int64  `json:"talk_ms"`
	TotalMS     int64  `json:"total_ms"`
	FirstEvent  int64  `json:"first_event_at"`

	Transfers []struct {
		Type       string `json:"type"`
		Transferor string `json:"transferor"`
		Result     string `json:"result"`
		Inferred   bool   `json:"inferred"`
	} `json:"transfers"`
}

// calls holds every field that the simulator's truth names against the session
// of that id, and returns the calls.
func calls(t *testing.T, truths string, sessions map[string]map[string]any) (calls []call) {
	t.Helper()
	all := objects(t, truths)
	if len(all) == 0 || len(all) != len(sessions) {
		t.Errorf("%d sessions of %d calls", len(sessions), len(all))
	}
	for _, truth := range all {
		session := sessions[fmt.Sprint(truth["session_id"])]
		for field, want := range truth {
			if got := asTold(session[field], want); !reflect.DeepEqual(got, want) {
				t.Errorf("session %s: %s is %v, in truth %v", truth["session_id"], field, got, want)
			}
		}
		merged := maps.Clone(session)
		maps.Copy(merged, truth)
		text, err := json.Marshal(merged)
		if err != nil {
			t.Fatal(err)
		}
		var c call
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	return calls
}

// asTold reduces a list in a session to what the truth tells of its members: of
// most their ids, in order, of transfers more, as they followed on each other.
func asTold(got, want any) any {
	wanted, isList := want.([]any)
	members, _ := got.([]any)
	if !isList {
		return got
	}
	told := []any{}
	for _, m := range members {
		kept := map[string]any{}
		for field, value := range m.(map[string]any) {
			if len(wanted) == 0 || tells(wanted[0], field) {
				kept[field] = value
			}
		}
		told = append(told, kept)
	}
	if len(wanted) > 0 && len(wanted[0].(map[string]any)) == 1 {
		slices.SortFunc(told, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return told
}

func tells(member any, field string) bool {
	_, told := member.(map[string]any)[field]
	return told
}

// The second ways to some answers, from calls and without SQL. Each gives the
// rows of its question's table.

func answerRate(calls []call) [][]string {
	return grouped(calls, func(c call) []string {
		if c.Direction != "INBOUND" || c.Disposition == "UNKNOWN" {
			return nil
		}
		return []string{c.Tenant, hour(cmp.Or(c.Started, c.FirstEvent))}
	}, func(calls []call) []string {
		answered := count(calls, func(c call) bool { return c.Disposition == "ANSWERED" })
		return []string{strconv.Itoa(len(calls)), strconv.Itoa(answered), percent(answered, len(calls))}
	})
}

func ringTime(calls []call) [][]string {
	return grouped(calls, func(c call) []string {
		if c.Answered == 0 {
			return nil
		}
		return []string{c.Provider}
	}, func(calls []call) []string {
		var rings []int64
		for _, c := range calls {
			if c.RingMS != nil {
				rings = append(rings, *c.RingMS)
			}
		}
		return []string{strconv.Itoa(len(calls)), strconv.Itoa(len(rings)), quantile(rings, 0.5), quantile(rings, 0.95), quantile(rings, 1)}
	})
}

func abandoned(calls []call) [][]string {
	return grouped(calls, func(c call) []string {
		if c.Direction != "INBOUND" || c.Provider == "sonetel" {
			return nil
		}
		return []string{c.Tenant}
	}, func(calls []call) []string {
		var ringing, menu int
		var waits []int64
		for _, c := range calls {
			switch {
			case c.Disposition == "CANCELED":
				ringing++
			case c.Disposition == "NO_ANSWER" && c.HangupCause == "NORMAL":
				menu++
			default:
				continue
			}
			waits = append(waits, c.TotalMS)
		}
		return []string{
			strconv.Itoa(len(calls)), strconv.Itoa(ringing), strconv.Itoa(menu), percent(ringing+menu, len(calls)),
			quantile(waits, 0.5), quantile(waits, 1),
		}
	})
}

// transfers are what each agent passed on: the ten who did so most.
func transfers(calls []call) [][]string {
	type agent struct{ tenant, name string }
	type counts struct{ passedOn, attended, completed, inferred int }
	passed := map[agent]counts{}
	for _, c := range calls {
		for _, t := range c.Transfers {
			if t.Transferor == "" {
				continue
			}
			n := passed[agent{c.Tenant, t.Transferor}]
			n.passedOn++
			n.attended += one(t.Type == "ATTENDED")
			n.completed += one(t.Result == "COMPLETED")
			n.inferred += one(t.Inferred)
			passed[agent{c.Tenant, t.Transferor}] = n
		}
	}
	most := slices.SortedFunc(maps.Keys(passed), func(a, b agent) int {
		return cmp.Or(
			cmp.Compare(passed[b].passedOn, passed[a].passedOn),
			cmp.Compare(a.tenant, b.tenant),
			cmp.Compare(a.name, b.name),
		)
	})
	var rows [][]string
	for _, a := range most[:min(10, len(most))] {
		n := passed[a]
		rows = append(rows, []string{
			a.tenant, a.name, strconv.Itoa(n.passedOn), strconv.Itoa(n.attended), strconv.Itoa(n.completed), strconv.Itoa(n.inferred),
		})
	}
	return rows
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

func repeatCallers(calls []call) [][]string {
	rows := grouped(calls, func(c call) []string {
		if c.Direction != "INBOUND" || c.Caller == "" {
			return nil
		}
		return []string{c.Tenant, c.Caller}
	}, func(calls []call) []string {
		slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.FirstEvent, b.FirstEvent) })
		var outcomes []string
		for _, c := range calls {
			outcomes = append(outcomes, c.Disposition)
		}
		minutes := calls[len(calls)-1].FirstEvent/60_000 - calls[0].FirstEvent/60_000
		return []string{strconv.Itoa(len(calls)), strings.Join(outcomes, ", "), strconv.FormatInt(minutes, 10)}
	})
	const n = 2 // column of the number of calls
	rows = slices.DeleteFunc(rows, func(row []string) bool { return row[n] == "1" })
	slices.SortStableFunc(rows, func(a, b []string) int { return cmp.Compare(must(strconv.Atoi(b[n])), must(strconv.Atoi(a[n]))) })
	return rows
}

// busiestHour looks at every moment at which a call begins or an hour does: at
// no other is more going on than before.
func busiestHour(calls []call) [][]string {
	atOnce := func(moment int64) int {
		return count(calls, func(c call) bool { return c.Started <= moment && moment < c.Ended })
	}
	rows := grouped(calls, func(c call) []string { return []string{hour(c.Started)} }, func(begun []call) []string {
		peak := atOnce(time.UnixMilli(begun[0].Started).Truncate(time.Hour).UnixMilli())
		var talk int64
		for _, c := range begun {
			talk += c.TalkMS
			peak = max(peak, atOnce(c.Started))
		}
		return []string{strconv.Itoa(len(begun)), rounded(float64(talk) / 60_000), strconv.Itoa(peak)}
	})
	slices.SortStableFunc(rows, func(a, b []string) int {
		return cmp.Compare(must(strconv.Atoi(b[1])), must(strconv.Atoi(a[1])))
	})
	return rows
}

// grouped is a row for each group of calls, in order of the group; a call
// without a group is left out.
func grouped(calls []call, group func(call) []string, columns func([]call) []string) (rows [][]string) {
	names, groups := map[string][]string{}, map[string][]call{}
	for _, c := range calls {
		if name := group(c); name != nil {
			key := strings.Join(name, "|")
			names[key], groups[key] = name, append(groups[key], c)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		rows = append(rows, append(names[key], columns(groups[key])...))
	}
	return rows
}

func count(calls []call, is func(call) bool) (n int) {
	for _, c := range calls {
		if is(c) {
			n++
		}
	}
	return n
}

func hour(ms int64) string {
	return time.UnixMilli(ms).UTC().Truncate(time.Hour).Format(time.DateTime)
}

func percent(part, whole int) string { return rounded(100 * float64(part) / float64(whole)) }

// rounded has one digit behind the point, and none where it is zero.
func rounded(f float64) string {
	return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64)
}

// quantile lies between the two values that are nearest to it, rounded to hundredths.
func quantile(values []int64, q float64) string {
	if len(values) == 0 {
		return "–"
	}
	slices.Sort(values)
	below, share := math.Modf(q * float64(len(values)-1))
	low := values[int(below)]
	high := values[min(int(below)+1, len(values)-1)]
	return strconv.FormatFloat(math.Round(100*(float64(low)+share*float64(high-low)))/100, 'f', -1, 64)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
