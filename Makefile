# The verbs of this project. Needs python 3.11 or newer, make and gcc; everything else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
CITY := demo/city
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-spark test-real check bench docs architecture picture findings package clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1|/' | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

setup: $(INSTALLED)  ## make .venv and install from constraints.txt, once

# Every install reads constraints.txt, so that none of them ever resolves another torch.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'python 3.11 or newer is needed: make setup PYTHON=python3.12' >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'installing into .venv, once: two to four minutes'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## simulate a city, build, train, evaluate, recommend: about five minutes
	@mkdir -p demo && rm -rf $(CITY)
	$(BIN)/graphrec simulate $(CITY)
	$(BIN)/graphrec build $(CITY)/events.csv --items $(CITY)/items.csv --users $(CITY)/users.csv --locations $(CITY)/locations.csv --text-model minilm --out $(CITY)/graph
	$(BIN)/graphrec train $(CITY)/graph --out $(CITY)/run
	$(BIN)/graphrec evaluate $(CITY)/run --split test
	$(BIN)/graphrec recommend $(CITY)/run --user u0000 -k 5 --explain
	@echo "The report: $(CURDIR)/$(CITY)/run/report.html"

test: setup  ## all tests that take seconds, over two processes, with their coverage
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not real" --cov --cov-report=json
	@$(BIN)/python -c 'import json; total = json.load(open("coverage.json"))["totals"]; \
	  print("coverage: {percent_statements_covered:.1f}% of lines, {percent_branches_covered:.1f}% of branches".format(**total))'

test-slow: setup  ## the tests that take minutes
	$(BIN)/python -m pytest -m "slow and not real"

test-spark: setup  ## the tests of Spark against DuckDB: needs Java 17, installs 400 MB
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[spark]'
	$(BIN)/python -m pytest tests/engine/test_spark.py

test-real: setup  ## the tests on real logs, in the folder that GRAPHREC_DATA names
	@test -d "$(GRAPHREC_DATA)" || { echo 'set GRAPHREC_DATA to the folder with the real logs' >&2; exit 1; }
	$(BIN)/python -m pytest -m real

check: setup  ## formatting, lint, types, who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## the measured numbers of benchmarks/, again
	@for script in $(filter-out benchmarks/stand_in% benchmarks/page.py,$(wildcard benchmarks/*.py)); do echo $(BIN)/python $$script; $(BIN)/python $$script || exit 1; done

docs: setup  ## build the documentation in site/, every link checked
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/python -m pytest tests/test_site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site: $(CURDIR)/site/index.html"

architecture: setup  ## the picture of docs/architecture.md, drawn anew from the imports
	$(BIN)/python docs/draw_architecture.py

picture: setup  ## the terminal session of README.md, recorded anew
	$(BIN)/python docs/record_session.py

findings:  ## what findings/ says of other libraries, run again: needs a package index, minutes each
	@failed=; for script in findings/*.sh; do echo "$$script"; bash "$$script" || failed="$$failed $$script"; done; \
	  test -z "$$failed" || { echo "no longer so:$$failed" >&2; exit 1; }

package: setup  ## wheel and sdist, installed and used in an empty environment, each extra alone: ten minutes and more
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python tests/packaging/install.py dist/*.whl

clean:  ## remove what the verbs made, but .venv
	rm -rf demo site build dist *.egg-info .coverage coverage.json .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
