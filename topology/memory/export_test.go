package memory

import (
	"iter"

	"callstitch/topology"
)

// Hold gives the stitch tasks of a runtime that has read nothing what they would have
// stored of nodes.
func (r *Runtime) Hold(nodes iter.Seq2[[]byte, []byte]) error {
	for key, value := range nodes {
		id := key[1:18]
		r.tasks[topology.Partition(id, r.cfg.ExchangePartitions)].Load(key, value)
	}
	for _, t := range r.tasks {
		if err := t.Restored(nil); err != nil {
			return err
		}
	}
	return nil
}
