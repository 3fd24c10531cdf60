# What a developer and CI run. `make run` and `make test` work on a fresh clone: they need only
# Python 3.11 or later (with its headers and venv), a C compiler and make.
#
#   make PYTHON=python3.14 VENV=.venv-3.14 test    the same with another Python, side by side
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ENGINE := $(wildcard src/portway/engine/*.pyx src/portway/engine/*.pxd)
# Arguments for the tools, e.g. make test PYTEST_ARGS="-k reload -x"
PYTEST_ARGS ?=
BENCH_ARGS ?= run
FUZZ_ARGS ?=

# pip's editable install compiles in a temporary folder of its own, after which `make build` would
# compile everything a second time. This file makes both use build/lib and build/temp. It is not a
# setup.cfg because a wheel built from the tree must not read it.
# Warnings are errors here and in CI; somebody else's newer compiler may warn of more. One is not: from
# version 16 on gcc suspects functions that Cython adds to each unit of reading what was never set. clang
# does not know it, and should not mind.
export CFLAGS += -Wall -Werror -Wno-unknown-warning-option -Wno-error=maybe-uninitialized
export DIST_EXTRA_CONFIG := $(abspath build/inplace.cfg)

.DEFAULT_GOAL := install
.PHONY: install build run test lint bench docs fuzz clean

install: build

# pyproject.toml holds the compiler flags and the list of extensions, which no timestamp in build/
# knows about: when it changes, everything is compiled again.
$(VENV)/.installed: pyproject.toml | build/inplace.cfg
	$(PYTHON) -m venv $(VENV)
	rm -rf build/lib build/temp
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1" "setuptools>=77" "cython>=3.2,<3.3"
	PYTHONWARNINGS=ignore::UserWarning \
	  $(BIN)/python -m pip install -q --group dev --no-build-isolation -e .
	# Only for the runtime interface emulator inside it, which the tests run; none of its many dependencies.
	$(BIN)/python -m pip install -q --no-deps aws-sam-cli
	touch $@

# Cython compares each unit with the .pxd files that it cimports, so only what changed is compiled,
# two units at a time. setuptools unlinks an old .so before it writes the new one: a server that is
# running keeps the file that it mapped.
build: $(VENV)/.built

$(VENV)/.built: $(VENV)/.installed $(ENGINE) | build/inplace.cfg
	$(BIN)/python -W ignore::UserWarning -c "import setuptools; setuptools.setup()" -q build_ext --inplace
	touch $@

build/inplace.cfg:
	mkdir -p build
	printf '[build_ext]\nbuild_lib = build/lib\nbuild_temp = build/temp\n' > $@

run: install
	$(BIN)/portway serve --chdir examples/site

test: install
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# A fake goes in through a constructor: replacing an attribute of a living module is what ruff's
# banned-api cannot see, so grep looks for it.
lint: install
	$(BIN)/ruff check .
	@! grep -rnE --include='*.py' 'monkeypatch\.(setattr|delattr|setitem)|mocker\.patch|(mock|unittest)\.patch' tests \
	  || { echo 'tests: pass a fake through the constructor instead'; exit 1; }
	$(BIN)/mypy

bench: install
	$(BIN)/python -m bench setup
	$(BIN)/python -m bench $(BENCH_ARGS)

docs: install
	$(BIN)/python docs/build.py build/docs

fuzz: install
	$(BIN)/python -m pip install -q --group fuzz
	$(BIN)/python -m fuzz $(FUZZ_ARGS)

clean:
	rm -rf $(VENV) build src/*.egg-info src/portway/engine/*.so src/portway/engine/*.c
	find src tests examples bench -name __pycache__ -prune -exec rm -rf {} +
