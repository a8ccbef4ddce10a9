# A fresh machine needs Python 3.11 and make. Every target sets up .venv first; MAGE_PYTHON names another interpreter.
MAGE_PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# files side by side, each whole in one process, so that what a file builds for its tests is built once
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile

.PHONY: setup demo test test-all check bench gallery clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(MAGE_PYTHON) >/dev/null || { echo "error: $(MAGE_PYTHON) not found; Blender 4.5 needs Python 3.11 exactly (MAGE_PYTHON=/path/to/python3.11 make ...)"; exit 1; }
	@$(MAGE_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $(MAGE_PYTHON) is not Python 3.11, which Blender 4.5 needs exactly"; exit 1; }
	@echo "== virtual environment in $(VENV)"
	@test -x $(PY) || $(MAGE_PYTHON) -m venv $(VENV)
	@echo "== installing MAGE with every extra (Blender and PyTorch: about 1 GB)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --only-binary=:all: --no-binary=jsonpath-rw -c constraints.txt -e '.[all,dev]'
	@$(PY) -m mage.scenes.doctor --libraries
	@touch $@

demo: setup
	@echo "== rendering 4 pairs of the bundled procedural city into out/demo"
	@$(VENV)/bin/mage generate flood --out out/demo
	@$(VENV)/bin/mage verify out/demo
	@echo "== open out/demo/report.html in a browser"

test: setup
	@echo "== tests (minutes; the long ones are in 'make test-all')"
	@$(PY) -m pytest -m "not long" $(SIDE_BY_SIDE)

test-all: setup
	@echo "== the long tests"
	@$(PY) -m pytest -m long $(SIDE_BY_SIDE)

check: setup
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@mkdir -p build/types && ln -sfn ../.. build/types/mage
	@$(PY) -m mypy -p mage.scenes -p mage.generator -p mage.learning -p mage.assets

SHORT := peers sim2real maps

bench: setup
	@for script in $(filter-out $(SHORT:%=benchmarks/%.py) benchmarks/gallery.py benchmarks/bundle.py benchmarks/bundle_water.py benchmarks/observed.py benchmarks/figures.py benchmarks/pretext.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(PY) $$script || exit 1; done
	@for script in $(SHORT); do echo "== benchmarks/$$script.py, its short form"; $(PY) benchmarks/$$script.py --short || exit 1; done

gallery: setup
	@echo "== all styles before and after, beside real imagery where there is some"
	@$(PY) benchmarks/gallery.py out/gallery

clean:
	rm -rf build *.egg-info .mypy_cache .ruff_cache out
