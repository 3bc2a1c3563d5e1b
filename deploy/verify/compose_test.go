package verify

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

const root = "../.."

// ours are the services that run callstitch.
var ours = []string{"callstitch", "receiver", "simulator"}

func load(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions(
		[]string{filepath.Join(root, "docker-compose.yml")}, cli.WithProfiles(profiles), cli.WithResolvedPaths(true),
	)
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	return project
}

func TestComposeServices(t *testing.T) {
	always := []string{"callstitch", "kafka", "receiver", "registry", "topic"}
	if got := sorted(load(t).ServiceNames()); !slices.Equal(got, always) {
		t.Errorf("services %v, want %v", got, always)
	}
	withTraffic := []string{"callstitch", "kafka", "receiver", "registry", "simulator", "topic"}
	if got := sorted(load(t, "traffic").ServiceNames()); !slices.Equal(got, withTraffic) {
		t.Errorf("services with the profile traffic %v, want %v", got, withTraffic)
	}
	withMonitoring := []string{"callstitch", "grafana", "kafka", "prometheus", "receiver", "registry", "topic"}
	if got := sorted(load(t, "monitoring").ServiceNames()); !slices.Equal(got, withMonitoring) {
		t.Errorf("services with the profile monitoring %v, want %v", got, withMonitoring)
	}
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

func TestComposeFilesExist(t *testing.T) {
	project := load(t, "traffic", "monitoring")
	for _, s := range project.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("service %s mounts %s: %v", s.Name, v.Source, err)
			}
		}
		if s.Build == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("service %s is built from: %v", s.Name, err)
		}
	}
}

func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	for _, s := range load(t, "traffic", "monitoring").Services {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("service %s publishes port %s on %q: no service here asks for a password", s.Name, p.Published, p.HostIP)
			}
		}
	}
}

// TestComposeRunsWhatTestsRun holds the images' versions against those that
// the tests run without Docker.
func TestComposeRunsWhatTestsRun(t *testing.T) {
	pom := read(t, "deploy/localkafka/pom.xml")
	project := load(t)
	for service, artifact := range map[string]string{"kafka": "kafka_2.13", "topic": "kafka_2.13", "registry": "apicurio-registry-app"} {
		m := regexp.MustCompile(`<artifactId>` + regexp.QuoteMeta(artifact) + `</artifactId>\s*<version>([^<]+)`).FindStringSubmatch(pom)
		if m == nil {
			t.Fatalf("pom.xml does not name %s", artifact)
		}
		if image := project.Services[service].Image; !strings.HasSuffix(image, ":"+m[1]) {
			t.Errorf("service %s runs %s, the tests run %s", service, image, m[1])
		}
	}
}

func TestComposeProcessorNeedsNoPrivilege(t *testing.T) {
	for _, name := range ours {
		s := load(t, "traffic").Services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("service %s: read-only %v, dropped capabilities %v", name, s.ReadOnly, s.CapDrop)
		}
	}
}

// TestCommandsAreThePrograms has the program itself read the configuration
// and the flags that docker-compose.yml gives it.
func TestCommandsAreThePrograms(t *testing.T) {
	program := filepath.Join(t.TempDir(), "callstitch")
	run(t, nil, "go", "build", "-o", program, "./cmd/callstitch")
	for _, name := range ours {
		s := load(t, "traffic").Services[name]
		env := []string{}
		for name, value := range s.Environment {
			env = append(env, name+"="+*value)
		}
		run(t, env, program, "topology", "-c", "deploy/callstitch.yaml")
		help := run(t, nil, program, s.Command[0], "--help")
		for _, arg := range s.Command[1:] {
			flag, _, _ := strings.Cut(arg, "=")
			if strings.HasPrefix(flag, "-") && !strings.Contains(help, flag+" ") && !strings.Contains(help, flag+",") {
				t.Errorf("service %s: callstitch %s knows no %s", s.Name, s.Command[0], flag)
			}
		}
	}
}

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestImageIsPinned(t *testing.T) {
	from := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(read(t, "deploy/docker/Dockerfile"), -1)
	if len(from) != 2 {
		t.Fatalf("the Dockerfile has %d stages, want 2", len(from))
	}
	for _, m := range from {
		if _, tag, ok := strings.Cut(m[1], ":"); !ok || tag == "latest" {
			t.Errorf("image %s is not pinned", m[1])
		}
	}
}

// TestPrometheusScrapesTheServices holds the targets of Prometheus against the services
// and what they listen at.
func TestPrometheusScrapesTheServices(t *testing.T) {
	var config struct {
		ScrapeConfigs []struct {
			StaticConfigs []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/monitoring/prometheus.yml")), &config); err != nil {
		t.Fatal(err)
	}
	services, targets := load(t, "monitoring").Services, 0
	for _, c := range config.ScrapeConfigs {
		for _, target := range c.StaticConfigs[0].Targets {
			targets++
			name, port, _ := strings.Cut(target, ":")
			listens := false
			for variable, value := range services[name].Environment {
				listens = listens || strings.HasSuffix(variable, "HTTP_LISTEN") && strings.HasSuffix(*value, ":"+port)
			}
			if !listens {
				t.Errorf("%s is scraped, and no service serves its metrics there", target)
			}
		}
	}
	if targets != 2 {
		t.Errorf("%d targets are scraped, want the processor and the front door", targets)
	}
}
