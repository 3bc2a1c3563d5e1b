package localkafka

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// probeTimeout bounds one question to a registry that may still be starting.
const probeTimeout = 2 * time.Second

// registryBase is where Apicurio serves the Confluent registry API.
func registryBase(port int) string { return "http://" + address(port) + "/apis/ccompat/v7" }

func prepareRegistry(ctx context.Context, dir string, port int) (*process, error) {
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	jars, err := registryJars.fetch(ctx)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "registry")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("local Kafka: prepare the registry: %w", err)
	}
	os.Remove(filepath.Join(dir, "pid")) // of a machine that lost its power
	args := []string{
		java, "-Xmx256m", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.io.tmpdir=tmp",
		"-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port=" + strconv.Itoa(port),
		"-cp", filepath.Join(jars, "*") + string(os.PathListSeparator) + filepath.Join(jars, "lib", "*"),
		"io.quarkus.runner.GeneratedMain",
	}
	ready := func([]byte) bool { return answers(registryBase(port) + "/subjects") }
	return &process{name: "the registry", dir: dir, args: args, ready: ready}, nil
}

func answers(url string) bool {
	client := http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}
