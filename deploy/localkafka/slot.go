package localkafka

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Free ports come in slots below the range from which systems take the local
// ports of outgoing connections (32768 on Linux, 49152 elsewhere): a client
// that dials a killed broker can then neither take its port nor connect to
// itself. A slot is locked for as long as its cluster lives, so two clusters
// of one user never race for a port.
const (
	firstPort = 20000
	slotPorts = 2*maxBrokers + 1 // brokers, controllers, registry
	slots     = 1000

	// registryOffset is where in its slot the registry's port is.
	registryOffset = 2 * maxBrokers
)

// slot is a run of ports that are ours.
type slot struct {
	lock *os.File
	base int
}

func takeSlot() (*slot, error) {
	dir, err := cacheDir("slots")
	if err != nil {
		return nil, err
	}
	for i := range slots {
		lock, err := tryLock(filepath.Join(dir, strconv.Itoa(i)))
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("local Kafka: take ports: %w", err)
		}
		s := &slot{lock: lock, base: firstPort + i*slotPorts}
		if s.free() {
			return s, nil
		}
		s.release()
	}
	return nil, fmt.Errorf("local Kafka: no free ports from %d to %d", firstPort, firstPort+slots*slotPorts-1)
}

// free reports whether no other program uses a port of the slot.
func (s *slot) free() bool {
	for i := range slotPorts {
		if checkPort(s.base+i) != nil {
			return false
		}
	}
	return true
}

// port is the wanted port, which must be free, or else the slot's own.
func (s *slot) port(want, offset int) (int, error) {
	if want == 0 {
		return s.base + offset, nil
	}
	if err := checkPort(want); err != nil {
		return 0, fmt.Errorf("local Kafka: port %d: %w; stop what listens there, or choose another port", want, err)
	}
	return want, nil
}

func checkPort(port int) error {
	l, err := net.Listen("tcp", address(port))
	if err != nil {
		return err
	}
	return l.Close()
}

func (s *slot) release() {
	if s != nil {
		s.lock.Close()
	}
}

// tryLock takes the lock file at path, which falls free when the file is
// closed or its process ends. EWOULDBLOCK: another process has it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}
