package topology

import "testing"

// Events that wait for the first instant of a raw file are read again after an
// abort, so what was read before it is forgotten.
func TestWaitingEventsAreAborted(t *testing.T) {
	task := NewDecodeTask(decodeConfig, Source{Topic: "file"}, 0)
	var fx Effects
	task.Process(rawRecord(0, 0, stringee("created", 0)), &fx)
	if err := task.Abort(); err != nil {
		t.Fatal(err)
	}
	task.Process(rawRecord(0, 0, stringee("created", 0)), &fx)
	task.End()
	if _, err := task.Finish(&fx); err != nil {
		t.Fatal(err)
	}
	if len(fx.Decoded) != 1 {
		t.Errorf("one event was sent %d times", len(fx.Decoded))
	}
}
