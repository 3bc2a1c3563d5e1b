package kafka

import (
	"encoding/binary"
	"flag"
	"hash/crc32"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
	"callstitch/topology/topologytest"
)

var restoredLegs = flag.Int("legs", 1_000_000, "legs that BenchmarkRestore restores; ten million take 8 GiB")

// BenchmarkRestore is what the restore of a task costs this process: batches as a broker
// sends them are unpacked and loaded, and the index is made. What is in them is made
// between, and not counted.
func BenchmarkRestore(b *testing.B) {
	cfg := testTopology(1)
	held, err := topologytest.NewHeld(cfg)
	if err != nil {
		b.Fatal(err)
	}
	var records int
	var spent time.Duration
	for b.Loop() {
		r := refill{task: topology.NewStitchTask(&cfg, 0, map[string]int32{topologytest.Topic: 1})}
		for key, value := range held.Each(*restoredLegs) {
			if r.add(key, value); len(r.fetched) >= changelogFetch {
				r.fetch(b)
			}
		}
		r.pack()
		r.fetch(b)
		spent += r.spent + cpuOf(b, func() {
			if err := r.task.Restored(nil); err != nil {
				b.Fatal(err)
			}
		})
		records += r.loaded
	}
	b.ReportMetric(float64(records)/spent.Seconds(), "records/cpu-s")
	b.ReportMetric(float64(records)/float64(b.N), "records/op")
}

// refill feeds a task by fetches.
type refill struct {
	task *topology.StitchTask

	batch   []byte // records of the batch that is made
	count   int
	fetched []byte // batches of the fetch that is made
	offset  int64

	loaded int
	spent  time.Duration
}

// Sizes of changelog batches and fetches as they were seen under load.
const (
	changelogBatch = 400
	changelogFetch = 1 << 20
)

func (r *refill) add(key, value []byte) {
	body := binary.AppendVarint([]byte{0, 0}, int64(r.count)) // attributes, time, offset
	body = append(binary.AppendVarint(body, int64(len(key))), key...)
	body = append(binary.AppendVarint(body, int64(len(value))), value...)
	body = append(body, 0) // no headers
	r.batch = append(binary.AppendVarint(r.batch, int64(len(body))), body...)
	if r.count++; r.count == changelogBatch {
		r.pack()
	}
}

func (r *refill) pack() {
	if r.count == 0 {
		return
	}
	h := make([]byte, batchHeader)
	packed := s2.EncodeSnappy(nil, r.batch)
	binary.BigEndian.PutUint64(h, uint64(r.offset))
	binary.BigEndian.PutUint32(h[8:], uint32(len(h)-12+len(packed)))
	h[16], h[22] = 2, byte(kgo.CodecSnappy)
	binary.BigEndian.PutUint32(h[23:], uint32(r.count-1))
	binary.BigEndian.PutUint32(h[57:], uint32(r.count))
	h = append(h, packed...)
	binary.BigEndian.PutUint32(h[17:], crc32.Checksum(h[21:], crc32.MakeTable(crc32.Castagnoli)))
	r.fetched = append(r.fetched, h...)
	r.offset += int64(r.count)
	r.batch, r.count = r.batch[:0], 0
}

// fetch loads what was made, as restore.consume does.
func (r *refill) fetch(b *testing.B) {
	r.spent += cpuOf(b, func() {
		fetch := &kmsg.FetchResponseTopicPartition{RecordBatches: r.fetched, LastStableOffset: r.offset, HighWatermark: r.offset}
		p, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{KeepControlRecords: true, Topic: "changelog"}, fetch, kgo.DefaultDecompressor(), nil)
		if p.Err != nil {
			b.Fatal(p.Err)
		}
		for _, rec := range p.Records {
			r.task.Load(rec.Key, rec.Value)
			r.loaded++
		}
	})
	r.fetched = r.fetched[:0]
}

// cpuOf is the CPU time that this process takes for something, its collector's included.
func cpuOf(b *testing.B, do func()) time.Duration {
	before := cpu(b)
	do()
	return cpu(b) - before
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
