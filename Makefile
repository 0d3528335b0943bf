# `make lab` opens the course, `make test` checks all of it. Both make the environment first, if it is not there.
# LAB_FLAGS go to JupyterLab, PYTHON names the python to use, and TEST_FLAGS go to pytest.
LAB_FLAGS =
TEST_FLAGS =
BIN = .venv/bin
FIRST = notebooks/00_start_here.ipynb
LAB = --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(FIRST) --log-level=WARN
LAB += $(if $(filter 0,$(shell id -u)),--allow-root)

# Threads that wait for one another give the core back soon. Attention over a million tokens on two cores, one of them
# busy with something else: 4.4 s in place of 5.5; idle: 1.7 s and 1.6.
export GOMP_SPINCOUNT ?= 1000

.PHONY: help lab test style
help:
	@echo "make lab    install what is missing and open JupyterLab on $(FIRST)"
	@echo "            (make lab LAB_FLAGS='--no-browser --port 8899'; make lab PYTHON=/path/to/python3.12)"
	@echo "make test   install what is missing and run every test: style, package, grader, notebooks, browser"
	@echo "make style  only the fast ones: format, lint, types, floors"

lab:
	@sh .ci/environment lab
	@echo "Opening JupyterLab on $(FIRST) (Ctrl-C here ends it)"
	@exec $(BIN)/python -m jupyterlab $(LAB) $(LAB_FLAGS)

style:
	@sh .ci/environment test
	@echo "Style: format, lint, types, and that no room imports from a floor above it"
	@$(BIN)/python -m ruff format --check --quiet .
	@$(BIN)/python -m ruff check --quiet .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo

test: style
	@echo "Tests: the package, the grader, every notebook against its stored outputs, and a real browser"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --max-worker-restart 0 $(TEST_FLAGS)
