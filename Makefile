# make demo    environment, installation, then everything once on a corpus that the program makes itself
# make test    environment, installation, lint, types and every test
# make test-browser   the page in a real browser; installs Debian's chromium where it is missing, as root
# make test-adapters  every adapter against the framework it is for, which installs them all
# make test-scale  shards, the server, training and sweeps on a Ray cluster of this machine, which installs Ray
# make cover   every test again, measuring coverage, which takes most of the time twice
# make lint    ruff and mypy alone
# make docs    the documentation as a site, in build/site
# make dist    a wheel and a source distribution in dist, checked
# make bench   the benchmark scripts there are
# make clean   remove everything that make has made
#
# PYTHON=python3.12 chooses another interpreter, PYTEST="-k words" other tests.

PYTHON ?= python3
# A worker runs all tests of a file, so that what they share is made once.
PYTEST ?= -n 2 --dist loadfile
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: demo test test-adapters test-browser test-scale cover lint docs dist bench clean

demo: $(VENV)/installed
	$(BIN)/trailhound demo

test: lint
	$(BIN)/python -m pytest $(PYTEST)

test-browser: $(VENV)/installed-dev
	$(INSTALL) --editable '.[dev,browser]'
	@command -v chromium > /dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
	    || { echo "the tests need Debian's chromium: install it with  apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest tests/browser

test-adapters: $(VENV)/installed-adapters
	$(BIN)/python -m pytest tests/adapters

test-scale: $(VENV)/installed-dev
	$(INSTALL) --editable '.[dev,scale]'
	$(BIN)/python -m pytest tests/sharding tests/serving/test_on_ray.py tests/learning/policy/test_ray_workers.py \
	    tests/learning/policy/test_ray_trials.py

cover: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(PYTEST) --cov --cov-report=term --cov-fail-under=90

lint: $(VENV)/installed-dev $(VENV)/types/trailhound
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed $(VENV)/types/trailhound
	$(INSTALL) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "read it:  $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site"

dist: $(VENV)/created
	$(INSTALL) build setuptools twine
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

bench: $(VENV)/installed
	@echo "RESULTS.md has the command of every figure; each script explains itself:"
	@grep -l '^def main' benchmarks/*.py | sed 's|.*|  $(BIN)/python & --help|'

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than Python 3.11: name a newer one with  make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# torch goes first, on its own: what depends on it then takes the build that is already there.
$(VENV)/installed: $(VENV)/created pyproject.toml constraints.txt
	$(INSTALL) $(TORCH)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/installed-adapters: $(VENV)/installed-dev
	$(INSTALL) --editable '.[dev,adapters]'
	@touch $@

# mypy needs a folder that bears the package's name, whatever the checkout is called.
$(VENV)/types/trailhound: | $(VENV)/created
	@mkdir -p $(@D)
	@ln -sfn ../.. $@
