GOLANGCI_LINT = go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint
DOCKER ?= docker
PROMTOOL = $(CURDIR)/.cache/bin/promtool
SOAK ?= 30m
PETRA_BENCH_TENANTS ?= 10,100,1000,10000

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary petra_exporter
	tools/build

.PHONY: test
test: ## run the tests
	go test -timeout 60m ./...

.PHONY: fuzz
fuzz: ## fuzz each target in turn, for FUZZTIME=10m each
	tools/fuzz

.PHONY: lint
lint: ## look for mistakes, in the tools too
	$(GOLANGCI_LINT) run
	cd tools && $(GOLANGCI_LINT) run

.PHONY: fmt
fmt: ## format the code
	$(GOLANGCI_LINT) fmt
	cd tools && $(GOLANGCI_LINT) fmt

.PHONY: cover
cover: ## show how much of each function the tests cover
	mkdir -p .cache
	go test -timeout 60m -coverprofile=.cache/cover.out ./...
	go tool cover -func=.cache/cover.out

.PHONY: sim
sim: ## simulate days with up to 10,000 tenants; takes hours
	mkdir -p docs/data
	go test ./collector -run '^TestSimulation$$' -count 1 -timeout 0 -v -sim=all -sim-csv=$(CURDIR)/docs/data/freshness.csv

.PHONY: bench
bench: build ## measure what it costs; takes 12 min, less with PETRA_BENCH_TENANTS=10,1000
	go -C tools/bench run . -tenants $(PETRA_BENCH_TENANTS)

.PHONY: soak
soak: build ## load the binary for SOAK=30m, while everything fails at random
	go -C tools/bench run ./soak -for $(SOAK) $(CURDIR)/petra_exporter

.PHONY: plot
plot: ## draw the freshness that make sim has measured
	mkdir -p docs/img
	go -C tools/bench run ./plot $(CURDIR)/docs/data/freshness.csv $(CURDIR)/docs/img/freshness.svg

.PHONY: smoke
smoke: build ## start the binary's demo, scrape it, check it, stop it
	go -C tools run ./smoke $(CURDIR)/petra_exporter

.PHONY: rules
rules: .cache/bin/promtool ## check and test the rules for Prometheus
	cd deploy/prometheus && $(PROMTOOL) check config --lint=all --lint-fatal prometheus.yml petra.scrape.yml
	cd deploy/prometheus && $(PROMTOOL) check rules --lint=all --lint-fatal petra.rules.yml petra.alerts.yml
	cd deploy/prometheus && $(PROMTOOL) test rules tests/*.yml

.PHONY: alertmanager
alertmanager: .cache/bin/alertmanager .cache/bin/amtool ## check and test the configuration for Alertmanager
	go -C tools/alertmanager test -count=1 -timeout 60m ./...

.PHONY: compose
compose: .cache/bin/alertmanager .cache/bin/prometheus ## check the files for Docker Compose
	go -C tools/compose test -count=1 -timeout 60m ./...

.PHONY: e2e
e2e: build .cache/bin/prometheus .cache/bin/alertmanager ## run all that is shipped together, an hour in a minute
	mkdir -p .cache/e2e # the logs
	go -C tools/e2e test -count=1 -timeout 30m -v -artifacts -outputdir=$(CURDIR)/.cache/e2e ./...

.PHONY: backfill
backfill: build .cache/bin/promtool .cache/bin/prometheus ## check the history that is written with a real Prometheus
	go -C tools/backfill test -count=1 -timeout 60m ./...

.PHONY: trydisk
trydisk: build ## write to a disk that is full, and to a file that is a mount
	tools/trydisk

.PHONY: helm
helm: .cache/bin/helm .cache/bin/kubectl-validate ## check and test the Helm chart
	go -C tools/helm test -count=1 -timeout 60m ./...

.PHONY: generate
generate: .cache/bin/helm-docs ## write the Helm chart's README and what it has of other files
	tools/generate

GORELEASER = PATH="$(CURDIR)/.cache/bin:$$PATH" tools/build goreleaser release --clean
# Without Docker's buildx there is no image. Nothing is signed: that takes the release's identity.
NOT_HERE = sign$(shell docker buildx version >/dev/null 2>&1 || echo ,docker)

.PHONY: release
release: .cache/bin/goreleaser .cache/bin/cyclonedx-gomod # for the release workflow
	$(GORELEASER)

.PHONY: release-snapshot
release-snapshot: .cache/bin/goreleaser .cache/bin/cyclonedx-gomod ## make all of a release in dist, unpublished
	$(GORELEASER) --snapshot --skip=$(NOT_HERE)

.PHONY: chart
chart: .cache/bin/helm ## package the Helm chart in dist/charts
	.cache/bin/helm package deploy/helm/petra-exporter --destination dist/charts

.PHONY: targets
targets: .cache/bin/goreleaser ## build the binary for every system of a release
	PATH="$(CURDIR)/.cache/bin:$$PATH" tools/build goreleaser build --snapshot --clean

.PHONY: packages
packages: .cache/bin/goreleaser .cache/bin/cyclonedx-gomod ## make the Linux packages (amd64)
	LINUX_AMD64_ONLY=1 $(GORELEASER) --snapshot --skip=sign,docker

.PHONY: trysystemd
trysystemd: ## install the deb that make packages has made under a booted systemd, try its units, remove it
	tools/trysystemd/run dist/*.deb dist/*.rpm

.cache/bin/helm: tools/helm/go.mod tools/helm/go.sum
	go -C tools/helm build -o $(CURDIR)/$@ helm.sh/helm/v3/cmd/helm

.cache/bin/helm-docs: tools/helm-docs/go.mod tools/helm-docs/go.sum
	go -C tools/helm-docs build -o $(CURDIR)/$@ github.com/norwoodj/helm-docs/cmd/helm-docs

.cache/bin/kubectl-validate: tools/kubectl-validate/go.mod tools/kubectl-validate/go.sum
	go -C tools/kubectl-validate build -o $(CURDIR)/$@ sigs.k8s.io/kubectl-validate

.cache/bin/goreleaser: tools/goreleaser/go.mod tools/goreleaser/go.sum
	go -C tools/goreleaser build -o $(CURDIR)/$@ github.com/goreleaser/goreleaser/v2

.cache/bin/cyclonedx-gomod: tools/supply/go.mod tools/supply/go.sum
	go -C tools/supply build -o $(CURDIR)/$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

.cache/bin/promtool .cache/bin/prometheus: tools/prometheus/go.mod tools/prometheus/go.sum
	mkdir -p $(@D)
	version=$$(go -C tools/prometheus list -m -f '{{slice .Version 1}}' github.com/prometheus/prometheus) && \
	go -C tools/prometheus build -o $(CURDIR)/$@ \
		-ldflags "-X github.com/prometheus/common/version.Version=$$version" github.com/prometheus/prometheus/cmd/$(@F)

# The module lacks the web pages that the build embeds: a copy of it gets a stand-in.
.cache/bin/alertmanager .cache/bin/amtool: .cache/alertmanager/ui/app/dist/index.html
	mkdir -p $(@D)
	go -C .cache/alertmanager build -trimpath -o $(CURDIR)/$@ \
		-ldflags "-X github.com/prometheus/common/version.Version=$$(cat .cache/alertmanager/VERSION)" ./cmd/$(@F)

.cache/alertmanager/ui/app/dist/index.html: tools/alertmanager/go.mod tools/alertmanager/go.sum
	rm -rf .cache/alertmanager
	mkdir -p .cache
	go -C tools/alertmanager mod download github.com/prometheus/alertmanager
	cp -R "$$(go -C tools/alertmanager list -m -f '{{.Dir}}' github.com/prometheus/alertmanager)" .cache/alertmanager
	chmod -R u+w .cache/alertmanager
	mkdir -p $(@D)
	echo '<title>Alertmanager without its web pages</title>' >$@

.PHONY: sbom
sbom: ## list what the binary is built from, in dist/petra_exporter.cdx.json
	mkdir -p dist
	CGO_ENABLED=0 go tool -modfile=tools/supply/go.mod cyclonedx-gomod app \
		-json -licenses -std -noserial -notimestamp -output dist/petra_exporter.cdx.json -main . .

.PHONY: vulncheck
vulncheck: ## look for known vulnerabilities; fails where it cannot look
	tools/vulncheck

# What npm installs of tools/dashboards, once for each lock file.
DASHBOARD_MODULES = tools/dashboards/node_modules/.package-lock.json
$(DASHBOARD_MODULES): tools/dashboards/package.json tools/dashboards/package-lock.json
	npm --prefix tools/dashboards ci --no-audit --no-fund --loglevel=error
	touch $@

.PHONY: dashboards
dashboards: $(DASHBOARD_MODULES) ## make dashboards/*.json out of dashboards/src, and check them
	npm --prefix tools/dashboards run --silent generate
	npm --prefix tools/dashboards run --silent check

.PHONY: pictures
pictures: $(DASHBOARD_MODULES) .cache/bin/prometheus ## draw the dashboards for docs/img, with Perses and Chromium
	mkdir -p docs/img
	go -C tools/dashboards test -count=1 -timeout 90m -run 'TestDashboards/(browser|dead)' . \
		-args -tenants=40 -incidents=2400 -pictures=$(CURDIR)/docs/img

.PHONY: statuspage
statuspage: ## look at /status in Chromium, at several sizes, with axe-core
	npm --prefix tools/statuspage ci --no-audit --no-fund --loglevel=error
	go -C tools/statuspage test -count=1 -timeout 60m ./...

.PHONY: image
image: ## build the container image; DOCKER=podman uses another engine
	$(DOCKER) build -t petra_exporter \
		--build-arg VERSION=$$(cat VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg BRANCH=$$(git branch --show-current) \
		--build-arg BUILD_DATE=$$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y%m%d-%H:%M:%S) .

.PHONY: tryimage
tryimage: ## build the Dockerfile with buildah, run and scrape the image
	tools/tryimage

.PHONY: ci
ci: ## run all that must hold before a change goes in
	bash .ci/run
