package kafka

// chunks is memory that a transaction's records are cut from, so that each costs no
// allocation of its own. The next transaction uses it again, once nobody holds a record of
// this one any more.
type chunks[T any] struct {
	size int // of a chunk
	all  [][]T
	used int // of all: the last of these is cut from
	left []T // of that one
}

// room is memory to append to, for at least n. What is appended is kept by keep.
func (c *chunks[T]) room(n int) []T {
	if cap(c.left) < n {
		if c.used == len(c.all) {
			c.all = append(c.all, make([]T, c.size))
		}
		c.left = c.all[c.used][:0:c.size]
		c.used++
	}
	return c.left
}

// keep keeps what was appended to room, which may have outgrown it.
func (c *chunks[T]) keep(b []T) []T {
	if len(b) <= cap(c.left) {
		c.left = b[len(b):]
	}
	return b[:len(b):len(b)]
}

// again takes all of it back. What has not been needed is given up, so that a backlog
// does not hold its memory for ever.
func (c *chunks[T]) again() {
	clear(c.all[min(2*c.used+1, len(c.all)):])
	c.all = c.all[:min(2*c.used+1, len(c.all))]
	c.used, c.left = 0, nil
}

// forget gives it up: somebody may still hold records.
func (c *chunks[T]) forget() { *c = chunks[T]{size: c.size} }
