# The course's commands; `make` alone lists them. Works with GNU Make 3.81 (macOS) and newer, and a POSIX shell.

VENV ?= .venv
# An interpreter of your choice, 3.11 or newer; when empty, the first that fits of the names below.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3 python)
# Further arguments for the command behind a target: make test ARGS="-k data", make study ARGS="--only table1"
ARGS ?=
# FRESH=1 makes the study run again what the results store holds already.
FRESH ?=
# ALL=1 runs the slow tests too: every lesson, the browser, Ray, kill and resume.
ALL ?=

RUN := $(VENV)/bin/python
INSTALL := $(RUN) tools/install.py
# Two workers of one thread each; -n 0 in ARGS runs everything in one process.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile

# A stamp is written when an installation has come to its end, so an interrupted one is taken up again. It holds the
# folder it was made for: after the checkout was moved, or when the interpreter is gone, everything is set up anew.
STAMP := $(VENV)/course-installed
TEST_STAMP := $(VENV)/course-test-installed
SITE_STAMP := $(VENV)/course-site-installed
STAMPED_FOR := $(shell $(RUN) -c '' 2>/dev/null && cat $(STAMP) 2>/dev/null)
ifneq ($(STAMPED_FOR),$(CURDIR))
STALE := stale
endif

.PHONY: help course lab doctor test study report site copies stick clean stale

help:  ## list these commands
	@echo "Usage: make COMMAND [COURSE_PROFILE=quick|laptop|full] [FRESH=1] [ALL=1] [ARGS=...] [PYTHON=...] [VENV=...]"
	@echo
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

course: $(STAMP)  ## set up, execute every lesson, draw Fig. 1 and Tables I-IV, and say where they are
	@$(RUN) -m course_lib course $(ARGS)

lab: $(STAMP)  ## set up, then open JupyterLab on the lessons
	@$(RUN) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ARGS)

doctor: $(STAMP)  ## set up, then say what this machine has, how fast it trains, and what to do
	@$(RUN) -m course_lib doctor $(ARGS)

test: $(TEST_STAMP)  ## set up, then run the tests (ALL=1: the slow ones too)
	@$(PYTEST) $(if $(ALL),,-m "not slow") $(ARGS)

study: $(STAMP)  ## set up, then train what Tables I-IV still lack (ARGS="--list" shows it only)
	@$(RUN) -m course_lib study $(if $(FRESH),--fresh) $(ARGS)

report: $(STAMP)  ## set up, then draw Fig. 1 and Tables I-IV from the results store into figures/
	@$(RUN) -m course_lib report $(ARGS)

site: $(SITE_STAMP)  ## set up, then make web pages of the committed lessons in build/site/ (ARGS=FOLDER: elsewhere)
	@$(RUN) docs/build.py $(ARGS)

copies: $(STAMP)  ## give a student a copy of all lessons, without outputs (ARGS="--to FOLDER")
	@$(RUN) -m course_lib copies $(ARGS)

stick: $(STAMP)  ## fill build/stick/ with all that a room without a network needs (ARGS="--out FOLDER": elsewhere)
	@$(RUN) -m course_lib stick $(ARGS)

clean:  ## remove what commands leave behind (not .venv, data/cache or the results)
	rm -rf build .pytest_cache .ruff_cache *.egg-info
	find course_lib tests notebooks tools -name __pycache__ -prune -exec rm -rf {} +
	find notebooks -name .ipynb_checkpoints -prune -exec rm -rf {} +

$(STAMP): pyproject.toml $(STALE)
	@$(RUN) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	for python in $(CANDIDATES); do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    if [ -f $(VENV)/pyvenv.cfg ]; then clear=--clear; else clear=; fi; \
	    exec "$$python" -m venv $$clear $(VENV); \
	  fi; \
	done; \
	echo "course: no Python 3.11 or newer with its venv module among: $(CANDIDATES). Install one (on Debian and" \
	  "Ubuntu also the package python3-venv), or name yours: make course PYTHON=/path/to/python3" >&2; \
	exit 1; }
	@echo "Installing into $(VENV): once, some minutes; torch brings its CUDA libraries on Linux (about 6 GB in all)"
	@rm -f $(STAMP) $(TEST_STAMP) $(SITE_STAMP)
	@$(INSTALL) -e .
	@printf '%s\n' "$(CURDIR)" > $(STAMP)

$(TEST_STAMP): $(STAMP)
	@echo "Installing what the tests need"
	@$(INSTALL) -e '.[test]'
	@touch $(TEST_STAMP)

$(SITE_STAMP): $(STAMP)
	@echo "Installing what the web pages need"
	@$(INSTALL) -e '.[site]'
	@touch $(SITE_STAMP)
