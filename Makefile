GO = go
PYTHON = python3

# What the binaries say of themselves. The shell finds it out, once for each binary.
# Your answers to sam deploy --guided, in samconfig.toml, do not make a version dirty.
VERSION = $$(v=$$(git describe --tags --always 2>/dev/null) && \
  { git diff --quiet HEAD -- . ':!samconfig.toml' || v=$$v-dirty; echo $$v; } || echo dev)

# The tools of verify and lint, pinned. Each lives in a directory of its version, so that a new version is a new tool.
GOLANGCI_LINT_VERSION = v2.15.0
GOVULNCHECK_VERSION = v1.9.0
GORELEASER_VERSION = v2.15.1
CYCLONEDX_VERSION = v1.10.0
AWSCLI_VERSION = 1.45.11
VERSITYGW_VERSION = v1.8.0
MINISTACK_VERSION = 1.5.33
CHECKOV_VERSION = 3.3.30

TOOLS = .tools
GOLANGCI_LINT = $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
GOVULNCHECK = $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck
GORELEASER = $(TOOLS)/goreleaser-$(GORELEASER_VERSION)/goreleaser
CYCLONEDX = $(TOOLS)/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod
SAM = $(TOOLS)/sam/bin
AWS = $(TOOLS)/awscli-$(AWSCLI_VERSION)/bin/aws
VERSITYGW = $(TOOLS)/versitygw-$(VERSITYGW_VERSION)/versitygw
MINISTACK = $(TOOLS)/ministack-$(MINISTACK_VERSION)/bin/ministack
CHECKOV = $(TOOLS)/checkov-$(CHECKOV_VERSION)/bin/checkov
NODE_MODULES = $(TOOLS)/browser/node_modules
IAM_SIMULATE = $(TOOLS)/permissions/node_modules
CDK = $(TOOLS)/cdk/node_modules
ASL_VALIDATOR = $(TOOLS)/states/node_modules/.bin/asl-validator
CHROMIUM = $$(command -v chromium || command -v google-chrome)

# Nothing needs C, except the race detector. With one setting for all, EC2's client, which takes a minute to compile, is
# compiled once for the tests, the command line and the demo.
export CGO_ENABLED = 0

# The property tests draw the same values each time, so that a commit always gets the same verdict. To search, there is search.
export RAPID_SEED = 1

# The tests sync thousands of small files to the disk. Where Linux has a directory in memory that may hold programs, and
# room for 4 GB, they use that. What go builds stays on the disk.
IN_MEMORY = $(shell findmnt --noheadings --output OPTIONS /dev/shm 2>/dev/null | grep -qvw noexec && test -w /dev/shm && \
  test "$$(df --output=avail /dev/shm | tail -n 1)" -gt 4000000 && echo "GOTMPDIR=$${TMPDIR:-/tmp} TMPDIR=/dev/shm")

# Lambda's arm64 machines, and a function without the RPC of the runtime that Lambda has retired.
LAMBDA = GOOS=linux GOARCH=arm64
BUILD_FUNCTION = $(GO) build -tags lambda.norpc -ldflags "-s -w -X main.version=$(VERSION)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

.PHONY: test
test: ## run the tests; needs nothing but Go
	$(IN_MEMORY) $(GO) test -timeout 30m -shuffle=1 ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) no-templates ## check style, formatting, and which package may import what
	$(GOLANGCI_LINT) config verify
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) fmt --diff

.PHONY: format
format: $(GOLANGCI_LINT) ## format the Go files
	$(GOLANGCI_LINT) fmt

.PHONY: verify
verify: lint tidy second-opinion race report-vulnerabilities checkov aws-cli records verify-template verify-organization verify-snippets verify-doctor verify-trial verify-release pages schedules ## check everything that a change has to pass; ends with a clean git tree
	@dirt=$$(git status --porcelain) && { test -z "$$dirt" || \
	  { printf 'verify: not committed, or changed by a check:\n%s\n' "$$dirt" >&2; git --no-pager diff; exit 1; }; }

.PHONY: build
build: bin/ami-janitor bin/bootstrap bin/host/bootstrap bin/reporter bin/organization/bootstrap ## build the command line and the functions, into bin

.PHONY: demo
demo: bin/host/bootstrap ## run the function's own binary on an emulated account, and draw the report of five nights
	$(GO) run ./cmd/demo bin/host/bootstrap bin/report.html

.PHONY: demo-organization
demo-organization: ## rehearse a night over a built-in organization of twelve accounts, and print its digest
	$(GO) run ./cmd/ami-janitor rehearse --organization sample --shared-images organization --regions all | cat

# The same schedules each time, so that a commit always gets the same verdict. To search, there is simulate.
.PHONY: schedules
schedules:
	$(GO) test -count=1 ./internal/simulation -run '^TestSchedules$$' -seeds 2500 -first 1
	$(GO) test -count=1 ./internal/simulation/organization -run '^TestSchedules$$' -seeds 150 -first 1

# SEEDS is how many schedules are played; without it, fresh ones for a minute.
.PHONY: simulate
simulate: ## play whole runs with faults, kills and interferences against the emulated account; SEEDS=n, SEED=x replays one
	$(GO) test -count=1 -timeout 6h ./internal/simulation -run '^TestSchedules$$' $(if $(SEED),-seed $(SEED),$(if $(SEEDS),-seeds $(SEEDS),-for 60s))

# A schedule of an organization takes about a third of a second of a processor.
.PHONY: simulate-organization
simulate-organization: ## the same over an organization; SEEDS=n from FIRST=m, SEED=x replays one
	$(GO) test -count=1 -timeout 12h -v ./internal/simulation/organization -run '^TestSchedules$$' $(if $(SEED),-seed $(SEED),-seeds $(or $(SEEDS),300) -first $(or $(FIRST),1000))

.PHONY: golden
golden: ## rewrite the golden files; read what git diff says of them
	$(GO) test ./pkg/digest ./pkg/janitor ./pkg/report ./cmd/ami-janitor -run '^(TestGolden|TestWordings|TestExplanations|TestSchema|TestSampleDigest|TestEveryOwnerIsTold|TestThePictureOfATerminal)$$' -update

# CHECKS is how many values each property is tried on. A failure says which seed replays it; keep it as a test of its own.
CHECKS = 1000

.PHONY: search
search: ## try every property on fresh values; CHECKS=n
	RAPID_SEED=0 RAPID_CHECKS=$(CHECKS) $(GO) test -count=1 -timeout 6h ./...

# IMAGES are the sizes of the accounts that are swept. The largest takes minutes for each line.
IMAGES = 1000,5000,50000

.PHONY: bench
bench: bin/bootstrap bin/host/bootstrap ## measure: the benchmarks, the speed of whole runs, and the memory and the size of the function; IMAGES=n,…
	$(GO) test -run '^$$' -bench . -benchmem ./...
	$(GO) test -count=1 -timeout 2h -v ./internal/speed -run TestSpeed -images $(IMAGES)
	$(GO) test -count=1 -timeout 1h -v ./internal/speed -run TestMemory -bootstrap $(CURDIR)/bin/host/bootstrap
	@size=$$(wc -c < bin/bootstrap) && printf 'bin/bootstrap: %d bytes\n' "$$size" && test "$$size" -le 20000000

# The parts of build. Go knows better than make what is out of date.

.PHONY: bin/ami-janitor bin/bootstrap bin/host/bootstrap bin/reporter bin/organization/bootstrap bin/organization/host/bootstrap
bin/ami-janitor:
	$(GO) build -ldflags "-X main.version=$(VERSION)" -o $@ ./cmd/ami-janitor

bin/bootstrap:
	$(LAMBDA) $(BUILD_FUNCTION) -trimpath -o $@ ./functions/janitor

bin/host/bootstrap:
	$(BUILD_FUNCTION) -o $@ ./functions/janitor

bin/reporter:
	$(LAMBDA) $(BUILD_FUNCTION) -trimpath -o $@ ./functions/reporter

bin/organization/bootstrap:
	$(LAMBDA) $(BUILD_FUNCTION) -trimpath -o $@ ./functions/organization

bin/organization/host/bootstrap:
	$(BUILD_FUNCTION) -o $@ ./functions/organization

# The applications for AWS: template.yaml, and organization.yaml, by AWS SAM.

STEPS = Targets Census Gather Plan Allot Sweep Tell

.PHONY: build-JanitorFunction build-ReporterFunction $(STEPS:%=build-%Function)
build-JanitorFunction: # sam build calls these, and says where the result goes
	$(LAMBDA) $(BUILD_FUNCTION) -trimpath -o $(ARTIFACTS_DIR)/bootstrap ./functions/janitor

build-ReporterFunction:
	$(LAMBDA) $(BUILD_FUNCTION) -trimpath -o $(ARTIFACTS_DIR)/bootstrap ./functions/reporter

$(STEPS:%=build-%Function): bin/organization/bootstrap # One binary for all steps.
	cp $< $(ARTIFACTS_DIR)/bootstrap

.PHONY: verify-template
verify-template: $(SAM)/sam bin/bootstrap bin/host/bootstrap bin/reporter bin/organization/bootstrap ## lint and build the templates, and deploy template.yaml to a server on loopback
	SAM_CLI_TELEMETRY=0 $(SAM)/sam validate --lint --region us-east-1
	SAM_CLI_TELEMETRY=0 $(SAM)/sam validate --lint --region us-east-1 --template-file organization.yaml
	$(SAM)/python scripts/template_lint.py template.yaml organization.yaml member.yaml
	$(SAM)/python scripts/template_build.py $(SAM)/sam bin/bootstrap bin/host/bootstrap bin/reporter bin/organization/bootstrap "$(VERSION)"
	$(SAM)/python scripts/template_deploy.py template.yaml

.PHONY: verify-organization
verify-organization: $(SAM)/sam $(MINISTACK) $(ASL_VALIDATOR) bin/ami-janitor bin/organization/host/bootstrap ## run organization.asl.json on two engines
	$(SAM)/python scripts/organization_test.py organization.asl.json $(ASL_VALIDATOR) $(MINISTACK)
	$(SAM)/python scripts/organization_steps_test.py organization.asl.json $(MINISTACK) bin/ami-janitor bin/organization/host/bootstrap

.PHONY: package
package: $(SAM)/sam bin/bootstrap bin/reporter bin/organization/bootstrap ## write the transformed templates and the zip files for other pipelines, into bin/package
	$(SAM)/python scripts/template_package.py template.yaml organization.yaml member.yaml recycle-bin.yaml bin/bootstrap bin/reporter bin/organization/bootstrap bin/package "$(VERSION)"

# Only the commit, its tag and Go's version decide what is in a file. LINUX_ONLY=true leaves out macOS and Windows.
.PHONY: release
release: export GOFLAGS = -buildvcs=false
release: $(GORELEASER) $(CYCLONEDX) package ## write the archives of this version, with checksums and bills of materials, into bin/release
	@PATH="$(abspath $(dir $(CYCLONEDX))):$$PATH" VERSION="$(VERSION)" LINUX_ONLY=$(or $(LINUX_ONLY),false) \
	COMMIT_SECONDS="$$(git log -1 --format=%ct)" COMMIT_DATE="$$(git log -1 --format=%cI)" \
	  $(GORELEASER) release --snapshot --clean

.PHONY: verify-snippets
verify-snippets: $(SAM)/sam $(AWS) $(CDK) bin/ami-janitor package ## run the snippets of docs/deploying.md, on servers on loopback
	$(SAM)/python scripts/snippets_test.py $(SAM)/sam $(AWS) $(CDK) bin/ami-janitor bin/package

.PHONY: verify-doctor
verify-doctor: $(SAM)/sam bin/ami-janitor ## run doctor on a stack in moto, which is not ours
	$(SAM)/python scripts/doctor_test.py template.yaml bin/ami-janitor

.PHONY: verify-trial
verify-trial: $(SAM)/sam bin/ami-janitor ## run a trial in moto, which is not ours
	$(SAM)/python scripts/trial_test.py bin/ami-janitor

.PHONY: verify-release
verify-release: $(SAM)/sam $(GORELEASER) $(CYCLONEDX) ## make a release twice, compare, and try it as the README says, without Go
	$(PYTHON) scripts/release_test.py $(TOOLS)

.PHONY: deploy
deploy: $(SAM)/sam ## build the application and deploy it, as samconfig.toml says
	$(SAM)/sam build
	$(SAM)/sam deploy

# The parts of verify.

# A template executed anywhere in the janitor's function keeps the linker from leaving out what is not called: 43 MB, not 10.
# The linter sees our own imports; this sees those of the modules too.
.PHONY: no-templates
no-templates:
	@imports=$$($(LAMBDA) $(GO) list -deps -tags lambda.norpc \
	  -f '{{$$package := .}}{{range .Imports}}{{$$package.ImportPath}} imports {{.}}{{"\n"}}{{end}}' ./functions/janitor ./functions/organization) || exit 1; \
	if printf '%s\n' "$$imports" | grep -E ' imports (text|html)/template$$'; then \
	  echo 'no-templates: the function must not link a template engine' >&2; exit 1; \
	fi

.PHONY: tidy
tidy:
	$(GO) mod tidy -diff

# The race detector looks at who shares memory. That takes 10 values for each property, where make test takes 100 (-short draws
# a fifth of RAPID_CHECKS), some of the tries that are much alike, and only the packages with a goroutine, in code or tests:
# what they share with the others, they show.
CONCURRENT = $(shell grep -rlE '^[[:space:]]+go |[.]Go\b|"sync|[.]Parallel\b' --include='*.go' cmd functions internal pkg | xargs -n 1 dirname | sort -u)

.PHONY: race
race:
	$(IN_MEMORY) RAPID_CHECKS=50 CGO_ENABLED=1 $(GO) test -race -short -timeout 40m -shuffle=1 $(CONCURRENT:%=./%)

.PHONY: vulnerabilities
vulnerabilities: $(GOVULNCHECK) ## fail if what the module calls has a known vulnerability
	scripts/vulnerabilities $(GOVULNCHECK)

# What is known today was not known yesterday: the same commit would pass and then fail.
.PHONY: report-vulnerabilities
report-vulnerabilities: $(GOVULNCHECK)
	@scripts/vulnerabilities $(GOVULNCHECK) || echo 'verify: make vulnerabilities fails for what is said above; verify does not'

# What checkov finds is mended, or the template's metadata says why not.
.PHONY: checkov
checkov: $(CHECKOV)
	$(CHECKOV) --framework cloudformation --skip-download --compact --quiet $(patsubst %,--file %,template.yaml organization.yaml member.yaml recycle-bin.yaml)

.PHONY: aws-cli
aws-cli: bin/ami-janitor $(AWS)
	$(PYTHON) scripts/aws_cli_test.py bin/ami-janitor $(AWS)

# The journal in an S3 server that is not ours.
.PHONY: records
records: bin/ami-janitor $(VERSITYGW) $(AWS)
	$(PYTHON) scripts/records_test.py bin/ami-janitor $(VERSITYGW) $(AWS) $(GO)

# What the tests of the templates' policies decide, decided again by an evaluator that is not ours.
.PHONY: second-opinion
second-opinion: $(IAM_SIMULATE) ## compare every decision on the templates' policies with that of iam-simulate
	mkdir -p bin
	$(GO) test -count=1 ./internal/template -cases $(CURDIR)/bin/permissions.json
	NODE_PATH=$(CURDIR)/$(IAM_SIMULATE) node scripts/permissions_test.cjs bin/permissions.json

# The report in a browser that people use. Debian has it in the package chromium.
.PHONY: pages
pages: $(NODE_MODULES) ## open the report's pages in Chromium, and put screenshots into bin/pages
	rm -rf bin/pages && mkdir -p bin/pages
	$(GO) test -count=1 ./pkg/report -run '^TestGolden$$' -pages $(CURDIR)/bin/pages
	NODE_PATH=$(CURDIR)/$(NODE_MODULES) node scripts/pages_test.cjs "$(CHROMIUM)" bin/pages bin/pages

.PHONY: picture
picture: pages ## draw the README's picture of the report again
	cp bin/pages/report.png docs/pictures/report.png

# The tools.

$(NODE_MODULES): scripts/browser/package.json scripts/browser/package-lock.json
	mkdir -p $(@D) && cp $^ $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

$(ASL_VALIDATOR): scripts/states/package.json scripts/states/package-lock.json
	mkdir -p $(TOOLS)/states && cp $^ $(TOOLS)/states
	cd $(TOOLS)/states && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

$(CDK): scripts/cdk/package.json scripts/cdk/package-lock.json
	mkdir -p $(@D) && cp $^ $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

$(IAM_SIMULATE): scripts/permissions/package.json scripts/permissions/package-lock.json
	mkdir -p $(@D) && cp $^ $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

$(MINISTACK):
	$(PYTHON) -m venv $(TOOLS)/ministack-$(MINISTACK_VERSION)
	$(TOOLS)/ministack-$(MINISTACK_VERSION)/bin/pip install --quiet --disable-pip-version-check ministack==$(MINISTACK_VERSION)

$(CHECKOV):
	$(PYTHON) -m venv $(TOOLS)/checkov-$(CHECKOV_VERSION)
	$(TOOLS)/checkov-$(CHECKOV_VERSION)/bin/pip install --quiet --disable-pip-version-check checkov==$(CHECKOV_VERSION)

$(VERSITYGW):
	GOBIN="$$PWD/$(@D)" $(GO) install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)

$(SAM)/sam: scripts/template_requirements.txt
	$(PYTHON) -m venv --clear $(TOOLS)/sam
	$(SAM)/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(GOLANGCI_LINT):
	GOBIN="$$PWD/$(@D)" $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(GOVULNCHECK):
	GOBIN="$$PWD/$(@D)" $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

$(GORELEASER):
	GOBIN="$$PWD/$(@D)" $(GO) install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)

$(CYCLONEDX):
	GOBIN="$$PWD/$(@D)" $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

$(AWS):
	$(PYTHON) -m venv $(TOOLS)/awscli-$(AWSCLI_VERSION)
	$(TOOLS)/awscli-$(AWSCLI_VERSION)/bin/pip install --quiet --disable-pip-version-check awscli==$(AWSCLI_VERSION)
