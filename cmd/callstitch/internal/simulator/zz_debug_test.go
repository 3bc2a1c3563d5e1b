package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"callstitch/cmd/callstitch/internal/simulator"
)

func TestDebug(t *testing.T) {
	field := os.Getenv("DEBUG_FIELD")
	if field == "" {
		return
	}
	traffic := simulator.Config{}
	json.Unmarshal([]byte(os.Getenv("DEBUG_CFG")), &traffic)
	traffic.Seed, traffic.Calls, traffic.Rate = 11, *calls, 20
	res := process(t, traffic, 3)
	shown := map[string]int{}
	for i := range res.truth {
		tr := res.truth[i : i+1]
		_ = tr
	}
	byID := map[string][]byte{}
	for _, line := range bytes.Split(res.sessions.Bytes(), []byte("\n")) {
		var s struct{ Session_id string }
		if json.Unmarshal(line, &s) == nil {
			byID[s.Session_id] = line
		}
	}
	for i := range res.truth {
		tr := &res.truth[i]
		line := byID[tr.SessionID]
		r, _ := simulator.Compare(res.truth[i:i+1], bytes.NewReader(line))
		if r.Wrong[field] == 0 || shown[tr.Provider] >= 2 {
			continue
		}
		shown[tr.Provider]++
		fmt.Printf("=== %s\nTRUTH %s\n", tr.Provider, tr.AppendJSON(nil))
		for _, e := range r.Examples {
			fmt.Println("  ", e[:min(len(e), 90)])
		}
		s := simulator.New(traffic)
		for {
			rec, ok := s.Next()
			if !ok {
				break
			}
			for _, id := range tr.CallIDs {
				if strings.Contains(string(rec.Value), id) {
					fmt.Printf("  %d %s\n", rec.Timestamp, rec.Value)
					break
				}
			}
		}
		fmt.Printf("GOT %s\n", line)
	}
}
