# Everything that the targets need is brought by them and kept outside the tree. "make help" groups them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export CGO_ENABLED := 0

FLINK   ?= 2.2
BIN     := bin/flink-entrypoint
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -buildid= -X flink-entrypoint/internal/cli.release=$(VERSION) -X flink-entrypoint/internal/cli.commit=$(COMMIT)
PLATFORM_LDFLAGS := -s -w -buildid= -X flink-entrypoint/internal/platform/cli.release=$(VERSION)
# Packages off the hot path are compiled for size.
GCFLAGS := $(addprefix -gcflags=,$(shell cat test/budget/gcflags.txt))
GOBUILD := go build -trimpath -buildvcs=false $(GCFLAGS) -ldflags '$(LDFLAGS)'

MAIN_VERSIONS := 1.20.5 2.2.1
ALL_VERSIONS  := $(patsubst test/flinkhome/requirements/%.txt,%,$(sort $(wildcard test/flinkhome/requirements/[0-9]*.txt)))
# All build tags of the suites, see test/README.md.
TAGS := flink vm load container hive ha deploy kubelet kubernetes platform browser metrics
# What go test gets for suites that run the program.
WITH_BINARY := FLINK_ENTRYPOINT_BINARY=$(CURDIR)/$(BIN)

.PHONY: help
help: ## show the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z][a-z0-9-]*:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ For everybody
.PHONY: run
run: need-go need-java need-pip build ## run the example job on a real Flink (FLINK=1.20 for another version)
	@home=$$(go run ./test/flinkhome $(FLINK)); go build -o bin/demo ./test/demo; exec bin/demo -binary $(BIN) -home "$$home"

.PHONY: platform
platform: need-go need-java need-pip build build-platform ## run the platform with an example job, until Ctrl-C (ONCE=1: until the job's end)
	@home=$$(go run ./test/flinkhome $(FLINK)); go build -o bin/demo-platform ./test/demo/platform; exec bin/demo-platform -home "$$home" $(if $(ONCE),-once)

# A stage that fails does not keep the others from being run: one run tells all that is wrong, and what each stage took. $(1): the stages, $(2): the folder
# where those that passed are written down and are then not repeated, or nothing.
define run-stages
@report= failed= passed="$(2)"; [ -z "$$passed" ] || mkdir -p "$$passed"; for stage in $(1); do began=$$SECONDS; result=ok; took=; \
  if [ -n "$$passed" ] && [ -e "$$passed/$$stage" ]; then IFS=$$'\t' read -r took result <"$$passed/$$stage"; \
  elif $(MAKE) --no-print-directory -k $$stage; then \
    [ -z "$$passed" ] || printf '%s\tok, at %s\n' $$((SECONDS - began)) "$$(date -u '+%F %R')" >"$$passed/$$stage"; \
  else result=FAILED; failed+=" $$stage"; fi; \
  report+=$$(printf '\n%-22s %5d s  %s' $$stage $${took:-$$((SECONDS - began))} "$$result"); \
done; echo "$$report"; [ -z "$$failed" ] || { echo "error: these stages have failed:$$failed"; echo "hint: repeat one by: make STAGE"; exit 1; }
endef

TEST_STAGES := lint test-unit test-bundle test-deploy test-flink test-vm test-containers-quick test-platform-quick test-browser test-metrics-quick
.PHONY: test
test: need-go need-java need-pip need-podman need-mvn need-npm need-chromium need-curl ## all tests on the main versions of Flink
	$(call run-stages,$(TEST_STAGES))

.PHONY: build
build: need-go ## build bin/flink-entrypoint for this machine
	@$(GOBUILD) -o $(BIN) ./cmd/flink-entrypoint

.PHONY: build-platform
build-platform: need-go ## build bin/flink-platform for this machine
	@go build -trimpath -buildvcs=false -ldflags '$(PLATFORM_LDFLAGS)' -o bin/flink-platform ./cmd/flink-platform

.PHONY: clean
clean: ## remove what was built (not what was brought)
	rm -rf bin dist

##@ For a change: single suites (test/README.md says what each proves)
# Once, with all tags: then no file is left out, as none asks for a tag's absence.
.PHONY: lint format vet staticcheck
lint: format vet staticcheck ## gofmt, go vet, staticcheck

format: need-go
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	@! git grep -nE '^//go:build.*!' -- '*.go' || { echo "error: with all tags, lint would not see these files"; exit 1; }

vet: need-go
	go vet -tags '$(TAGS)' ./...

staticcheck: need-go
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -checks inherit,-ST1005 -tags '$(TAGS)' ./...

.PHONY: test-short
test-short: need-go ## half a minute: what a change is likely to break
	go test -short ./...

.PHONY: test-unit
test-unit: need-go ## tests that need only Go
	go test ./...

# The rooms where a start is put together, and the least part of each, in percent, that its own tests and the scripts execute.
COVERED  := $(wildcard internal/boot internal/cli internal/localrun)
COVERAGE := 80
# atomic: only those counters can be written before exec
COVERAGE_FLAGS = -cover -covermode=atomic -coverpkg=$$(echo $(COVERED:%=./%) $(1) | tr ' ' ,)
.PHONY: coverage
coverage: need-go ## how much of the start and the command line their tests and the scripts execute; fails below 80 %
	rm -rf bin/coverage && mkdir -p bin/coverage/data
	go build $(call COVERAGE_FLAGS,./test/coverage/program) -o bin/coverage/flink-entrypoint ./test/coverage/program
	FLINK_ENTRYPOINT_BINARY=$(CURDIR)/bin/coverage/flink-entrypoint GOCOVERDIR=$(CURDIR)/bin/coverage/data go test -count 1 ./cmd/flink-entrypoint ./test/service
	go test -count 1 $(COVERAGE_FLAGS) $(COVERED:%=./%) -args -test.gocoverdir=$(CURDIR)/bin/coverage/data
	@go tool covdata textfmt -i bin/coverage/data -o bin/coverage/profile
	@go tool covdata percent -i bin/coverage/data | awk '/internal/ { print; n++; if ($$3 + 0 < $(COVERAGE)) low = 1 } \
	  END { if (n != $(words $(COVERED)) || low) { print "error: less than $(COVERAGE) %"; print "hint: go tool cover -html bin/coverage/profile"; exit 1 } }'

# The editor, comparisons and drawings of the pages. Its packages are in package-lock.json; what is made of them is committed, so that go build needs no npm.
BUNDLE := internal/platform/web/bundle
.PHONY: bundle test-bundle
bundle: need-npm ## build internal/platform/web/assets/editor.js from its sources and npm packages
	cd $(BUNDLE) && npm ci --silent && node build.mjs

test-bundle: need-npm ## the tests of the pages' JavaScript, and whether editor.js is what its sources make
	cd $(BUNDLE) && npm ci --silent && { failed=0; node --test test/*.test.js || failed=1; node build.mjs --check || failed=1; exit $$failed; }

# One seed for the random comparisons here, so that a commit's result is the same each time; test-full takes new ones.
SEED ?= 1
# The packages with tests against Flink; their other tests are short here, test-unit has the whole of them.
FLINK_PACKAGES = $(sort $(addprefix ./,$(dir $(shell git grep -l '^//go:build.*flink' -- '*_test.go'))))
.PHONY: test-flink
test-flink: need-go need-java need-pip need-mvn build ## against real Flink, on the main versions
	go run ./test/flinkhome 1.15.4 $(MAIN_VERSIONS) >/dev/null
	FLINK_VERSIONS="$(MAIN_VERSIONS)" FLINK_SCENARIOS=30 FLINK_SEED=$(SEED) $(WITH_BINARY) go test -tags flink -short -p 1 -count 1 -timeout 60m $(FLINK_PACKAGES)

.PHONY: test-deploy
test-deploy: need-go need-pip need-mvn ## the Kubernetes manifests and Helm charts: built, held against schemas and against the code
	failed=0; go test -tags deploy -count 1 -timeout 20m ./test/deploy || failed=1; \
	  go test -tags deploy -count 1 -timeout 15m -run TestKustomize ./internal/platform/cluster/kubernetes || failed=1; exit $$failed

.PHONY: test-vm
test-vm: need-go build ## limits under a real cgroup v2 kernel (qemu and a Debian kernel, brought by apt)
	$(WITH_BINARY) go test -tags vm -count 1 -timeout 15m ./test/vm

.PHONY: test-containers
test-containers: need-go need-podman build-all build-platform-all ## the images in real containers
	go run ./test/flinkhome $(MAIN_VERSIONS) >/dev/null
	FLINK_VERSIONS="$(MAIN_VERSIONS)" go test -tags container -count 1 -timeout 60m ./test/container
	FLINK_VERSIONS="$(MAIN_VERSIONS)" go test -tags container -count 1 -timeout 60m ./test/deploy

# What takes little of it, on one version: the images, what happens before a JVM, a locked-down cluster.
QUICK_CONTAINERS := TestImages|TestSweep|TestBeforeTheStart|TestSignalsBeforeExec|TestLockedDown
.PHONY: test-containers-quick
test-containers-quick: need-go need-podman build ## the quickest of test-containers
	cp $(BIN) bin/flink-entrypoint-linux-$$(go env GOARCH)
	go run ./test/flinkhome $(lastword $(MAIN_VERSIONS)) >/dev/null
	FLINK_VERSIONS="$(lastword $(MAIN_VERSIONS))" go test -tags container -count 1 -timeout 30m -run '^($(QUICK_CONTAINERS))$$' ./test/container

# The oldest that has the runner, the main ones, and the newest, where job-result-store.delete-on-commit is deprecated.
HA_VERSIONS ?= 1.15.4 $(MAIN_VERSIONS) 2.3.0
.PHONY: test-ha
test-ha: need-go need-java need-pip need-curl build ## leaders killed, standbys, reactive mode: real clusters on Flink's own ZooKeeper
	go run ./test/flinkhome $(HA_VERSIONS) >/dev/null
	FLINK_VERSIONS="$(HA_VERSIONS)" $(WITH_BINARY) go test -tags ha -count 1 -timeout 90m ./test/ha

.PHONY: test-hive
test-hive: need-go need-java need-pip need-mvn build ## SQL on a real Hive metastore (Flink 1.20; jars by mvn)
	go run ./test/flinkhome 1.20.5 >/dev/null
	$(WITH_BINARY) go test -tags hive -count 1 -timeout 20m ./test/hive

.PHONY: test-load
test-load: need-go ## a thousand clients meet a definition service that comes back
	go test -tags load -count 1 -timeout 15m ./test/herd

# Kubernetes is built first, which takes fifteen minutes of CPU and 3 GB in Go's caches.
.PHONY: test-kubelet
test-kubelet: need-go need-java need-pip need-podman build ## pods of deploy/ and Flink's native mode on a real Kubernetes of one node, built from its modules (Debian, root)
	cp $(BIN) bin/flink-entrypoint-linux-$$(go env GOARCH)
	go run ./test/flinkhome $(MAIN_VERSIONS) >/dev/null
	go test -tags kubelet -count 1 -timeout 120m -v ./test/kubelet

# API server and controllers are built first, as for test-kubelet.
.PHONY: test-kubernetes
test-kubernetes: need-go ## the platform's clusters, its server, and the Helm charts, on a real API server and its controllers, without nodes (Debian)
	go test -tags kubernetes -p 1 -count 1 -timeout 60m ./internal/platform/cluster/kubernetes ./test/deploy
	go test -tags kubernetes -count 1 -timeout 10m -run '^TestOnKubernetes$$' ./internal/platform/server

# How often the platform is killed at its own places, and at system calls, no two of which are alike; FLINK_SEED chooses.
KILLS      ?= 300
CALL_KILLS ?= 300
# Jobs and faults of three servers on one PostgreSQL.
REPLICA_JOBS   ?= 10000
REPLICA_FAULTS ?= 250
# What a failure is explained by is kept in bin/replicas: logs of the servers, faults with their times, tables.
REPLICAS = go test -tags platform -count 1 -timeout 60m -run '^(TestReplicasInTrouble|TestOlderReplicas)$$' -v -artifacts -outputdir bin/replicas ./test/platform/scale
.PHONY: test-platform
test-platform: need-go need-java need-pip need-curl ## the platform: killed anywhere, three servers on PostgreSQL, with simulated clusters and on real Flink; JobManagers killed, frozen, cut off; leaders
	go run ./test/flinkhome $(MAIN_VERSIONS) >/dev/null
	FLINK_VERSIONS="$(MAIN_VERSIONS)" KILLS=$(KILLS) CALL_KILLS=$(CALL_KILLS) go test -tags platform -parallel 8 -count 1 -timeout 120m ./test/platform
	mkdir -p bin/replicas; REPLICA_JOBS=$(REPLICA_JOBS) REPLICA_FAULTS=$(REPLICA_FAULTS) $(REPLICAS)

.PHONY: test-platform-quick
test-platform-quick: need-go need-java need-pip need-curl ## 40 kills of the platform and 40 at its system calls, servers of two versions on one PostgreSQL, three of one version in trouble, its page, and its jobs on one version of Flink
	go run ./test/flinkhome $(lastword $(MAIN_VERSIONS)) >/dev/null
	failed=0; FLINK_VERSIONS="$(lastword $(MAIN_VERSIONS))" KILLS=40 CALL_KILLS=40 FLINK_SEED=$(SEED) go test -tags platform -parallel 8 -count 1 -timeout 20m -run '^(TestKilled|TestKilledAtCalls|TestPage|TestRealJobs)$$' ./test/platform || failed=1; \
	  REPLICA_JOBS=40 REPLICA_FAULTS=14 FLINK_SEED=$(SEED) go test -tags platform -count 1 -timeout 10m -run '^(TestReplicasInTrouble|TestOlderReplicas)$$' ./test/platform/scale || failed=1; exit $$failed

# Of a page where something fails, a picture is kept in bin/browser. Its axe-core is a package of the pages.
BROWSER = cd $(BUNDLE) && npm ci --silent && cd - >/dev/null && go run ./test/flinkhome 2.2.1 >/dev/null && mkdir -p bin/browser && \
  $(WITH_BINARY) go test -tags browser -count 1 -timeout 30m -artifacts -outputdir bin/browser ./test/browser
.PHONY: test-browser
test-browser: need-go need-java need-pip need-npm need-chromium build ## what a new developer does on the platform's pages, in a headless chromium, on real Flink; accessibility; hostile texts
	$(BROWSER)

# Prometheus, promtool, Alertmanager and Pushgateway are built first, which takes a quarter of an hour of CPU and 2 GB in Go's caches.
METRICS_VERSIONS ?= 1.18.1 $(MAIN_VERSIONS)
.PHONY: test-metrics test-metrics-quick
test-metrics: need-go need-java need-pip need-mvn build ## metrics of real jobs in a real Prometheus: endpoints, OTLP, dashboards, rules; alerts in a real Alertmanager
	go run ./test/metrics/tools alertmanager prometheus promtool pushgateway >/dev/null
	go run ./test/flinkhome $(METRICS_VERSIONS) >/dev/null
	FLINK_VERSIONS="$(METRICS_VERSIONS)" $(WITH_BINARY) go test -tags metrics -count 1 -timeout 90m ./test/metrics

test-metrics-quick: need-go need-java need-pip build ## the endpoints of a job, and OTLP, on one version
	go run ./test/flinkhome $(lastword $(MAIN_VERSIONS)) >/dev/null
	FLINK_VERSIONS="$(lastword $(MAIN_VERSIONS))" $(WITH_BINARY) go test -tags metrics -count 1 -timeout 20m -run '^(TestEndpoint|TestOnePort|TestOTLP)$$' ./test/metrics

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: need-go ## every fuzz target for FUZZTIME each
	@grep -rl --include='*_test.go' '^func Fuzz' internal | while read -r file; do \
	  sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' "$$file" | while read -r target; do \
	    echo "go test -fuzz $$target ./$$(dirname "$$file")"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" || exit 1; \
	  done || exit 1; \
	done

# Of one commit, what passed is not repeated: a run of hours that was interrupted, or in which a stage failed, goes on where it was. AGAIN=1 begins anew.
FULL_STAGES := lint test-unit test-bundle test-deploy test-vm test-load test-hive test-ha test-containers test-kubelet test-kubernetes test-platform test-browser test-metrics fuzz $(ALL_VERSIONS:%=test-flink-%)
FULL_PASSED = $(if $(AGAIN)$(shell git status --porcelain),,$${XDG_CACHE_HOME:-$$HOME/.cache}/flink-entrypoint/passed/$(shell git rev-parse HEAD))
.PHONY: test-full
test-full: export METRICS_VERSIONS := $(ALL_VERSIONS)
test-full: need-go need-java need-pip need-podman need-mvn need-npm need-chromium need-curl ## every suite there is, on all versions of Flink (hours; the same command goes on after an interruption)
	$(call run-stages,$(FULL_STAGES),$(FULL_PASSED))

.PHONY: $(ALL_VERSIONS:%=test-flink-%)
$(ALL_VERSIONS:%=test-flink-%): test-flink-%: need-go need-java need-pip need-mvn build
	go run ./test/flinkhome 1.15.4 $* >/dev/null
	FLINK_VERSIONS="$*" FLINK_CASES=2000 FLINK_SCENARIOS=100 $(WITH_BINARY) go test -tags flink -p 1 -count 1 -timeout 180m $(FLINK_PACKAGES)

##@ For numbers and pictures
.PHONY: bench bench-jvm bench-growth bench-platform
bench: need-go need-java need-pip build ## measure the start beside the official way
	go run ./test/flinkhome 1.18.1 1.20.5 2.2.1 >/dev/null
	go run ./test/bench -binary $(BIN)
bench-jvm: need-go need-java need-pip build ## the same, real clusters until the job runs, and Flink's native Kubernetes mode
	go run ./test/flinkhome 1.18.1 1.20.5 2.2.1 >/dev/null
	go run ./test/bench -binary $(BIN) -jvm -native
bench-growth: need-go ## what a key, a catalog, a line of SQL, a MiB costs, from small inputs to huge ones
	go run ./test/growth/table ./internal/cgroup ./internal/confpatch ./internal/jobdef ./internal/catalog ./internal/sqltext ./internal/sqlrunner ./internal/mock ./internal/fetch ./internal/boot

# More or other numbers: CLUSTERS='1000 20000'.
CLUSTERS ?= 100 1000 10000
STORE    ?= sqlite
bench-platform: need-go ## the platform with 100, 1,000 and 10,000 simulated clusters, until each end is known (quarter of an hour; STORE=postgres)
	go run ./test/platform/scale -clusters '$(CLUSTERS)' -store $(STORE)

.PHONY: pictures
pictures: need-go need-java need-pip need-npm need-chromium build ## make the pictures of docs/images again, with a headless chromium
	$(BROWSER) -args -pictures $(CURDIR)/docs/images
	home=$$(go run ./test/flinkhome 2.2.1) && go run ./test/docs/pictures -binary $(BIN) -home "$$home"

# The pictures show three minutes of real jobs.
.PHONY: pictures-dashboards
pictures-dashboards: need-go need-java need-pip need-mvn need-npm need-chromium build ## make the pictures of the dashboards again, from real jobs in a real Prometheus
	cd $(BUNDLE) && npm ci --silent
	go run ./test/metrics/tools alertmanager prometheus >/dev/null
	go run ./test/flinkhome 2.2.1 >/dev/null
	FLINK_VERSIONS=2.2.1 $(WITH_BINARY) go test -tags metrics -count 1 -timeout 30m -run '^TestAllBoards$$' ./test/metrics -args -pictures $(CURDIR)/docs/images

##@ For a release
.PHONY: build-all
build-all: need-go ## build for linux/amd64 and linux/arm64
	@for arch in amd64 arm64; do GOOS=linux GOARCH=$$arch $(GOBUILD) -o bin/flink-entrypoint-linux-$$arch ./cmd/flink-entrypoint; ls -l bin/flink-entrypoint-linux-$$arch; done

.PHONY: build-platform-all
build-platform-all: need-go ## build flink-platform for linux/amd64 and linux/arm64
	@for arch in amd64 arm64; do GOOS=linux GOARCH=$$arch go build -trimpath -buildvcs=false -ldflags '$(PLATFORM_LDFLAGS)' -o bin/flink-platform-linux-$$arch ./cmd/flink-platform; ls -l bin/flink-platform-linux-$$arch; done

.PHONY: images
images: need-go need-podman build-all build-platform-all ## build the container images with podman (drop-in and shell-less; server and workers of the platform)
	go run ./test/container/images $$(go run ./test/flinkhome $(MAIN_VERSIONS))

.PHONY: release-snapshot
release-snapshot: need-go ## release artefacts in dist/, without other tools; made twice and compared first
	FLINK_ENTRYPOINT_RELEASE_ARCHES='amd64 arm64' go test -count 1 -timeout 30m ./test/release
	go run ./test/release -out dist -version '$(VERSION)'

.PHONY: vulncheck
vulncheck: need-go ## known vulnerabilities in what the binary calls (asks the Go vulnerability database)
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

define need
	@command -v $(1) >/dev/null || { echo "error: $(1) is missing"; echo "hint: $(2)"; exit 1; }
endef

.PHONY: need-go need-java need-pip need-podman need-curl need-mvn need-npm need-chromium
need-go:
	$(call need,go,install Go 1.26 or later: apt-get install golang-go or the archive from the Go project)
need-java:
	$(call need,java,install Java 17: apt-get install openjdk-17-jdk-headless)
	$(call need,javac,install a Java 17 development kit: apt-get install openjdk-17-jdk-headless)
need-curl:
	$(call need,curl,install curl: apt-get install curl)
need-npm:
	$(call need,node,install Node.js 18 or later: apt-get install nodejs)
	$(call need,npm,install npm: apt-get install npm)
need-chromium:
	$(call need,chromium,install Chromium: apt-get install chromium)
need-mvn:
	$(call need,mvn,install Maven: apt-get install maven)
need-pip:
	$(call need,python3,install Python 3 with pip and venv: apt-get install python3-pip python3-venv)
	@python3 -m pip --version >/dev/null 2>&1 || { echo "error: pip is missing"; echo "hint: apt-get install python3-pip python3-venv"; exit 1; }
need-podman:
	@test/container/prepare.sh
