# Bare `make` prints this list.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c

GO    ?= go
TOOL  := $(GO) tool -modfile=tools/go.mod
LOCAL := $(GO) run ./deploy/localkafka/cmd/localkafka

# FUZZTIME is how long `make fuzz` spends on each target.
FUZZTIME ?= 30s
# TESTFLAGS go to the tests; CI says -count=1, so that nothing comes from a cache.
TESTFLAGS ?=
# CONTROLS are the tests that take away rules of the protocol: the faults are planted
# behind a build tag, so that no program has them.
CONTROLS = $(shell grep -l '^//go:build controls' topology/*_test.go processor/stitch/*_test.go | xargs sed -n 's/^func \(Test[A-Za-z]*\).*/^\1$$/p' | paste -sd'|')
# VIRTUAL are the tests of topology/kafka that run in virtual time: franz-go's locks
# count as waiting there only with its own build tag, so they are built with it.
VIRTUAL = $(shell cd topology/kafka && grep -l '^//go:build synctests' *_test.go | xargs sed -n 's/^func \(Test[A-Za-z]*\).*/^\1$$/p' | paste -sd'|')
# STORMS are the tests of topology/kafka that take brokers of their own, and minutes.
STORMS = $(shell cd topology/kafka && grep -l '^//go:build storms' *_test.go | xargs sed -n 's/^func \(Test[A-Za-z]*\).*/^\1$$/p' | paste -sd'|')
# PACKAGES are the tests of deploy/verify that install what is released, as root.
PACKAGES = $(shell cd deploy/verify && grep -l '^//go:build packages' *_test.go | xargs sed -n 's/^func \(Test[A-Za-z]*\).*/^\1$$/p' | paste -sd'|')
# ARGS go to the program that a verb runs: make kafka ARGS=-brokers=3
ARGS ?=

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## the program, static: bin/callstitch
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/callstitch ./cmd/callstitch

.PHONY: release
release: ## what is published of a version, into dist: docs/releasing.md
	cd deploy/release && $(GO) run . $(ARGS)

# The whole module comes last, so that the last lines are its tests', and of it first
# topology/kafka, which takes longest and mostly waits: everything else goes on beside it.
# What tests need is fetched first: where it cannot be, this is said before them, not by them.
.PHONY: test
test: lint ## everything: lint, then all tests, Apache Kafka included (needs Java 17, Maven, Python with venv, kcat, nginx, Prometheus)
	$(LOCAL) -fetch
	$(GO) test -count=1 -run '^TestTools$$' ./deploy/analytics ./deploy/monitoring
	cd deploy/release && $(GO) test $(TESTFLAGS) ./...
	cd deploy/verify && $(GO) test -timeout 20m $(TESTFLAGS) ./...
	$(GO) test -tags controls -run "$(CONTROLS)" $(TESTFLAGS) ./topology ./processor/stitch
	$(GO) test -tags synctests -run "$(VIRTUAL)" $(TESTFLAGS) ./topology/kafka
	$(GO) test -timeout 30m $(TESTFLAGS) ./topology/kafka ./...

.PHONY: packages
packages: ## a release's deb, rpm and image installed, run, replaced and removed, on an overlay over this machine (needs root, dpkg, rpm, skopeo, systemd's tools)
	cd deploy/verify && $(GO) test -count=1 -tags packages -run "$(PACKAGES)" -timeout 20m .

.PHONY: race
race: ## all tests under the race detector
	$(GO) test -race -timeout 40m $(TESTFLAGS) ./...

.PHONY: faults
faults: ## instances killed, frozen, started and stopped under 5,000 calls on Apache Kafka
	$(GO) test -count=1 -v -run '^TestFaults$$' -parallel 1 -timeout 30m ./cmd/callstitch/internal/faults -calls 5000 -kills 20 $(ARGS)

.PHONY: storms
storms: ## brokers that restart, forget, pause and take rights away, under traffic; seven minutes
	$(GO) test -count=1 -v -tags storms -run "$(STORMS)" -parallel 6 -timeout 30m $(TESTFLAGS) ./topology/kafka $(ARGS)

.PHONY: lint
lint: ## formatting, vet, staticcheck
	@unformatted=$$($(TOOL) gofumpt -l .); \
	test -z "$$unformatted" || { echo "not formatted; type: make fmt"; echo "$$unformatted"; exit 1; }
	$(GO) vet -tags controls,synctests,storms ./...
	$(TOOL) staticcheck ./...
	@staticcheck=$$($(TOOL) -n staticcheck); \
	for module in deploy/release deploy/verify; do \
		(cd $$module && echo "$$module: go vet, staticcheck" && $(GO) vet -tags packages ./... && $$staticcheck -tags packages ./...); \
	done

.PHONY: fmt
fmt: ## format the code
	$(TOOL) gofumpt -w .

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s)
	@for package in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

# Keep a run as bench/old.txt to have the next one compared with it.
.PHONY: bench
bench: ## benchmarks into bench/new.txt, compared with bench/old.txt if there is one
	@mkdir -p bench
	$(GO) test -run '^$$' -bench . -skip '^Benchmark(Kafka|Curve|Receive)$$' -benchmem -count 6 ./... | tee bench/new.txt
	@if [ -f bench/old.txt ]; then $(TOOL) benchstat bench/old.txt bench/new.txt; fi

.PHONY: demo
demo: ## everything in one process, nothing to install
	$(GO) run ./cmd/callstitch demo $(ARGS)

.PHONY: kafka
kafka: ## Apache Kafka and a schema registry on this machine, until Ctrl-C
	$(LOCAL) $(ARGS)

.PHONY: bench-kafka
bench-kafka: ## callstitch beside a two-hop pass-through on one Apache Kafka; prints Markdown
	$(GO) test -run '^$$' -bench '^BenchmarkKafka$$' -benchtime 1x -timeout 60m ./topology/kafka $(ARGS)

.PHONY: bench-receive
bench-receive: ## posts to the front door beside a bare producer on one Apache Kafka
	$(GO) test -run '^$$' -bench '^BenchmarkReceive$$' -benchtime 40000x -timeout 60m ./cmd/callstitch/internal/faults $(ARGS)

.PHONY: bench-curve
bench-curve: ## how the cost of an event grows, in memory, with ten million legs held at last; prints Markdown
	$(GO) test -run '^$$' -bench '^BenchmarkCurve$$' -benchtime 1x -timeout 60m ./topology/memory $(ARGS)

.PHONY: bench-restore
bench-restore: ## restores of a million legs, and of ten million
	$(GO) test -run '^$$' -bench '^BenchmarkRestore$$' -benchtime 3x -timeout 60m ./topology/kafka
	$(GO) test -run '^$$' -bench '^BenchmarkRestore$$' -benchtime 1x -timeout 60m ./topology/kafka -legs 10000000
