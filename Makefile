# The one place for this project's habits. `make` alone lists them.
#
#   PYTHON=/path/to/python3         the interpreter to make .venv with (default: scripts/find-python)
#   ORLOP_TEST_ROOTFS=/path         a Debian root file system to use instead of building build/rootfs/debian
#   ORLOP_SOAK=10                   how many times as long as usual `make soak` takes
#   BENCH='--rounds 100'            options of the benchmark (python -m bench --help)
#   BENCH_IMAGES='--rounds 5'       options of its second part (python -m bench.images --help)
#   BENCH_BUILDS='--rounds 5'       options of its fourth part (python -m bench.builds --help)
#   BENCH_API='--rounds 5'          options of its fifth part (python -m bench.api --help)
#   BENCH_NETWORKS='--rounds 5'     options of its third part (python -m bench.networks --help)

VENV := .venv
BIN := $(VENV)/bin
ROOTFS := $(or $(ORLOP_TEST_ROOTFS),build/rootfs/debian)
SOURCES := src tests bench

.PHONY: help
help:
	@echo 'make setup   what the other targets need: Debian packages, $(VENV)'
	@echo 'make demo    run a real Debian root file system in a container (root)'
	@echo 'make test    lint, then every test (root)'
	@echo 'make unit    the tests that need no privileges'
	@echo 'make lint    ruff, mypy and the direction of imports'
	@echo 'make soak    the tests that take minutes: random layers, thousands of them (root)'
	@echo 'make proof   build real software with packages from the network, run it everywhere, and compare with other builders (root)'
	@echo 'make vm      the cgroup and runtime tests where version 2 is alone, in a virtual machine (root)'
	@echo 'make bench   compare with runc, crun, docker and podman: bench-containers, bench-images, bench-networks, bench-builds, bench-api (root)'
	@echo 'make clean   remove what was built here'

.PHONY: setup
setup: packages $(VENV)/.ready

# The order of prerequisites counts: packages come before what is made with them.
.NOTPARALLEL:

.PHONY: packages
packages:
	@scripts/install-debian-packages

# Not for root alone: `make unit` and `make lint` need no Debian packages but Python's own.
$(VENV)/.ready: pyproject.toml
	@python='$(PYTHON)'; python=$${python:-$$(scripts/find-python)} && \
	    { [ -x $(BIN)/python3 ] || "$$python" -m venv $(VENV); }
	@$(BIN)/python3 -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.PHONY: test
test: root setup lint $(ROOTFS)
	@ORLOP_TEST_ROOTFS='$(abspath $(ROOTFS))' $(BIN)/python3 -m pytest -n 2 --dist loadfile -q tests/unit tests/integration tests/security

.PHONY: soak
soak: root setup
	@$(BIN)/python3 -c 'import atheris' 2>/dev/null || \
	    $(BIN)/python3 -m pip install --quiet --disable-pip-version-check --only-binary :all: atheris 2>/dev/null || \
	    echo 'atheris cannot be installed here: soaking without it'
	@[ -x $(BIN)/schemathesis ] || $(BIN)/python3 -m pip install --quiet --disable-pip-version-check 'schemathesis>=4,<5' || \
	    echo 'schemathesis cannot be installed here: soaking without it'
	@$(BIN)/python3 -m pytest -q tests/soak

.PHONY: proof
proof: root setup $(ROOTFS)
	@ORLOP_TEST_ROOTFS='$(abspath $(ROOTFS))' $(BIN)/python3 -m pytest -q tests/proof

.PHONY: vm
vm: root setup
	@scripts/install-debian-packages qemu-system-x86 cpio
	@scripts/test-on-cgroup-v2

.PHONY: unit
unit: $(VENV)/.ready
	@$(BIN)/python3 -m pytest -q tests/unit

.PHONY: lint
lint: $(VENV)/.ready
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary $(wildcard $(SOURCES))
	@said=$$($(BIN)/lint-imports --no-cache) || { echo "$$said"; exit 1; }

.PHONY: root
root:
	@[ "$$(id -u)" -eq 0 ] || { echo "this needs root: it makes namespaces, mounts and cgroups (make unit and make lint do not)" >&2; exit 1; }

$(ROOTFS): scripts/build-rootfs | packages
	@scripts/build-rootfs $@

.PHONY: bench
bench: bench-containers bench-images bench-networks bench-builds bench-api

.PHONY: bench-containers
bench-containers: root setup
	@$(BIN)/python3 -m bench $(BENCH)

.PHONY: bench-images
bench-images: root setup $(ROOTFS)
	@ORLOP_TEST_ROOTFS='$(abspath $(ROOTFS))' $(BIN)/python3 -m bench.images $(BENCH_IMAGES)

.PHONY: bench-networks
bench-networks: root setup
	@$(BIN)/python3 -m bench.networks $(BENCH_NETWORKS)

.PHONY: bench-api
bench-api: root setup
	@$(BIN)/python3 -m bench.api $(BENCH_API)

.PHONY: bench-builds
bench-builds: root setup
	@$(BIN)/python3 -m bench.builds $(BENCH_BUILDS)

.PHONY: demo
demo: root setup $(ROOTFS)
	@echo '--- what is in the root file system'
	bin/orlop run --rm --network none --rootfs $(ROOTFS) cat /etc/os-release
	@echo '--- who and where the program is, and every process that it sees'
	bin/orlop run --rm --network none --hostname deck --memory 64m --rootfs $(ROOTFS) sh -c \
	    'id; hostname; grep -H . /proc/[0-9]*/comm'

.PHONY: clean
clean:
	@rm -rf build dist $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
