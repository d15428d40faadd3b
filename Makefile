# The two commands of the README: `make demo` and `make test`. Both need python >= 3.10 with venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The root is the package: keep it off sys.path, or `import evaluate` would find ours.
export PYTHONSAFEPATH := 1
export NO_ALBUMENTATIONS_UPDATE := 1
WORKERS ?= 2
DEMO ?= demo-out

# The tools that look at dependencies stay out of the environment that they look at.
SUPPLY := $(VENV)-supply

.PHONY: demo test check format lint types lock licences licences-check supply audit sbom torture fuzz bench clean

demo: $(VENV)/ready
	$(BIN)/flawsmith demo $(DEMO)/strips --kind severstal --count 48 --seed 7
	$(BIN)/flawsmith run $(DEMO)/strips $(DEMO)/run --count 60 --seed 7 \
	    --methods classical,paste,inpaint --inpaint-steps 300 || test $$? -eq 4
	$(BIN)/flawsmith inpaint sheet $(DEMO)/run/stages/inpaint/run $(DEMO)/strips $(DEMO)/sheet.png
	@echo "data:     $(DEMO)/run/dataset, and $(DEMO)/run/candidates if it was not found to help"
	@echo "report:   $(DEMO)/run/report.html"
	@echo "what the painter learned in 300 steps: $(DEMO)/sheet.png"

# A file stays in one process: what its tests share is made once.
test: $(VENV)/ready supply lint types
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# All of it. What could not be done without the network is said, and is no pass.
check: test licences-check
	@if test -x $(SUPPLY)/bin/cyclonedx-py; then $(MAKE) --no-print-directory sbom; \
	    else echo "NOT MADE: the bill of materials; cyclonedx-bom is not installed"; fi
	$(BIN)/python tools/audit.py --tool $(SUPPLY)/bin/pip-audit || test $$? -eq 3

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(VENV)/ready .typing/flawsmith
	$(BIN)/mypy

# Commands killed, stopped and cut off from the disk, for so many seconds; SEED chooses the moments.
SECONDS_OF_TORTURE ?= 1500
SEED ?= 1
torture: $(VENV)/ready
	FLAWSMITH_TORTURE=$(SECONDS_OF_TORTURE) FLAWSMITH_TORTURE_SEED=$(SEED) \
	    $(BIN)/python -m pytest tests/test_torture.py -q -s

# So many new inputs a test; the counts of each kind are printed at the end.
INPUTS ?= 5000
fuzz: $(VENV)/ready
	FLAWSMITH_FUZZ=$(INPUTS) $(BIN)/python -m pytest -n $(WORKERS) -q -s tests/test_fuzz.py \
	    tests/test_fuzz_pictures.py tests/test_fuzz_files.py tests/test_fuzz_weights.py \
	    tests/test_fuzz_studio.py tests/test_fuzz_kept.py

bench: $(VENV)/ready
	$(BIN)/python benchmarks/all.py $(BENCH)

licences: $(VENV)/ready
	$(BIN)/python tools/licences.py

licences-check: $(VENV)/ready
	$(BIN)/python tools/licences.py --check

# Exit code 3 where nothing, or not all, could be looked up.
audit: $(VENV)/ready $(SUPPLY)/ready
	$(BIN)/python tools/audit.py --tool $(SUPPLY)/bin/pip-audit

sbom: $(VENV)/ready $(SUPPLY)/ready
	$(BIN)/python tools/sbom.py sbom.cdx.json --tool $(SUPPLY)/bin/cyclonedx-py

# Without them (no index reachable) the tests go on: the one that makes the bill is skipped, and says so.
# One more try, and short: nobody waits for an index that is not there.
supply:
	@$(MAKE) --no-print-directory $(SUPPLY)/ready || echo "note: pip-audit, cyclonedx-bom not installed"

$(SUPPLY)/ready:
	test -x $(SUPPLY)/bin/python || $(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --quiet --retries 1 --timeout 10 pip-audit==2.10.1 cyclonedx-bom==7.5.0
	touch $@

# The lock holds for Python 3.11; other versions resolve from the ranges in pyproject.toml.
$(VENV)/ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	    $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
	    $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	else \
	    $(BIN)/python -m pip install --quiet -e '.[dev]'; \
	fi
	touch $@

# mypy finds the package `flawsmith` through this link, since the root carries no such name.
.typing/flawsmith:
	mkdir -p .typing
	ln -sfn .. $@

lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	printf 'torch==2.14.1\ntorchvision==0.29.1\n' > $(VENV)-lock/pins.txt
	$(VENV)-lock/bin/uv pip compile pyproject.toml --extra dev --constraint $(VENV)-lock/pins.txt \
	    --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    --allow-unsafe --output-file requirements.lock
	rm -rf $(VENV)-lock

clean:
	rm -rf build dist *.egg-info .typing .mypy_cache .ruff_cache .pytest_cache
