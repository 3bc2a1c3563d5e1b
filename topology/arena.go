package topology

// arena cuts small byte slices out of large ones, so that a record costs no
// allocation of its own. What it gave out is freed a chunk at a time.
type arena struct{ chunk []byte }

const arenaChunk = 64 << 10

// room is where to append the next slice.
func (a *arena) room() []byte {
	if cap(a.chunk) < arenaChunk/64 {
		a.chunk = make([]byte, 0, arenaChunk)
	}
	return a.chunk
}

// keep takes what was appended to room out of the arena.
func (a *arena) keep(b []byte) []byte {
	if len(b) <= cap(a.chunk) {
		a.chunk = b[len(b):]
	}
	return b[:len(b):len(b)]
}
