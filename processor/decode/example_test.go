package decode_test

import (
	"fmt"

	"callstitch/processor/call"
	"callstitch/processor/decode"
)

// A record becomes events, a counted ignore, or a rejection: never an error.
func ExampleDecoder_Decode() {
	d := decode.New(decode.Settings{Provider: call.Bandwidth})
	for _, value := range []string{
		`{"eventType":"answer","eventTime":"2024-02-20T10:00:05Z","callId":"c-1","direction":"inbound",
		  "from":"+15550100101","to":"+15550100102","startTime":"2024-02-20T10:00:00Z","answerTime":"2024-02-20T10:00:05Z"}`,
		`[]`,
		`{"eventType":"answer"}`,
	} {
		result := d.Decode(decode.Input{Value: []byte(value)})
		for _, e := range result.Events {
			fmt.Println("event:", e.CallID, e.Type, "from", e.From.E164)
		}
		if result.Ignored != "" {
			fmt.Println("ignored:", result.Ignored)
		}
		if result.Reject != nil {
			fmt.Println("rejected:", result.Reject.Reason)
		}
	}
	// Output:
	// event: c-1 CALL_ANSWERED from +15550100101
	// ignored: empty
	// rejected: MISSING_CALL_ID
}
