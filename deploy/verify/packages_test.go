//go:build packages

package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestImageRuns unpacks the image with tools of others, and runs it as its user, on a root
// that is its own and cannot be written to.
func TestImageRuns(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	file, err := os.Open(released(t, "*-oci.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m.run(t, "mkdir", "-p", "/image", "/rootfs")
	m.write(t, "/image.tar", file)
	m.run(t, "skopeo", "--insecure-policy", "copy", "--quiet", "oci-archive:/image.tar:"+newestVersion(t), "dir:/image")
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal([]byte(m.run(t, "cat", "/image/manifest.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, l := range manifest.Layers {
		m.run(t, "tar", "xf", "/image/"+strings.TrimPrefix(l.Digest, "sha256:"), "-C", "/rootfs", "--numeric-owner", "--same-owner", "--same-permissions")
	}
	var image struct {
		Config struct {
			User         string
			Entrypoint   []string
			Env          []string
			ExposedPorts map[string]any
		}
	}
	if err := json.Unmarshal([]byte(m.run(t, "cat", "/image/"+strings.TrimPrefix(manifest.Config.Digest, "sha256:"))), &image); err != nil {
		t.Fatal(err)
	}
	dockerfile := read(t, "deploy/docker/Dockerfile")
	var ports []string
	for port := range image.Config.ExposedPorts {
		ports = append(ports, strings.TrimSuffix(port, "/tcp"))
	}
	entrypoint, _ := json.Marshal(image.Config.Entrypoint)
	for _, line := range []string{"USER " + image.Config.User, "EXPOSE " + strings.Join(sorted(ports), " "), "ENTRYPOINT " + string(entrypoint)} {
		if !strings.Contains(dockerfile, "\n"+line+"\n") {
			t.Errorf("the Dockerfile has no %s", line)
		}
	}

	m.run(t, "mount", "--bind", "/rootfs", "/rootfs")
	m.run(t, "mount", "-o", "remount,bind,ro", "/rootfs")
	user, group, _ := strings.Cut(image.Config.User, ":")
	// It begins in the new root, so that nothing of the machine is within reach.
	inside := func(args ...string) *exec.Cmd {
		cmd := m.command(t.Context(), chroot, append([]string{"--userspec=" + user + ":" + group, "--groups=" + group, "/rootfs"}, append(image.Config.Entrypoint, args...)...)...)
		cmd.Env = image.Config.Env
		return cmd
	}
	out, err := inside("version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "callstitch "+newestVersion(t)) {
		t.Fatalf("%v: %s", err, out)
	}
	out, err = inside("demo", "--for", "5s", "--listen", "127.0.0.1:0").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the books balance") {
		t.Errorf("%v: %s", err, out)
	}
	// It trusts as many authorities as a machine does.
	if n := strings.Count(m.run(t, "cat", "/rootfs/etc/ssl/certs/ca-certificates.crt"), "BEGIN CERTIFICATE"); n < 100 {
		t.Errorf("it trusts %d authorities", n)
	}
	if out := m.run(t, "stat", "-c", "%u:%g", "/rootfs/var/lib/callstitch"); strings.TrimSpace(out) != image.Config.User {
		t.Errorf("its state directory is owned by %s", out)
	}
	if names := strings.Fields(m.run(t, "ls", "-A", "/rootfs")); !slices.Equal(names, []string{"callstitch", "etc", "tmp", "usr", "var"}) {
		t.Errorf("it has %v", names)
	}
}

// freeAddress is one of this machine that nobody listens at, and from which nobody
// connects: what is restarted there finds it free.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.85.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// kafka is an Apache Kafka with a source topic, and a schema registry, until the test ends.
func kafka(t *testing.T) (brokers, registry string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "localkafka")
	run(t, nil, "go", "build", "-o", program, "./deploy/localkafka/cmd/localkafka")
	cmd := exec.Command(program, "-port", "0", "-registry-port", "0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var failed strings.Builder
	cmd.Stderr = &failed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	said := make([]byte, 0, 1024)
	for !strings.Contains(string(said), "Ctrl-C") {
		part := make([]byte, 1024)
		n, err := out.Read(part)
		if said = append(said, part[:n]...); err != nil {
			t.Fatalf("local Kafka: %v\n%s%s", err, said, failed.String())
		}
	}
	m := regexp.MustCompile(`(?s)brokers +(\S+)\nregistry +(\S+)\n`).FindStringSubmatch(string(said))
	if m == nil {
		t.Fatalf("local Kafka says %s", said)
	}
	return m[1], m[2]
}

// units are those that come with a package.
var units = []string{"callstitch.service", "callstitch-receive.service"}

// call posts the end of a call, as docs/receive.md does, and waits for its session.
func call(t *testing.T, m *machine, address, id string) {
	t.Helper()
	event := fmt.Sprintf(`{"eventType":"disconnect","eventTime":"2026-11-24T19:41:00Z","callId":%q,"from":"+15550100101","to":"+15550100102",
		"direction":"inbound","startTime":"2026-11-24T19:40:00Z","answerTime":"2026-11-24T19:40:05Z","endTime":"2026-11-24T19:41:00Z","cause":"hangup"}`, id)
	eventually(t, "the front door takes an event", func() error {
		res, err := http.Post("http://"+address+"/bandwidth/acme", "application/json", strings.NewReader(event))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusNoContent {
			return fmt.Errorf("%s: %s", res.Status, body)
		}
		return nil
	})
	eventually(t, "the session of "+id, func() error {
		out, err := m.command(t.Context(), "sh", "-c", `set -a; . /etc/default/callstitch; exec callstitch tail call.sessions -c /etc/callstitch/callstitch.yaml`).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, id) {
				return nil
			}
		}
		return fmt.Errorf("it is not in %q", out)
	})
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s does not come: %v", what, err)
}

// TestDeb installs the package with dpkg, runs both units, upgrades it under them, and
// removes it: what docs/operations.md says of it, on a machine that is gone afterwards.
func TestDeb(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	put := func(from, to string) {
		file, err := os.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		m.write(t, to, file)
	}
	put(released(t, "*_"+runtime.GOARCH+".deb"), "/first.deb")
	m.run(t, "dpkg", "--install", "/first.deb")
	if want, got := "daemon-reload\ntry-restart callstitch.service\ntry-restart callstitch-receive.service\n", m.told(t); got != want {
		t.Errorf("systemd was told:\n%swant that nothing is started:\n%s", got, want)
	}
	if out := m.run(t, "dpkg", "--verify", "callstitch"); out != "" {
		t.Errorf("installed are other files than were packed:\n%s", out)
	}
	if user := m.run(t, "getent", "passwd", "callstitch"); !strings.HasSuffix(user, ":/var/lib/callstitch:/usr/sbin/nologin\n") {
		t.Errorf("the user is %s", user)
	}
	m.verifyUnits(t)
	for _, u := range units {
		t.Logf("%s: %s", u, lastLine(m.run(t, "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", "/usr/lib/systemd/system/"+u)))
	}

	brokers, registry := kafka(t)
	address := freeAddress(t)
	m.run(t, "sed", "-i", "s|127.0.0.1:9092|"+brokers+"|; s|http://127.0.0.1:8081|"+registry+"|; s|127.0.0.1:8085|"+address+"|; $ a # mine", "/etc/callstitch/callstitch.yaml")
	m.run(t, "sh", "-c", "printf '%s\n' CALLSTITCH_HTTP_LISTEN= CALLSTITCH_RECEIVE_HTTP_LISTEN= CALLSTITCH_GRACE=1s >>/etc/default/callstitch")
	asked := m.run(t, "setpriv", "--reuid", "callstitch", "--regid", "callstitch", "--init-groups",
		"sh", "-c", "set -a; . /etc/default/callstitch; exec callstitch check -c /etc/callstitch/callstitch.yaml")
	if strings.Contains(asked, "×") {
		t.Errorf("check finds:\n%s", asked)
	}

	services := map[string]*service{}
	for _, u := range units {
		services[u] = m.start(t, u)
	}
	call(t, m, address, "c-before")
	if _, err := os.Stat("/var/lib/callstitch"); err == nil {
		t.Error("the real machine has /var/lib/callstitch")
	}
	kept := m.run(t, "sh", "-c", "cd /var/lib/callstitch && find . -type f -path './callstitch/*' | sort | xargs sha256sum")
	if kept == "" {
		t.Error("the instance has kept no name")
	}

	// A later version, whose own configuration and units have changed too.
	m.run(t, "sh", "-euc", `
		dpkg-deb --raw-extract /first.deb /second
		sed -i 's/^Version: .*/Version: 99.0.0-1/' /second/DEBIAN/control
		echo '# theirs' >>/second/etc/callstitch/callstitch.yaml
		echo '# theirs' >>/second/usr/lib/systemd/system/callstitch.service
		dpkg-deb --build -Zgzip -z1 /second /second.deb`)
	m.told(t)
	m.run(t, "dpkg", "--install", "--force-confdef", "--force-confold", "/second.deb")
	if want, got := "daemon-reload\ntry-restart callstitch.service\ntry-restart callstitch-receive.service\n", m.told(t); got != want {
		t.Errorf("systemd was told:\n%swant that what runs is replaced, once:\n%s", got, want)
	}
	for _, u := range units { // as it was told
		if program := services[u].program(); !strings.HasSuffix(program, "/usr/bin/callstitch (deleted)") {
			t.Errorf("before the restart %s runs %s", u, program)
		}
		services[u].stop(45 * time.Second)
		services[u] = m.start(t, u)
	}
	call(t, m, address, "c-after")
	for _, u := range units {
		if program := services[u].program(); !strings.HasSuffix(program, "/usr/bin/callstitch") {
			t.Errorf("after the restart %s runs %s", u, program)
		}
	}
	m.run(t, "grep", "-q", "^# mine", "/etc/callstitch/callstitch.yaml")
	m.run(t, "grep", "-q", "^# theirs", "/etc/callstitch/callstitch.yaml.dpkg-dist")
	m.run(t, "grep", "-q", "^# theirs", "/usr/lib/systemd/system/callstitch.service")
	if now := m.run(t, "sh", "-c", "cd /var/lib/callstitch && find . -type f -path './callstitch/*' | sort | xargs sha256sum"); now != kept {
		t.Errorf("the instance was\n%sand is\n%s", kept, now)
	}

	m.run(t, "dpkg", "--remove", "callstitch")
	if want, got := "disable --now callstitch.service callstitch-receive.service\ndaemon-reload\n", m.told(t); got != want {
		t.Errorf("systemd was told:\n%swant:\n%s", got, want)
	}
	for _, u := range units {
		services[u].stop(45 * time.Second)
	}
	m.fails(t, "test", "-e", "/usr/bin/callstitch")
	m.fails(t, "test", "-e", "/usr/lib/systemd/system/callstitch.service")
	m.run(t, "grep", "-q", "^# mine", "/etc/callstitch/callstitch.yaml")
	m.run(t, "test", "-d", "/var/lib/callstitch/callstitch")

	// An event that Kafka has not taken outlives even a purge, and nothing else does.
	m.run(t, "sh", "-c", "echo event >/var/lib/callstitch/spool/0000000000000001.spool")
	m.run(t, "dpkg", "--purge", "callstitch")
	m.fails(t, "test", "-e", "/etc/callstitch/callstitch.yaml")
	m.fails(t, "test", "-e", "/etc/default/callstitch")
	m.run(t, "test", "-f", "/var/lib/callstitch/spool/0000000000000001.spool")
	m.fails(t, "test", "-e", "/var/lib/callstitch/callstitch")

	// Without one nothing is left.
	m.run(t, "rm", "/var/lib/callstitch/spool/0000000000000001.spool")
	m.run(t, "dpkg", "--install", "/first.deb")
	m.run(t, "dpkg", "--purge", "callstitch")
	m.fails(t, "test", "-e", "/var/lib/callstitch")
	m.fails(t, "test", "-e", "/etc/callstitch")
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestRPM installs, replaces and removes the package with rpm.
func TestRPM(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	name := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	file, err := os.Open(released(t, "*."+name+".rpm"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m.write(t, "/callstitch.rpm", file)
	m.run(t, "rpm", "--checksig", "--nosignature", "/callstitch.rpm")
	// Its dependencies are packages of this machine, which rpm does not know.
	m.run(t, "rpm", "--install", "--nodeps", "/callstitch.rpm")
	if want, got := "daemon-reload\ntry-restart callstitch.service\ntry-restart callstitch-receive.service\n", m.told(t); got != want {
		t.Errorf("systemd was told:\n%swant:\n%s", got, want)
	}
	m.run(t, "rpm", "--verify", "--nodeps", "callstitch")
	m.run(t, "getent", "passwd", "callstitch")
	m.verifyUnits(t)
	if out := m.run(t, "callstitch", "version"); !strings.HasPrefix(out, "callstitch "+newestVersion(t)) {
		t.Errorf("it is %s", out)
	}
	m.run(t, "sh", "-c", "echo '# mine' >>/etc/callstitch/callstitch.yaml")
	m.told(t)
	m.run(t, "rpm", "--upgrade", "--force", "--nodeps", "/callstitch.rpm")
	m.run(t, "grep", "-q", "^# mine", "/etc/callstitch/callstitch.yaml")
	if got := m.told(t); strings.Contains(got, "disable") || !strings.Contains(got, "try-restart callstitch.service") {
		t.Errorf("at an upgrade systemd was told:\n%s", got)
	}
	m.run(t, "rpm", "--erase", "callstitch")
	if want, got := "disable --now callstitch.service callstitch-receive.service\ndaemon-reload\n", m.told(t); got != want {
		t.Errorf("systemd was told:\n%swant:\n%s", got, want)
	}
	m.fails(t, "test", "-e", "/usr/bin/callstitch")
	m.run(t, "grep", "-q", "^# mine", "/etc/callstitch/callstitch.yaml.rpmsave")
}
