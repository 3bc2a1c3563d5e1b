package verify

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the manifests, and the table of docs/kubernetes.md, anew")

const (
	chartDir     = "deploy/kubernetes/chart"
	manifestsDir = "deploy/kubernetes/manifests"
)

// oldest is what Chart.yaml asks for, and newest what the schemas know.
const oldest, newest = "1.27", "1.37"

// variants are values that between them use everything the chart has.
var variants = map[string]string{
	"as it comes": ``,
	"everything": `
image: {repository: registry.example/callstitch, tag: "1.2.3", pullSecrets: [registry]}
config:
  kafka: {brokers: ["kafka-1.example:9093", "kafka-2.example:9094"], tls: {enabled: true}, sasl: {mechanism: oauthbearer, oauth: &login {token_url: "https://login.example:8444/token", client_id: callstitch, client_secret_file: /run/secrets/callstitch/client}}}
  schema_registry: {url: "https://registry-1.example,https://registry-2.example:8081/apis/ccompat/v7", oauth: *login}
  http: {listen: "127.0.0.1:1"}
  instance_id: mine
  receive:
    tls: {cert_file: /run/secrets/callstitch/tls.crt, key_file: /run/secrets/callstitch/tls.key}
    spool: {dir: /elsewhere, max: 1GiB}
    feeds:
      - {name: pbx1, provider: xelion, tenant: acme, server: "pbx.example:8443", pbx_tenant: master, username: callstitch, password_file: /run/secrets/callstitch/pbx1}
      - {name: ot, provider: opentact, tenant: acme, url: "wss://ask-opentact.example/a:1", send: ["{{token}}"], token_file: /run/secrets/callstitch/opentact}
receive:
  spool: {size: 12Gi, storageClass: fast}
  service: {type: LoadBalancer, port: 443, annotations: {example.com/scheme: internet}, externalTrafficPolicy: Local}
  ingress: {host: calls.example, className: nginx, tlsSecret: calls-tls, annotations: {cert-manager.io/cluster-issuer: ca}}
feeds: {storage: {storageClass: fast}}
volumes:
  - {name: kafka-tls, secret: {secretName: callstitch-kafka, defaultMode: 0440}}
  - {name: token, projected: {sources: [{serviceAccountToken: {audience: kafka, path: token}}]}}
env: {HTTPS_PROXY: "http://proxy.example:3128", NO_PROXY: registry-1.example}
serviceAccountName: callstitch
networkPolicy:
  ports: [443]
  to: [{ipBlock: {cidr: 10.0.0.0/8}}]
monitoring: {podMonitor: true, rules: true, dashboard: true, repository: "https://git.example/callstitch/", labels: {release: prometheus}}
nodeSelector: {pool: calls}
tolerations: [{key: calls, operator: Exists}]
podLabels: {team: voice}
podAnnotations: {example.com/a: b}
`,
	"only feeds, no secret, no policy": `
config:
  receive:
    endpoints: []
    feeds: [{name: pbx1, provider: xelion, tenant: acme, server: pbx.example, pbx_tenant: master, username: callstitch, password_file: /a}]
secret: ""
networkPolicy: {enabled: false}
`,
	"only the processor": `{config: {receive: null, schema_registry: null}}`,
}

// render is what the chart gives for values in YAML, by the name of the template.
func render(t *testing.T, values string) (map[string]string, error) {
	t.Helper()
	chart, err := loader.Load(filepath.Join(root, chartDir))
	if err != nil {
		t.Fatal(err)
	}
	var given map[string]any
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	whole, err := util.ToRenderValues(chart, given, common.ReleaseOptions{Name: "callstitch", Namespace: "calls"}, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(chart, whole)
	files := map[string]string{}
	for name, text := range rendered {
		if text = strings.TrimSpace(text); text != "" {
			files[filepath.Base(name)] = text + "\n"
		}
	}
	return files, err
}

// manifests are the rendered files that are applied.
func manifests(t *testing.T, values string) map[string]string {
	t.Helper()
	files, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	delete(files, "NOTES.txt")
	return files
}

// object is what is looked at of a manifest.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct{ Template core.PodTemplateSpec }
}

func objects(t *testing.T, files map[string]string) (all []object) {
	t.Helper()
	for name, text := range files {
		for document := range strings.SplitSeq(text, "\n---\n") {
			var o object
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if o.Kind == "" {
				t.Fatalf("%s: a document without a kind:\n%s", name, document)
			}
			all = append(all, o)
		}
	}
	return all
}

// TestManifestsAreTheCharts holds the plain manifests against what the chart renders.
func TestManifestsAreTheCharts(t *testing.T) {
	files := manifests(t, "")
	for name, text := range files {
		path := manifestsDir + "/" + name
		text = "# Rendered from " + chartDir + " as it comes: cd deploy/verify && go test -run Manifests . -update\n" + text
		if *update {
			if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if read(t, path) != text {
			t.Errorf("%s is not what the chart renders; type: cd deploy/verify && go test -run Manifests . -update", path)
		}
	}
	var kustomization struct{ Resources []string }
	if err := yaml.Unmarshal([]byte(read(t, manifestsDir+"/kustomization.yaml")), &kustomization); err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(maps.Keys(files)); !slices.Equal(sorted(kustomization.Resources), want) {
		t.Errorf("kustomization.yaml has %v, the chart renders %v", kustomization.Resources, want)
	}
	entries, err := os.ReadDir(filepath.Join(root, manifestsDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := files[e.Name()]; !ok && e.Name() != "kustomization.yaml" {
			t.Errorf("%s/%s is rendered from nothing", manifestsDir, e.Name())
		}
	}
}

// written puts manifests into files, without the objects of operators, and returns the names.
func written(t *testing.T, files map[string]string) (names []string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		documents := slices.DeleteFunc(strings.Split(text, "\n---\n"), func(d string) bool { return strings.Contains(d, "monitoring.coreos.com") })
		text = strings.Join(documents, "\n---\n")
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		names = append(names, path)
	}
	return sorted(names)
}

// TestManifestsAreValid validates every variant with the schemas of the oldest and the
// newest Kubernetes, which let no unknown field pass.
func TestManifestsAreValid(t *testing.T) {
	if chart := read(t, chartDir+"/Chart.yaml"); !strings.Contains(chart, `kubeVersion: ">=`+oldest+".0-0\"") {
		t.Errorf("the oldest version tested is %s, and the chart asks for another:\n%s", oldest, chart)
	}
	validate := filepath.Join(python(t), "kubernetes-validate")
	for name, values := range variants {
		t.Run(name, func(t *testing.T) {
			for _, version := range []string{oldest, newest} {
				run(t, nil, validate, append([]string{"--strict", "-k", version}, written(t, manifests(t, values))...)...)
			}
		})
	}
}

// unscored are the checks of kube-score that we do not follow.
var unscored = map[string]string{
	"container-image-pull-policy":          "a tag is one image for ever, and a registry that is away must not keep a pod from starting",
	"deployment-has-host-podantiaffinity":  "topologySpreadConstraints spread the pods",
	"statefulset-has-host-podantiaffinity": "as above",
}

// TestManifestsScore has kube-score look at every variant. It wants a CPU limit, which
// throttles: a throttled instance misses its heartbeats.
func TestManifestsScore(t *testing.T) {
	for name, values := range variants {
		if strings.Contains(name, "no policy") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			args := []string{"tool", "-modfile=kube-score.mod", "kube-score", "score", "--ignore-container-cpu-limit", "--kubernetes-version", "v" + newest, "--output-format", "json"}
			for check := range unscored {
				args = append(args, "--ignore-test", check)
			}
			cmd := exec.CommandContext(t.Context(), "go", append(args, written(t, manifests(t, values))...)...)
			out, err := cmd.Output() // exits 1 where it finds something critical
			var scores []struct {
				ObjectName string `json:"object_name"`
				Checks     []struct {
					Check    struct{ ID string }
					Grade    int
					Skipped  bool
					Comments []struct{ Path, Summary, Description string }
				}
			}
			if json.Unmarshal(out, &scores) != nil || len(scores) < 4 {
				t.Fatalf("kube-score: %v\n%s", err, out)
			}
			for _, s := range scores {
				for _, c := range s.Checks {
					if !c.Skipped && c.Grade < 10 {
						t.Errorf("%s: %s: %v", s.ObjectName, c.Check.ID, c.Comments)
					}
				}
			}
		})
	}
}

// TestPodsAreRestricted asks what a namespace with Pod Security's level restricted asks.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	for name, values := range variants {
		for _, o := range objects(t, manifests(t, values)) {
			pod := &o.Spec.Template
			if len(pod.Spec.Containers) == 0 {
				continue
			}
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
			if !result.Allowed {
				t.Errorf("%s: %s: %s", name, o.Metadata.Name, result.ForbiddenDetail())
			}
			// Of a Service named callstitch-receive come variables like CALLSTITCH_RECEIVE_PORT.
			if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks {
				t.Errorf("%s: %s gets the variables of Services", name, o.Metadata.Name)
			}
		}
	}
}

// TestWhatPodsAreGiven looks for the values that all pods get.
func TestWhatPodsAreGiven(t *testing.T) {
	pods := 0
	for _, o := range objects(t, manifests(t, variants["everything"])) {
		pod := &o.Spec.Template
		if len(pod.Spec.Containers) == 0 {
			continue
		}
		pods++
		got := text(t, pod)
		for _, want := range []string{
			"mountPath: /run/secrets/kafka-tls\n", "mountPath: /run/secrets/token\n", "secretName: callstitch-kafka\n", "audience: kafka\n",
			"serviceAccountName: callstitch\n", "name: HTTPS_PROXY\n", "name: registry\n", "pool: calls\n", "key: calls\n", "team: voice\n", "example.com/a: b\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s has no %q:\n%s", o.Metadata.Name, want, got)
			}
		}
	}
	if pods != 3 {
		t.Errorf("there are %d pods, want 3", pods)
	}
}

// TestConfigurationsInManifests has the program itself read what is in the ConfigMaps,
// and looks at what each workload is left with.
func TestConfigurationsInManifests(t *testing.T) {
	dir := t.TempDir()
	program, secret := filepath.Join(dir, "callstitch"), filepath.Join(dir, "client")
	run(t, nil, "go", "build", "-o", program, "./cmd/callstitch")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, values := range variants {
		t.Run(name, func(t *testing.T) {
			configurations := map[string]string{}
			for _, o := range objects(t, manifests(t, values)) {
				if o.Kind != "ConfigMap" {
					continue
				}
				file := filepath.Join(t.TempDir(), "callstitch.yaml")
				text := strings.ReplaceAll(o.Data["callstitch.yaml"], "/run/secrets/callstitch/client", secret) // files that connections need are read
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				run(t, nil, program, "topology", "-c", file)
				configurations[o.Metadata.Name] = o.Data["callstitch.yaml"]
			}
			for workload, words := range map[string]struct{ has, hasNot []string }{
				"callstitch":         {[]string{"listen: :8080"}, []string{"receive:", "mine", "127.0.0.1"}},
				"callstitch-receive": {[]string{"listen: :8086", "listen: :8085", "endpoints:"}, []string{"feeds:", "mine", "/elsewhere"}},
				"callstitch-feeds":   {[]string{"listen: :8086", "feeds:", "dir: /var/lib/callstitch/spool", "state_dir: /var/lib/callstitch/state"}, []string{"endpoints:", ":8085", "cert_file", "mine"}},
			} {
				text, ok := configurations[workload]
				for _, w := range words.has {
					if ok && !strings.Contains(text, w) {
						t.Errorf("%s has no %q:\n%s", workload, w, text)
					}
				}
				for _, w := range words.hasNot {
					if ok && strings.Contains(text, w) {
						t.Errorf("%s has %q:\n%s", workload, w, text)
					}
				}
			}
		})
	}
}

// TestConfigurationsAreApart says that endpoints do not restart the processor.
func TestConfigurationsAreApart(t *testing.T) {
	sums := func(values string) map[string]string {
		sums := map[string]string{}
		for _, o := range objects(t, manifests(t, values)) {
			if sum := o.Spec.Template.Annotations["checksum/config"]; sum != "" {
				sums[o.Metadata.Name] = sum
			}
		}
		return sums
	}
	before := sums("")
	after := sums(`{config: {receive: {endpoints: [{path: /other, provider: stringee, auth: {none: true}}]}}}`)
	if before["callstitch"] != after["callstitch"] || before["callstitch-receive"] == after["callstitch-receive"] {
		t.Errorf("before %v, after %v", before, after)
	}
	after = sums(`{config: {grace: 1m}}`)
	if before["callstitch"] == after["callstitch"] {
		t.Errorf("another grace restarts nothing")
	}
}

// TestDisksAreLargerThanSpools: what fills a disk before its spool is full would be lost.
func TestDisksAreLargerThanSpools(t *testing.T) {
	most := regexp.MustCompile(`spool: \{dir: "", max: (\d+)GiB\}`).FindStringSubmatch(read(t, "docs/receive.md"))
	if most == nil {
		t.Fatal("docs/receive.md does not say how large a spool is by default")
	}
	const feed = `{name: pbx1, provider: xelion, tenant: acme, server: pbx.example, pbx_tenant: master, username: callstitch, password_file: /a}`
	for values, fails := range map[string]string{
		`{receive: {spool: {size: ` + most[1] + `Gi}}}`:                                                     "receive.spool.size is " + most[1] + "Gi, and config.receive.spool.max " + most[1] + "GiB",
		`{receive: {spool: {size: 12Gi}}}`:                                                                  "",
		`{receive: {spool: {size: 12Gi}}, config: {receive: {spool: {max: 11GiB}}}}`:                        "receive.spool.size is 12Gi, and config.receive.spool.max 11GiB",
		`{receive: {spool: {size: 12G}}, config: {receive: {spool: {max: 10GiB}}}}`:                         "",
		`{receive: {spool: {size: 11G}}, config: {receive: {spool: {max: 10GiB}}}}`:                         "receive.spool.size is 11G",
		`{receive: {spool: {size: "1099511627776"}}, config: {receive: {spool: {max: 900GiB}}}}`:            "",
		`{receive: {spool: {size: ""}}, config: {receive: {spool: {max: 900GiB}}}}`:                         "",
		`{config: {receive: {spool: {max: 12GiB}, feeds: [` + feed + `]}}}`:                                 "feeds.storage.size is 12Gi",
		`{config: {receive: {spool: {max: 64MiB}, feeds: [` + feed + `]}}, feeds: {storage: {size: 71Mi}}}`: "",
	} {
		switch _, err := render(t, values); {
		case fails == "" && err != nil:
			t.Errorf("%s: %v", values, err)
		case fails != "" && (err == nil || !strings.Contains(err.Error(), fails)):
			t.Errorf("%s: %v, want an error with %q", values, err, fails)
		}
	}
}

// TestPortsOut looks at where the policy lets pods connect to.
func TestPortsOut(t *testing.T) {
	var got []string
	for document := range strings.SplitSeq(manifests(t, variants["everything"])["networkpolicy.yaml"], "\n---\n") {
		var p struct {
			Metadata meta.ObjectMeta
			Spec     struct {
				Egress []struct{ Ports []struct{ Port int } }
			}
		}
		if err := yaml.Unmarshal([]byte(document), &p); err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Spec.Egress {
			got = append(got, fmt.Sprint(p.Metadata.Name, e.Ports))
		}
	}
	want := []string{
		"callstitch[{53} {53} {5353} {5353}]", "callstitch[{9093} {9094} {443} {8081}]", "callstitch[{8444}]",
		"callstitch-receive[{53} {53} {5353} {5353}]", "callstitch-receive[{9093} {9094} {443} {8081}]", "callstitch-receive[{8444}]",
		"callstitch-feeds[{53} {53} {5353} {5353}]", "callstitch-feeds[{9093} {9094} {443} {8081}]", "callstitch-feeds[{8444} {8443} {443}]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestObjectsOfTheOperator has the operator's own types read them.
func TestObjectsOfTheOperator(t *testing.T) {
	documents := strings.Split(manifests(t, variants["everything"])["monitoring.yaml"], "\n---\n")
	if len(documents) != 3 {
		t.Fatalf("there are %d documents, want a PodMonitor, a PrometheusRule and a ConfigMap", len(documents))
	}
	var m monitoring.PodMonitor
	if err := yaml.UnmarshalStrict([]byte(documents[0]), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Spec.PodMetricsEndpoints) != 1 || *m.Spec.PodMetricsEndpoints[0].Port != "http" {
		t.Errorf("it scrapes %v", m.Spec.PodMetricsEndpoints)
	}
	var r monitoring.PrometheusRule
	if err := yaml.UnmarshalStrict([]byte(documents[1]), &r); err != nil {
		t.Fatal(err)
	}
	var want monitoring.PrometheusRuleSpec
	alerts := strings.ReplaceAll(read(t, "deploy/monitoring/alerts.yaml"), "runbook_url: ", "runbook_url: https://git.example/callstitch/")
	if err := yaml.UnmarshalStrict([]byte(alerts), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.Spec, want) {
		t.Errorf("the rules are not those of deploy/monitoring")
	}
	onlyRun := manifests(t, `{config: {receive: null}, monitoring: {rules: true}}`)["monitoring.yaml"]
	if strings.Contains(onlyRun, "CallstitchCallControl") || !strings.Contains(onlyRun, "CallstitchLag") {
		t.Errorf("without a front door:\n%s", onlyRun)
	}
	if _, ok := manifests(t, "")["monitoring.yaml"]; ok {
		t.Error("it is there without having been asked for: a cluster without the operator does not know it")
	}
}

// TestFilesOfTheChart holds what the chart carries with it against where it is from.
func TestFilesOfTheChart(t *testing.T) {
	for _, name := range []string{"alerts.yaml", "dashboard.json"} {
		original, copied := read(t, "deploy/monitoring/"+name), chartDir+"/files/"+name
		if *update {
			if err := os.WriteFile(filepath.Join(root, copied), []byte(original), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if read(t, copied) != original {
			t.Errorf("%s is another one than deploy/monitoring's; type: cd deploy/verify && go test . -update", copied)
		}
	}
}

// TestWrongValuesAreRefused says that a slip in the values shows before anything is applied.
func TestWrongValuesAreRefused(t *testing.T) {
	for values, want := range map[string]string{
		`{replicas: 3}`:                              "replicas",
		`{run: {replica: 3}}`:                        "replica",
		`{run: {replicas: -1}}`:                      "replicas",
		`{receive: {replicas: 0}}`:                   "replicas",
		`{config: {kafka: {brokers: [kafka]}}}`:      "brokers",
		`{config: {sources: null}}`:                  "sources",
		`{receive: {spool: {size: lots}}}`:           "size",
		`{receive: {service: {type: ExternalName}}}`: "type",
		`{volumes: [{secret: {secretName: a}}]}`:     "name",
		`{networkPolicy: {ports: ["https"]}}`:        "ports",
	} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about %s", values, err, want)
		}
	}
}

// TestNotes looks at what is said after an installation.
func TestNotes(t *testing.T) {
	const warning = "receive.spool.size is not set"
	for values, want := range map[string]bool{"": true, `{receive: {spool: {size: 12Gi}}}`: false, variants["only the processor"]: false} {
		files, err := render(t, values)
		if err != nil || strings.Contains(files["NOTES.txt"], warning) != want {
			t.Errorf("%q: %v\n%s", values, err, files["NOTES.txt"])
		}
	}
}

const (
	kubernetesPage = "docs/kubernetes.md"
	beginOfValues  = "<!-- begin values: cd deploy/verify && go test -run Values . -update -->\n"
	endOfValues    = "<!-- end values -->\n"
)

// TestValuesAreDocumented holds the page's table against the schema, and the schema against the values.
func TestValuesAreDocumented(t *testing.T) {
	var schema node
	if err := json.Unmarshal([]byte(read(t, chartDir+"/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal([]byte(read(t, chartDir+"/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	rows := schema.rows(t, "", values)
	table := "\n| value | default | is |\n|---|---|---|\n" + strings.Join(rows, "") + "\n"
	page := read(t, kubernetesPage)
	before, rest, found := strings.Cut(page, beginOfValues)
	_, after, ended := strings.Cut(rest, endOfValues)
	if !found || !ended {
		t.Fatalf("%s has no place for values", kubernetesPage)
	}
	whole := before + beginOfValues + table + endOfValues + after
	if *update {
		if err := os.WriteFile(filepath.Join(root, kubernetesPage), []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if page != whole {
		t.Errorf("the values in %s are not the schema's; type: cd deploy/verify && go test -run Values . -update", kubernetesPage)
	}
}

// node is what is read of the schema.
type node struct {
	Description string
	Properties  ordered
}

// ordered are a schema's properties in the order in which they are written.
type ordered []struct {
	name string
	node node
}

func (o *ordered) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var n node
		if err := d.Decode(&n); err != nil {
			return err
		}
		*o = append(*o, struct {
			name string
			node node
		}{name.(string), n})
	}
	return nil
}

// rows are those of the table: what has a description is a row, what has none has properties.
func (n node) rows(t *testing.T, path string, value any) (rows []string) {
	t.Helper()
	if n.Description != "" {
		text := ""
		if b, err := json.Marshal(value); err == nil && len(b) < 40 {
			text = "`" + string(b) + "`"
		} else {
			text = "see `values.yaml`"
		}
		return []string{fmt.Sprintf("| `%s` | %s | %s |\n", path, text, n.Description)}
	}
	children, _ := value.(map[string]any)
	var names []string
	for _, p := range n.Properties {
		if p.name == "global" { // every chart has it
			continue
		}
		names = append(names, p.name)
		rows = append(rows, p.node.rows(t, strings.TrimPrefix(path+"."+p.name, "."), children[p.name])...)
	}
	if want := slices.Sorted(maps.Keys(children)); !slices.Equal(sorted(names), want) {
		t.Errorf("%q: the schema has %v, values.yaml has %v", path, names, want)
	}
	return rows
}

// TestExamplesOfThePage renders the values that docs/kubernetes.md shows, and builds its
// kustomization over the manifests, as who reads it would.
func TestExamplesOfThePage(t *testing.T) {
	const ours, theirs, byHand = "# not callstitch's: values.yaml\n", "# not callstitch's: kustomization.yaml\n", "# not callstitch's: by-hand.yaml\n"
	values, overlays, pods := 0, 0, 0
	var rendered map[string]string
	for _, m := range yamlBlock.FindAllStringSubmatch(read(t, kubernetesPage), -1) {
		switch block := m[1]; {
		case strings.HasPrefix(block, ours):
			values++
			rendered = manifests(t, block)
		case strings.HasPrefix(block, theirs):
			overlays++
			overlay(t, block)
		case strings.HasPrefix(block, byHand):
			pods++
			podByHand(t, block, rendered["run.yaml"])
		default:
			t.Errorf("nothing reads this block:\n%s", block)
		}
	}
	if values == 0 || overlays == 0 || pods == 0 {
		t.Errorf("the page has %d examples of values, %d of kustomizations, and %d of pods", values, overlays, pods)
	}
}

// podByHand holds a pod for commands against those of the processor: it has its image and
// configuration, may connect to what those may, and asks for no more rights.
func podByHand(t *testing.T, block, run string) {
	t.Helper()
	var pod core.Pod
	if err := yaml.UnmarshalStrict([]byte(block), &pod); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, map[string]string{"run.yaml": run}) {
		if o.Kind != "StatefulSet" {
			continue
		}
		want, got := o.Spec.Template.Spec, pod.Spec
		want.Containers[0].Args, want.Containers[0].Env, want.Containers[0].Ports = got.Containers[0].Args, nil, nil
		want.Containers[0].LivenessProbe, want.Containers[0].ReadinessProbe = nil, nil
		want.Containers[0].Resources = got.Containers[0].Resources
		want.TopologySpreadConstraints, want.TerminationGracePeriodSeconds, want.EnableServiceLinks = nil, nil, got.EnableServiceLinks
		want.ServiceAccountName, want.RestartPolicy = "", core.RestartPolicyNever
		if want, got := text(t, want), text(t, got); want != got {
			t.Errorf("it is\n%s\nwant\n%s", got, want)
		}
		if !maps.Equal(o.Spec.Template.Labels, pod.Labels) { // by which the policy knows it
			t.Errorf("it has the labels %v, want %v", pod.Labels, o.Spec.Template.Labels)
		}
		return
	}
	t.Error("no values before it have a processor")
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// overlay builds a kustomization over the manifests, with a callstitch.yaml beside it.
func overlay(t *testing.T, kustomization string) {
	t.Helper()
	files := filesys.MakeFsInMemory()
	put := func(name, text string) {
		if err := files.WriteFile(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	put("/calls/kustomization.yaml", kustomization)
	put("/calls/callstitch.yaml", "application_id: theirs\n")
	for name, text := range manifests(t, "") {
		put("/calls/callstitch/deploy/kubernetes/manifests/"+name, text)
	}
	put("/calls/callstitch/deploy/kubernetes/manifests/kustomization.yaml", read(t, manifestsDir+"/kustomization.yaml"))
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/calls")
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	run(t, nil, filepath.Join(python(t), "kubernetes-validate"), append([]string{"--strict", "-k", newest}, written(t, map[string]string{"all.yaml": string(text)})...)...)
	for _, want := range []string{"application_id: theirs", "image: registry.example/callstitch:1.2.3", "replicas: 5", "namespace: calls", "memory: 8Gi"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it has no %q:\n%s", want, text)
		}
	}
}
