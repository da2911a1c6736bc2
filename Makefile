# One Makefile, the same verbs here and in CI. `make help` lists them. V=1 shows the commands.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
Q := $(if $(V),,@)

BPF_SOURCES := $(wildcard bpf/*.bpf.c)
BPF_OBJECTS := $(BPF_SOURCES:bpf/%.bpf.c=build/bpf/%.bpf.o)
BPF_HEADERS := $(wildcard bpf/include/*.h)
# cpu v2: 5.10 has v3 as well, but Debian's libbpf and old verifiers are known to take v2 everywhere.
# Not where the checkout is: the same commit gives the same objects everywhere.
BPF_CFLAGS  := -O2 -g -target bpf -mcpu=v2 -Wall -Werror -Ibpf/include -I/usr/include/x86_64-linux-gnu \
	-fdebug-compilation-dir=.
# Static: it runs on the node, whatever its C library is. The same source gives the same bytes.
CNI_CFLAGS  := -std=c11 -D_GNU_SOURCE -Os -Wall -Wextra -Werror -static -s -Wl,--build-id=none
CNI_FILES   := $(wildcard cni/*.[ch])
C_FILES     := $(CNI_FILES) $(wildcard bpf/*.c bpf/include/*.h bpf/test/*.c test/lab/clients/*.[ch])
NODE         = $(shell tools/node.sh)
NODE_PATH_   = PATH="$(dir $(NODE)):$$PATH"
# Node's own memory: the heap's young half is kept small, since the daemon shares the machine with workloads.
STAMP       := build/.setup
FUZZ_TESTS  := $(addprefix src/kernel/,$(addsuffix .test.ts,route-engine http-head http-response edit))

.PHONY: help setup build image image-root chart gen gen-xds gen-check lint format test test-unit test-scenarios test-lab test-cluster fuzz test-kernels bench demo demo-down clean

help: ## list the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install what is needed: Debian packages, Node 26, npm packages

$(STAMP): tools/setup.sh package-lock.json tools/node/package-lock.json
	@echo "  SETUP"
	$(Q)tools/setup.sh
	@mkdir -p build && touch $@

build: setup $(BPF_OBJECTS) build/cni/kmesh-cni bin/kmesh-daemon bin/kmeshctl ## eBPF objects, the CNI plugin, bin/kmesh-daemon, bin/kmeshctl

build/bpf/%.bpf.o: bpf/%.bpf.c $(BPF_HEADERS) Makefile | $(STAMP)
	@mkdir -p $(@D)
	@echo "  BPF      $@"
	$(Q)clang-19 $(BPF_CFLAGS) -c $< -o $@

build/cni/kmesh-cni: $(CNI_FILES) Makefile | $(STAMP)
	@mkdir -p $(@D)
	@echo "  CC       $@"
	$(Q)clang-19 $(CNI_CFLAGS) cni/kmesh-cni.c -o $@

bin/%: tools/launcher.sh Makefile
	@mkdir -p bin
	@echo "  BIN      $@"
	$(Q)install -m 755 tools/launcher.sh $@

image: build ## build/kmesh-image.tar: the container image localhost/kmesh:dev, to import; needs no container engine
	@echo "  IMAGE    build/kmesh-image.tar"
	$(Q)$(NODE) tools/image/image.ts --out build/kmesh-image.tar

image-root: build ## build/image-root: the files that the image holds, for an engine (Containerfile)
	$(Q)rm -rf build/image-root
	$(Q)$(NODE) tools/image/image.ts --root build/image-root

chart: setup ## deploy/kmesh.yaml and the chart's golden files, of deploy/helm/kmesh; needs helm
	$(Q)$(NODE) tools/chart.ts

gen: build ## write src/kernel/gen/layout.gen.ts from the objects' BTF, and docs/errors.md
	$(Q)$(NODE) tools/gen-layout.ts
	$(Q)$(NODE) tools/gen-errors.ts

gen-xds: setup ## write src/source/xds/gen from Envoy's and Istio's protos; needs Debian's protobuf-compiler, asks npm
	$(Q)$(NODE) tools/gen-xds.ts

gen-check: build ## fail when generated files differ from what the sources give
	$(Q)$(NODE) tools/gen-layout.ts --check
	$(Q)$(NODE) tools/gen-errors.ts --check

lint: build ## type-check, lint, formats, the house's import order
	@echo "  TSC"
	$(Q)$(NODE) node_modules/typescript/bin/tsc -p .
	@echo "  BIOME"
	$(Q)$(NODE_PATH_) node_modules/.bin/biome check --error-on-warnings
	@echo "  CLANG-FORMAT"
	$(Q)clang-format-19 --dry-run --Werror $(C_FILES)
	@echo "  HOUSE"
	$(Q)$(NODE) tools/check-house.ts

format: setup ## write the formats
	$(Q)$(NODE_PATH_) node_modules/.bin/biome check --write
	$(Q)clang-format-19 -i $(C_FILES)

test: lint gen-check ## every test, root ones included
	$(Q)$(NODE) tools/run-tests.ts all

test-unit: build ## tests beside the code (some need root)
	$(Q)$(NODE) tools/run-tests.ts unit

test-scenarios: build ## namespaces, real clients, real daemon (root)
	$(Q)$(NODE) tools/run-tests.ts scenarios

test-lab: build ## scenarios on a real Kubernetes API server and a real istiod, built first: some 30 minutes, once (root)
	$(Q)test/lab/kubernetes/build.sh
	$(Q)test/lab/istiod/build.sh
	$(Q)KMESH_LONG=1 $(NODE) tools/run-tests.ts control-planes

test-cluster: build ## Kmesh on a cluster of two nodes, built first: some 20 minutes, once; the tests take some 10 (root)
	$(Q)test/lab/cluster/build.sh
	$(Q)$(MAKE) --no-print-directory image
	$(Q)$(NODE) tools/run-tests.ts cluster

fuzz: build ## kernel programs beside their references on random input; FUZZ=1000000 cases each, SEED=1 (root)
	$(Q)KMESH_FUZZ=$(or $(FUZZ),1000000) KMESH_FUZZ_SEED=$(or $(SEED),1) $(NODE) --test --test-concurrency=1 $(FUZZ_TESTS)

test-kernels: build ## the scenarios on Debian's 5.10, 6.1, 6.12 and 6.18 in QEMU (downloads ~600 MB once)
	$(Q)$(NODE) test/lab/native.ts
	$(Q)test/kernels/run.sh $(KERNELS)

bench: build ## measure: ratios beside direct and iptables DNAT, scale, memory
	$(Q)$(NODE) test/bench/bench.ts $(BENCH)

demo: build ## a small shop under the mesh on this machine; SOURCE=files|kubernetes|ads|workload|local, KEEP=1 leaves it up
	$(Q)KEEP=$(KEEP) $(NODE) demo/demo.ts --source $(or $(SOURCE),files)

demo-down: build ## take down what `make demo KEEP=1` left
	$(Q)$(NODE) demo/demo.ts --down

clean: ## remove what was built
	rm -rf build bin/kmesh-daemon bin/kmeshctl
