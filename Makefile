GOLANGCI_LINT = go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint
DOCKER ?= docker

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary petra_exporter
	tools/build

.PHONY: test
test: ## run the tests
	go test ./...

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
	go test -coverprofile=.cache/cover.out ./...
	go tool cover -func=.cache/cover.out

.PHONY: sim
sim: ## simulate days with up to 10,000 tenants; takes an hour
	mkdir -p docs/data
	go test ./collector -run '^TestSimulation$$' -count 1 -timeout 0 -v -sim=all -sim-csv=$(CURDIR)/docs/data/freshness.csv

.PHONY: smoke
smoke: build ## start the binary's demo, scrape it, check it, stop it
	go -C tools run ./smoke $(CURDIR)/petra_exporter

.PHONY: image
image: ## build the container image; DOCKER=podman uses another engine
	$(DOCKER) build -t petra_exporter \
		--build-arg VERSION=$$(cat VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg BRANCH=$$(git branch --show-current) \
		--build-arg BUILD_DATE=$$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y%m%d-%H:%M:%S) .

.PHONY: ci
ci: ## run all that must hold before a change goes in
	bash .ci/run
