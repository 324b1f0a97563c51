# make demo   set everything up, then the main job: collect -> train -> evaluate -> report
# make lint   set everything up, then ruff and pyright
# make test   the same, then the whole test suite
# make clean  forget the virtual environment and what the demo wrote

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
GYM_ALOHA := $(VENV)/gym-aloha
DEMO := out/demo
JOBS ?= 2
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)

# One thread per process: the processes share the cores, and numpy is not the bottleneck.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test lint clean
.DEFAULT_GOAL := demo

# Not compiled: of 20,000 modules few are ever imported, and those compile then.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed:" \
	  "install python3.11 and python3.11-venv, or run make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing sandbot and what it needs into $(VENV) (once, a minute or two)"
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check \
	  -c constraints.txt -e '.[test]'
	@touch $@

demo: $(STAMP)
	rm -rf $(DEMO)
	$(BIN)/sandbot collect arm-reach --policy computed-torque --episodes 200 --out $(DEMO)/data
	$(BIN)/sandbot train bc --data $(DEMO)/data --task arm-reach --out $(DEMO)/bc
	$(BIN)/sandbot eval arm-reach --policy $(DEMO)/bc computed-torque \
	  --engine mujoco bullet --randomize none train gap --episodes 200 --report $(DEMO)/report
	@echo "The report is $(CURDIR)/$(DEMO)/report/index.html: open it in a browser."

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# Its scenes are what ours are compared with. Only unpacked: it wants an old MuJoCo.
$(GYM_ALOHA)/.unpacked: $(STAMP)
	@$(BIN)/pip download --quiet --disable-pip-version-check --no-deps \
	  --no-binary :none: --dest $(GYM_ALOHA) gym-aloha==0.1.5
	@$(BIN)/python -m zipfile -e $(GYM_ALOHA)/gym_aloha-*.whl $(GYM_ALOHA)
	@touch $@

test: lint $(GYM_ALOHA)/.unpacked
	$(BIN)/pytest -n $(JOBS) -q

clean:
	rm -rf $(VENV) $(DEMO)
