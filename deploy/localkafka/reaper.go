package localkafka

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// A fate is what becomes of a cluster's directory when its program has ended.
type fate string

const (
	deleteAll fate = "delete"
	keepLogs  fate = "logs" // a failed test's logs stay, its data go
	keepAll   fate = "keep"
)

// closedFile stops processes that have not yet become Java: a process writes
// its pid file and then looks for closedFile, the reaper writes closedFile and
// then looks for pid files, so one of the two sees the other.
const closedFile = "closed"

// reaperScript reads fates until its input ends, which is when this program
// has closed the pipe or died, by whatever signal. $1 is the directory, $2 the
// first fate. Its input is the only thing that ends it: a terminal's Ctrl-C
// does not reach its process group.
const reaperScript = `
cd "$1" || exit
fate=$2
while read -r word; do fate=$word; done
: >closed
for file in */pid; do
	[ -f "$file" ] && kill -9 "$(cat "$file")"
done
[ "$fate" = keep ] && exit
[ "$fate" = logs ] && ! ls */log >/dev/null 2>&1 && fate=delete
for try in 1 2 3 4 5 6 7 8 9 10; do
	if [ "$fate" = logs ]; then
		rm -rf */data */tmp && exit
	else
		rm -rf "$1" && exit
	fi
	sleep 0.2 # a killed process may still be writing
done
`

// reaper is the process that cleans up behind a cluster.
type reaper struct {
	cmd   *exec.Cmd
	pipe  io.WriteCloser
	close func() error // once
}

func startReaper(dir string, f fate) (*reaper, error) {
	if err := os.Remove(filepath.Join(dir, closedFile)); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("local Kafka: prepare %s: %w", dir, err)
	}
	cmd := exec.Command("sh", "-c", reaperScript, "sh", dir, string(f))
	cmd.SysProcAttr = ownGroup()
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("local Kafka: start the process that cleans up: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("local Kafka: start the process that cleans up: %w", err)
	}
	r := &reaper{cmd: cmd, pipe: pipe}
	r.close = sync.OnceValue(func() error {
		r.pipe.Close()
		// The script's status is that of a race it is there to win; what counts is the directory.
		_ = r.cmd.Wait()
		return nil
	})
	return r, nil
}

// tell changes what becomes of the directory.
func (r *reaper) tell(f fate) {
	// A pipe without a reader means that the reaper was killed: nothing to tell.
	_, _ = io.WriteString(r.pipe, string(f)+"\n")
}
