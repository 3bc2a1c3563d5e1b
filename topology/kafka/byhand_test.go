package kafka

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/deploy/localkafka"
	"callstitch/processor/codec"
	"callstitch/topology"
	"callstitch/topology/kafka/rawlog"
	"callstitch/topology/topologytest"
)

// batchHeader is how many bytes of a batch in a log come before its records.
const batchHeader = 61

// oneBatch writes records as one batch, however large it is before it is compressed.
func oneBatch(t testing.TB, cfg Config, codec kgo.CompressionCodec, records ...*kgo.Record) {
	t.Helper()
	cl := client(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(99<<20), kgo.MaxBufferedBytes(0), kgo.ProducerLinger(200*time.Millisecond))
	defer cl.Close()
	if err := cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// damage changes the batch of a partition that holds an offset, in the log of the shared
// broker, as a bad disk would. What it changes it signs anew only where it says so.
func damage(t testing.TB, topic string, partition int32, offset int64, change func(batch []byte) (sign bool)) {
	t.Helper()
	damageAt(t, localkafka.Shared(t), 1, topic, partition, offset, change)
}

func damageAt(t testing.TB, cluster *localkafka.Cluster, broker int32, topic string, partition int32, offset int64, change func(batch []byte) (sign bool)) {
	t.Helper()
	segment := filepath.Join(cluster.Dir(), fmt.Sprintf("broker-%d", broker), "data", fmt.Sprintf("%s-%d", topic, partition), "00000000000000000000.log")
	file, err := os.OpenFile(segment, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at+61 <= len(log); {
		size := 12 + int(binary.BigEndian.Uint32(log[at+8:]))
		if int64(binary.BigEndian.Uint64(log[at:]))+int64(binary.BigEndian.Uint32(log[at+23:])) < offset {
			at += size
			continue
		}
		batch := log[at : at+size]
		if change(batch) {
			binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
		}
		if _, err := file.WriteAt(batch, int64(at)); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no batch of %s-%d holds offset %d", topic, partition, offset)
}

// hardBatch is a batch that franz-go does not read, or not as it should.
type hardBatch struct {
	codec   kgo.CompressionCodec
	records []*kgo.Record
	change  func(batch []byte) (sign bool) // damages it; nil: it is as it was sent
	reason  string                         // of its rejects, one for each record
}

func hardBatches() map[string]hardBatch {
	blanks := func(size int) []byte { return bytes.Repeat([]byte(" "), size) }
	large := func(n int, r kgo.Record) (all []*kgo.Record) {
		for range n {
			rec := r
			all = append(all, &rec)
		}
		return all
	}
	var small []*kgo.Record
	for i := range 7 {
		small = append(small, &kgo.Record{Value: fmt.Appendf(nil, `{"n":%d}%50d`, i, 0)})
	}
	none, gz := kgo.NoCompression(), kgo.GzipCompression()
	const size = 20 << 20
	return map[string]hardBatch{
		"a value in gzip":   {gz, large(1, kgo.Record{Value: blanks(70 << 20)}), nil, "TOO_LARGE"},
		"a value in zstd":   {kgo.ZstdCompression(), large(1, kgo.Record{Value: blanks(size)}), nil, "TOO_LARGE"},
		"a value in lz4":    {kgo.Lz4Compression(), large(1, kgo.Record{Value: blanks(size)}), nil, "TOO_LARGE"},
		"a value in snappy": {kgo.SnappyCompression(), large(1, kgo.Record{Value: blanks(18 << 20)}), nil, "TOO_LARGE"},
		"a key":             {kgo.ZstdCompression(), large(1, kgo.Record{Key: blanks(size), Value: []byte("v")}), nil, "TOO_LARGE"},
		"a header":          {kgo.ZstdCompression(), large(1, kgo.Record{Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "h", Value: blanks(size)}}}), nil, "TOO_LARGE"},
		"many records":      {kgo.ZstdCompression(), large(30, kgo.Record{Value: blanks(1500 << 10)}), nil, "TOO_LARGE"},

		"a bit of a record":     {none, small, func(b []byte) bool { b[len(b)-3] ^= 4; return false }, "UNREADABLE"},
		"a bit of its offsets":  {none, small, func(b []byte) bool { b[24] ^= 1; return false }, "UNREADABLE"},
		"an unknown format":     {none, small, func(b []byte) bool { b[16] = 3; return false }, "UNREADABLE"},
		"an unknown codec":      {gz, small, func(b []byte) bool { b[22] |= 7; return true }, "UNREADABLE"},
		"a stream cut short":    {gz, small, func(b []byte) bool { clear(b[len(b)-40:]); return true }, "UNREADABLE"},
		"a record that goes on": {none, small, func(b []byte) bool { b[batchHeader] = 0x7f; return true }, "UNREADABLE"},
		"more than its records": {none, small, func(b []byte) bool { b[60] = 0; return true }, "UNREADABLE"},
	}
}

// Whatever a batch is, what is before and behind it is taken, each of its records is
// rejected or taken once, whatever is killed, and memory stays bounded.
func TestBatchesReadByHand(t *testing.T) {
	hard := hardBatches()
	names := slices.Sorted(maps.Keys(hard))
	cfg := apache(t, int32(len(names)))
	topic := cfg.Sources[0].Topic
	records := onTopic(cfg, topologytest.Calls(31, 150, 20*time.Second).Shuffle(31, int32(len(names)), 2*time.Second, 0.2))
	want, total := inMemory(t, records).Canonical(), len(records)
	parts := make([][]*kgo.Record, len(names))
	for _, r := range records {
		parts[r.Partition] = append(parts[r.Partition], toKafka(r.Record))
	}
	base := make([]int64, len(names))
	for p, name := range names {
		b, part := hard[name], parts[p]
		third := len(part) / 3
		produce(t, cfg, part[:third])
		batch := slices.Clone(b.records)
		for _, r := range batch {
			r.Topic, r.Partition, r.Timestamp = topic, int32(p), time.UnixMilli(1)
		}
		if b.change == nil { // what is in one batch with it is taken, too
			batch = append(batch, part[third:2*third]...)
		} else {
			produce(t, cfg, part[third:2*third])
			third = 2 * third
		}
		base[p], total = int64(third), total+len(b.records)
		oneBatch(t, cfg, b.codec, batch...)
		produce(t, cfg, part[len(part)/3*2:])
		if b.change != nil {
			damage(t, topic, int32(p), base[p], b.change)
		}
	}
	c := childConfig{Brokers: localkafka.Shared(t).Brokers(), Name: t.Name(), Instance: "one", Workers: 2, Crash: crashPoint{true, 26, 4}}
	if in := startChild(t, c); !in.ends(30 * time.Second) {
		t.Fatalf("the child did not die at %s:\n%s", c.Crash, in.log)
	}
	c.Crash = crashPoint{}
	in := startChild(t, c)
	awaitPublished(t, cfg, want, 30*time.Second)
	awaitBooks(t, cfg, total, 10*time.Second)
	rejects := map[string][]*kgo.Record{}
	for _, rec := range readRecords(t, cfg, cfg.Topics.Rejects) {
		p, _ := strconv.Atoi(headersOf(rec)["__streams.errors.partition"])
		rejects[names[p]] = append(rejects[names[p]], rec)
	}
	for p, name := range names {
		checkRejected(t, name, rejects[name], hard[name], base[p])
	}
	read := 0
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := Tail(ctx, TailConfig{Brokers: cfg.Brokers, Topic: topic, From: "earliest"}, func(topology.Record) error { read++; return nil })
	if err != nil || read < total-14 { // franz-go goes over some of those that it cannot parse
		t.Errorf("tail read %d of %d records: %v", read, total, err)
	}
	const most = 400 << 20
	if peak := peakMemory(t, in.cmd.Process.Pid); peak > most {
		t.Errorf("the instance took %d MiB", peak>>20)
	} else {
		t.Logf("the instance took %d MiB", peak>>20)
	}
}

// checkRejected compares rejects with the batch whose records they must be.
func checkRejected(t *testing.T, name string, rejects []*kgo.Record, b hardBatch, base int64) {
	t.Helper()
	seen := map[int64]bool{}
	for _, rec := range rejects {
		h := headersOf(rec)
		offset, _ := strconv.ParseInt(h["__streams.errors.offset"], 10, 64)
		i := offset - base
		if i < 0 || int(i) >= len(b.records) || seen[offset] || h["callstitch.reason"] != b.reason {
			t.Errorf("%s: reject of offset %d, headers %v", name, offset, h)
			continue
		}
		seen[offset] = true
		switch value := b.records[i].Value; {
		case b.reason == "UNREADABLE":
			if want := fmt.Sprintf("%d-%d", base, base+int64(len(b.records))-1); h["callstitch.batch"] != want || (len(rec.Value) > batchHeader) != (i == 0) {
				t.Errorf("%s: offset %d, batch %q, want %q; %d bytes", name, offset, h["callstitch.batch"], want, len(rec.Value))
			}
		case len(value) > rejectsMaxBytes:
			sum := sha256.Sum256(value)
			if h["callstitch.length"] != strconv.Itoa(len(value)) || h["callstitch.sha256"] != hex.EncodeToString(sum[:]) || !bytes.Equal(rec.Value, value[:rawlog.Kept]) {
				t.Errorf("%s: offset %d, %d bytes, headers %v", name, offset, len(rec.Value), h)
			}
		case !bytes.Equal(rec.Value, value):
			t.Errorf("%s: offset %d has %d bytes, want %d", name, offset, len(rec.Value), len(value))
		}
	}
	if len(seen) != len(b.records) {
		t.Errorf("%s: %d of %d records were rejected", name, len(seen), len(b.records))
	}
}

// peakMemory is the most that a process has had in memory.
func peakMemory(t *testing.T, pid int) (bytes int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(rest, &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes << 10
}

// Where a batch's length is damaged, the broker itself reads nothing behind it until its
// index leads it past. What nobody can reach is rejected offset by offset, and the
// rest goes on.
func TestBatchesThatTheBrokerCannotRead(t *testing.T) {
	changes := []func(batch []byte){
		func(b []byte) { b[8] = 0x40 },    // a length that goes on
		func(b []byte) { clear(b[8:12]) }, // a length that is none
	}
	cfg := apache(t, int32(len(changes)))
	records := onTopic(cfg, topologytest.Calls(33, 80, 20*time.Second).Shuffle(33, int32(len(changes)), 2*time.Second, 0.2))
	for part := range slices.Chunk(records, 20) { // many, so that the broker's index has entries
		feed(t, cfg, part)
	}
	for p, change := range changes {
		damage(t, cfg.Sources[0].Topic, int32(p), 100, func(b []byte) bool { change(b); return false })
	}
	r := startRun(t, cfg)
	awaitBooks(t, cfg, len(records), 40*time.Second)
	rejects := map[string][]int64{}
	for _, rec := range readRecords(t, cfg, cfg.Topics.Rejects) {
		h := headersOf(rec)
		offset, _ := strconv.ParseInt(h["__streams.errors.offset"], 10, 64)
		rejects[h["__streams.errors.partition"]] = append(rejects[h["__streams.errors.partition"]], offset)
	}
	for p := range changes {
		all := rejects[strconv.Itoa(p)]
		slices.Sort(all)
		n := len(slices.Compact(slices.Clone(all)))
		if n < 5 || n > 100 || n != len(all) || all[0] > 100 || all[n-1] != all[0]+int64(n)-1 || all[n-1] < 100 {
			t.Errorf("rejected of partition %d: offsets %v", p, all)
		}
	}
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
}

// State must not be gone over: a damaged batch of an internal topic ends the run.
func TestDamagedInternalTopics(t *testing.T) {
	for name, damaged := range map[string]func(t *testing.T, cfg Config){
		"changelog": func(t *testing.T, cfg Config) {
			damage(t, cfg.ChangelogTopic(), 0, 3, func(b []byte) bool { b[len(b)-1] ^= 1; return false })
		},
		"exchange": func(t *testing.T, cfg Config) {
			ends, err := listOffsets(t.Context(), client(t, cfg), []topology.TopicPartition{{Topic: cfg.ExchangeTopic()}}, endOffset)
			if err != nil {
				t.Fatal(err)
			}
			produce(t, cfg, []*kgo.Record{{Topic: cfg.ExchangeTopic(), Value: []byte("a message")}})
			damage(t, cfg.ExchangeTopic(), 0, ends[topology.TopicPartition{Topic: cfg.ExchangeTopic()}].Offset, func(b []byte) bool { b[len(b)-1] ^= 1; return false })
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 1)
			records := onTopic(cfg, topologytest.Calls(34, 40, 20*time.Second).Shuffle(34, 1, 2*time.Second, 0.2))
			feed(t, cfg, records)
			r := startRun(t, cfg)
			awaitBooks(t, cfg, len(records), 20*time.Second)
			if err := r.stop(t); err != nil {
				t.Fatal(err)
			}
			damaged(t, cfg)
			if err := runFor(t, cfg, 20*time.Second); !errors.Is(err, codec.ErrCorrupt) || !strings.Contains(err.Error(), "holds a batch that cannot be read") {
				t.Errorf("the run ended with %v", err)
			}
		})
	}
}

// runFor runs for at most so long.
func runFor(t *testing.T, cfg Config, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return Run(ctx, cfg, nil)
}
