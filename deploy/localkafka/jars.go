package localkafka

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

//go:embed pom.xml
var pom []byte

// javaFloor is the oldest Java that runs Kafka 4 brokers.
const javaFloor = 17

// lockPoll is how often a download that another program has in hand is looked for.
const lockPoll = 100 * time.Millisecond

// artifact is a set of jars that pom.xml names, in one folder of the cache.
type artifact struct {
	name string // of the folder
	goal string // of Maven, with the id of its execution in pom.xml
}

var (
	kafkaJars    = artifact{"kafka", "dependency:copy-dependencies@kafka"}
	registryJars = artifact{"registry", "dependency:unpack@registry"}
)

// Fetch downloads what clusters run, unless the cache has it, and says what
// is missing on this machine. Tests call it first, so that no single test
// waits for a download.
func Fetch(ctx context.Context) error {
	if _, err := findJava(ctx); err != nil {
		return err
	}
	for _, a := range []artifact{kafkaJars, registryJars} {
		if _, err := a.fetch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fetch returns the folder of the jars. It appears whole or not at all: a
// download cut short leaves none.
func (a artifact) fetch(ctx context.Context) (string, error) {
	cache, err := cacheDir("")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(pom)
	dir := filepath.Join(cache, a.name+"-"+hex.EncodeToString(sum[:4]))
	if exists(dir) {
		return dir, nil
	}
	lock, err := awaitLock(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("local Kafka: wait for another download of %s: %w", a.name, err)
	}
	defer lock.Close()
	if exists(dir) { // the other download
		return dir, nil
	}
	return dir, a.download(ctx, cache, dir)
}

func (a artifact) download(ctx context.Context, cache, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("local Kafka: Maven, which downloads it, is not installed; type: %s", installLine())
	}
	work, err := os.MkdirTemp(cache, "download-")
	if err != nil {
		return fmt.Errorf("local Kafka: download %s: %w", a.name, err)
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o644); err != nil {
		return fmt.Errorf("local Kafka: download %s: %w", a.name, err)
	}
	out := filepath.Join(work, "out")
	// Batch mode, quiet, with a bad checksum an error.
	cmd := exec.CommandContext(ctx, mvn, "-B", "-q", "-C", a.goal, "-Dout="+out)
	cmd.Dir = work
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("local Kafka: download %s with Maven: %w; can Maven reach its repository from here?\n%s",
			a.name, errors.Join(err, ctx.Err()), text)
	}
	return os.Rename(out, dir)
}

// findJava returns the java command: that of JAVA_HOME, else the first on the
// path, if it is new enough.
func findJava(ctx context.Context) (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	text, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("local Kafka: run %s -version: %w; to install Java %d, type: %s", java, err, javaFloor, installLine())
	}
	if v := javaVersion(text); v < javaFloor {
		return "", fmt.Errorf("local Kafka: %s is Java %d, Kafka needs %d; type: %s", java, v, javaFloor, installLine())
	}
	return java, nil
}

var versionPattern = regexp.MustCompile(`version "(\d+)`)

// javaVersion reads the major version from what java -version says; 0 when
// it says none. Versions up to 8 call themselves 1.
func javaVersion(text []byte) int {
	m := versionPattern.FindSubmatch(text)
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(string(m[1])) // digits by the pattern
	return v
}

// installLine is what to type on this system to get Java and Maven.
func installLine() string {
	if runtime.GOOS == "darwin" {
		return "brew install openjdk maven"
	}
	return "sudo apt-get update && sudo apt-get install -y default-jre-headless maven"
}

// cacheDir is a folder of the user's cache, made if need be.
func cacheDir(name string) (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("local Kafka: find the cache directory: %w", err)
	}
	dir := filepath.Join(user, "callstitch", "localkafka", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("local Kafka: make the cache directory: %w", err)
	}
	return dir, nil
}

func awaitLock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := tryLock(path)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
