# One command from a fresh machine with Python 3.10-3.12, pip and make:
#
#   make app      set everything up and edit faces
#   make test     set everything up and run all tests
#   make torture  set everything up and try for about an hour to break it: kills, damaged files, a crowd in the app
#   make train    set everything up and train on the sample that ships with the project
#   make compare  set everything up and compare what is in output/: a table, and the page output/report.html
#   make setup    only the environment
#   make clean    remove caches and unfinished downloads (environment, models and results stay)
#
# Settings, as in `make app PYTHON=python3.12`:
#   PYTHON   interpreter that the environment is made with (default: the first of python3, python3.12,
#            python3.11, python3.10 that fits)
#   VENV     the environment (default: .venv); an existing one is used as it is, and what is installed in it
#            and fits the requirements is kept, so another build of torch can be installed first
#   JOBS     how many processes test at once (default: 2; each needs about 3 GB)
#   ARGS     further arguments of the command, as in `make test ARGS="-k drag"`

PYTHON ?=
VENV ?= .venv
JOBS ?= 2
ARGS ?=
RUN := "$(VENV)/bin/python"
PIP := $(RUN) -m pip --disable-pip-version-check
FITS := 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'

.PHONY: help app test torture train compare setup clean

help:
	@sed -n 's/^#   make/  make/p' Makefile

app: setup
	$(RUN) download_models.py
	$(RUN) draggan/gragan_modify.py $(ARGS)

test: $(VENV)/.installed-dev
	$(RUN) download_models.py
	$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

torture: $(VENV)/.installed-dev
	$(RUN) download_models.py
	$(RUN) tests/robustness/torture.py $(ARGS)

train: setup
	$(RUN) download_models.py mobilenet_v2
	$(RUN) train_cgan.py --dataset datasets/faces --max-minutes 5 --val-every 4 $(ARGS)

compare: setup
	$(RUN) compare_runs.py output --out output/report.html $(ARGS)

setup: $(VENV)/.installed

# The stamps are written last: an installation that was interrupted is taken up again, and a changed
# requirements file is installed again.
$(VENV)/.installed: requirements.txt
	$(make-environment)
	$(PIP) install -r requirements.txt
	@touch "$@"

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PIP) install -r requirements-dev.txt
	@touch "$@"

# An environment without a working pip is one whose making was interrupted: the same command mends it.
define make-environment
@found=; if ! $(PIP) --version >/dev/null 2>&1; then \
  for python in $(or $(PYTHON),python3 python3.12 python3.11 python3.10); do \
    if "$$python" -c $(FITS) >/dev/null 2>&1; then found=$$python; break; fi; \
  done; \
  if [ -z "$$found" ]; then \
    echo "error: $(or $(PYTHON),python3) is not Python 3.10, 3.11 or 3.12;" \
      "install one of them and name it: make PYTHON=/path/to/python3.12" >&2; exit 2; \
  fi; \
  echo "making the environment $(VENV) with $$("$$found" --version)"; \
  "$$found" -m venv "$(VENV)" || { echo "error: $$found cannot make the environment $(VENV)" \
    "(on Debian and Ubuntu: apt install python3-venv)" >&2; exit 2; }; \
elif ! $(RUN) -c $(FITS); then \
  echo "error: $(VENV) has $$($(RUN) --version), and this needs Python 3.10, 3.11 or 3.12;" \
    "delete it, or take another: make VENV=.venv312 PYTHON=python3.12" >&2; exit 2; \
fi
endef

clean:
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
	rm -rf .pytest_cache .ruff_cache test-output checkpoints/.download-* checkpoints/*.part checkpoints/*.part.json
