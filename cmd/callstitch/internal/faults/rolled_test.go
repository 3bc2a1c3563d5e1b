package faults

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// bound is how long a rolling update may keep a reader waiting: no more than a session's
// time-out, after which instances that were killed are given up.
const bound = 15 * time.Second

// probe is one of a manifest.
type probe struct {
	HTTPGet struct {
		Path string `yaml:"path"`
	} `yaml:"httpGet"`
	PeriodSeconds  int `yaml:"periodSeconds"`
	TimeoutSeconds int `yaml:"timeoutSeconds"`
}

func (p *probe) period() time.Duration { return time.Duration(p.PeriodSeconds) * time.Second }

// statefulSet is what a rolling update goes by.
type statefulSet struct {
	Kind string `yaml:"kind"`
	Spec struct {
		Replicas int `yaml:"replicas"`
		Template struct {
			Spec struct {
				GraceSeconds int `yaml:"terminationGracePeriodSeconds"`
				Containers   []struct {
					Liveness  probe `yaml:"livenessProbe"`
					Readiness probe `yaml:"readinessProbe"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// shipped is the processor's StatefulSet, as deploy/kubernetes has it.
func shipped(t *testing.T) *statefulSet {
	t.Helper()
	text, err := os.ReadFile("../../../../deploy/kubernetes/manifests/run.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var s statefulSet
		if err := yaml.Unmarshal(document, &s); err != nil {
			t.Fatal(err)
		}
		if s.Kind == "StatefulSet" {
			return &s
		}
	}
	t.Fatal("run.yaml has no StatefulSet")
	return nil
}

// passes reports whether the instance passes a probe, as the kubelet asks.
func (in *instance) passes(p *probe) bool {
	return in.answers(strings.TrimPrefix(p.HTTPGet.Path, "/"), time.Duration(p.TimeoutSeconds)*time.Second)
}

// TestRollingUpdate replaces three instances under traffic as Kubernetes does by the manifest
// that we ship: from the last one on, each is told to end and has the manifest's grace for it;
// when the next process of its name passes the readiness probe the one before it follows. No
// session is wrong, everybody passes the liveness probe, and no reader waits for long.
func TestRollingUpdate(t *testing.T) {
	manifest := shipped(t)
	pod := &manifest.Spec.Template.Spec
	grace, probes := time.Duration(pod.GraceSeconds)*time.Second, &pod.Containers[0]

	p := newProgram(t)
	const parts = 12
	traffic := newTraffic(t, p, fault{tenants: 3, parts: parts})
	a := newApplication(t, p, traffic, "rolled-1")
	a.begin(manifest.Spec.Replicas)

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range parts {
			if err := traffic.send(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}()
	begun := time.Now()
	for i := len(a.instances) - 1; i >= 0; i-- {
		in := a.instances[i]
		told := time.Now()
		in.signal(syscall.SIGTERM)
		select {
		case <-in.ended:
			if in.err != nil {
				t.Errorf("%s ended with %v", in.name, in.err)
			}
		case <-time.After(grace):
			t.Fatalf("%s did not end within its grace of %v, and would be killed", in.name, grace)
		}
		ended := time.Now()
		in.start()
		for ; !in.passes(&probes.Readiness); time.Sleep(probes.Readiness.period()) {
			if time.Since(ended) > patience {
				t.Fatalf("%s is not ready after %v", in.name, patience)
			}
		}
		t.Logf("%s: ended after %v, ready after %v more", in.name, ended.Sub(told).Round(time.Millisecond), time.Since(ended).Round(time.Millisecond))
		for _, other := range a.instances {
			if !other.passes(&probes.Liveness) {
				t.Errorf("%s does not pass the liveness probe", other.name)
			}
		}
	}
	rolled := time.Now()
	<-sent
	pause := a.sessions.longestPause(begun, rolled)
	t.Logf("three instances were replaced in %v, and a reader of sessions waited for %v at most", rolled.Sub(begun).Round(time.Millisecond), pause.Round(time.Millisecond))
	if pause > bound {
		t.Errorf("a reader of sessions waited for %v, want at most %v", pause, bound)
	}
	a.end()
}
