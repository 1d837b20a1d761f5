# make alone lists the targets. What a target fetches lies under .tools and .hdfs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
TAGS     := nomsgpack
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION)
DATA     ?= ./data
PKGS     ?= ./...
FUZZTIME ?= 20s
TIMEOUT  ?= 20m
SOAKTIME ?= 1h

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# DuckDB is C++. Where there is a C compiler alone, the run-time half of its
# library is there all the same, and enough to link with.
CC := $(shell $(GO) env CC 2>/dev/null)
ifeq ($(shell $(CC) -print-file-name=libstdc++.so 2>/dev/null),libstdc++.so)
STDCXX := $(filter /%,$(shell $(CC) -print-file-name=libstdc++.so.6 2>/dev/null))
ifneq ($(STDCXX),)
$(shell mkdir -p .tools/lib && ln -sf '$(STDCXX)' .tools/lib/libstdc++.so)
export CGO_LDFLAGS := -O2 -g '-L$(CURDIR)/.tools/lib'
endif
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/akupara (everything, cgo) and bin/agentd (the agent alone, static)
	CGO_ENABLED=1 $(GO) build -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/akupara ./cmd/akupara
	CGO_ENABLED=0 $(GO) build -tags $(TAGS) -ldflags '-s -w $(LDFLAGS)' -o bin/agentd ./cmd/agentd

.PHONY: run
run: build ## build, then collect and query this machine's own logs: akupara up, data in ./data
	@exec bin/akupara up --data '$(DATA)'

# Real HDFS and independent readers, where Java, Maven and Python are there.
# What is missing is said loudly; with CI set it fails instead.
define optional
@rc=0; $(1) || rc=$$?; \
if [ $$rc -eq 3 ] && [ -z "$${CI:-}" ]; then \
	printf '\n**** SKIPPED: %s: the lines above say what is missing ****\n\n' '$(2)' >&2; \
elif [ $$rc -ne 0 ]; then exit $$rc; fi
endef

.PHONY: test
test: ## all tests with the race detector, on real HDFS and with independent readers
	$(call optional,deploy/hadoop/hdfs.sh start,tests on real HDFS)
	$(call optional,deploy/hadoop/yarn.sh start,tests on real YARN)
	$(call optional,deploy/hadoop/readers.sh,tests by independent readers)
	@$(GO) build -o .tools/testsum ./.ci/testsum
	$(GO) test -race -tags $(TAGS) -timeout $(TIMEOUT) -json $(PKGS) | .tools/testsum

.PHONY: race
race: ## the tests of PKGS alone with the race detector: make race PKGS=./config
	$(GO) test -race -tags $(TAGS) -timeout $(TIMEOUT) $(PKGS)

.PHONY: lint
lint: .tools/bin/golangci-lint ## gofmt, vet, staticcheck, import rules
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'not formatted:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet -tags $(TAGS) ./...
	.tools/bin/golangci-lint run --build-tags $(TAGS) ./...

.tools/bin/golangci-lint:
	GOBIN='$(CURDIR)/.tools/bin' $(GO) install $(GOLANGCI)

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (20s)
	@grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | xargs -r -n1 dirname | sort -u | while read -r dir; do \
		grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go | cut -d' ' -f2 | while read -r target; do \
			echo "== $$dir $$target"; \
			$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$dir" </dev/null; \
		done; \
	done

.PHONY: bench
bench: build .tools/otelcol .tools/peers/.complete ## the benchmarks, each beside its peer in the same run
	CGO_ENABLED=1 $(GO) build -tags $(TAGS) -o bin/byhand ./bench/byhand
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchtime 1x -timeout 60m ./bench/...
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchtime 96x ./demux/table
	AKUPARA_MINUTES=10000 AKUPARA_TYPES=5 $(GO) test -tags $(TAGS) -run ManyMinutes -v -timeout 60m ./demux
	$(GO) test -tags $(TAGS) -run '^$$' -bench 'Patterns$$' -benchtime 1x ./demux/parse

.tools/peers/.complete: bench/peers.txt deploy/hadoop/readers.txt
	python3 -m venv --clear .tools/peers
	.tools/peers/bin/pip install -q --disable-pip-version-check -r bench/peers.txt $(shell grep -E '^(duckdb|pyspark|pyarrow)=' deploy/hadoop/readers.txt)
	touch $@

.tools/otelcol: bench/otel/go.mod bench/otel/main.go
	cd bench/otel && CGO_ENABLED=0 $(GO) build -o ../../$@ .

.PHONY: apptest
apptest: build ## the black-box tests: built binaries, killed while they work
	$(call optional,deploy/hadoop/hdfs.sh start,tests on real HDFS)
	$(call optional,deploy/hadoop/readers.sh,tests by independent readers)
	$(GO) test -tags $(TAGS) -count 1 -timeout 30m -v ./apptest/...

.PHONY: soak
soak: build ## the long forms of the black-box tests, for SOAKTIME (1h) each
	deploy/hadoop/hdfs.sh start
	deploy/hadoop/readers.sh
	AKUPARA_SOAK=$(SOAKTIME) $(GO) test -tags $(TAGS) -count 1 -timeout 0 -v ./apptest/...

.PHONY: hdfs
hdfs: ## install and start a real HDFS on loopback: one NameNode, three DataNodes
	deploy/hadoop/hdfs.sh start

.PHONY: hdfs-stop
hdfs-stop: ## stop that HDFS, and the YARN on it
	deploy/hadoop/yarn.sh stop
	deploy/hadoop/hdfs.sh stop

.PHONY: yarn
yarn: hdfs ## install and start a real YARN on that HDFS
	deploy/hadoop/yarn.sh start

.PHONY: readers
readers: ## install the independent readers: PyIceberg, fastavro, DuckDB, Spark
	deploy/hadoop/readers.sh

.PHONY: clean
clean: ## remove what was built; data, HDFS and tools stay
	rm -rf bin
	$(GO) clean -testcache
