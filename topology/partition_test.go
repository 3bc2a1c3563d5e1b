package topology

import "testing"

// The vectors are those of Apache Kafka's own test of murmur2
// (clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java).
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

// A negative hash loses its sign, as in Kafka's toPositive; its absolute value
// would give another partition.
func TestPartition(t *testing.T) {
	if got := Partition([]byte("21"), 7); got != (-973932308&0x7fffffff)%7 {
		t.Errorf("Partition(21, 7) = %d", got)
	}
	for _, key := range []string{"", "a", "foobar"} {
		if got := Partition([]byte(key), 1); got != 0 {
			t.Errorf("Partition(%q, 1) = %d", key, got)
		}
	}
}
