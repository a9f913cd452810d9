# lbd for people: `make help`. CMake does the work (CMakePresets.json).
.DEFAULT_GOAL := all
.PHONY: all run test bench asan tsan fuzz format install deb help clean

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
BUILD = scripts/build.sh

all: ## build the release: build/release/bin/lbd and lbctl
	@scripts/deps.sh build
	@$(BUILD) release lbd lbctl

run: ## a demonstration: three small servers and lbd in front of them, until Ctrl-C
	@scripts/demo.sh

test: ## install what is missing, build, run every test
	@scripts/deps.sh build test package
	@scripts/test.sh

bench: ## lbd beside nginx and haproxy; BENCH="--quick keepalive-128" for less
	@scripts/deps.sh build bench
	@$(BUILD) release lbd lbctl bench_programs
	@/usr/bin/python3 -B tests/bench/bench.py $(BENCH)

asan: ## build and test under the address and undefined-behaviour sanitizers
	@scripts/deps.sh build test
	@scripts/test.sh asan

tsan: ## build and test what crosses threads under the thread sanitizer
	@scripts/deps.sh build test
	@scripts/test.sh tsan

fuzz: ## libFuzzer on every target; FUZZ_SECONDS=30 each, FUZZ="h1_head" for one
	@scripts/deps.sh build test
	@scripts/fuzz.sh $(FUZZ)

format: ## clang-format over the whole tree
	@scripts/deps.sh format
	@scripts/format.sh

install: all ## install the release under PREFIX (/usr/local), DESTDIR respected
	@cmake --install build/release --prefix "$(PREFIX)"

deb: ## Debian packages of the release: build/deb/lbd_*.deb, lbctl_*.deb and their symbols
	@scripts/deps.sh build package
	@$(BUILD) release lbd lbctl
	@scripts/deb.sh

clean: ## remove build/
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
