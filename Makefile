# make demo   the synthetic data set, all models on it, a table and out/index.html
# make test   everything the project promises; closes with "N passed, M failed"
# make lab    the notebooks in JupyterLab
# make lab-test  three explorers moved by hand there, in a browser
# make site   the course as pages that are read without network, with its slides:
#             out/site/index.html
# make site-test  look at them in a browser
# make slides the main path of every notebook as slides, without network: out/slides
# make slides-test  look at them in a browser
# make assignments  what students get, and their marking tried: out/assignments; the quiz
#             is read back by another program's parser
# make export after editing notebooks: navigation, modules, stubs and README.md follow them
# make save NB=12_padim   run notebooks (all without NB) and store their outputs
# make verify NB=12_padim run notebooks (all without NB), compare with the stored outputs
#
# The first run creates .venv and installs into it. Another Python: make test PYTHON=python3.12
# On Linux the ordinary torch brings CUDA libraries (several GB).

PYTHON ?= python3
NB ?=
BIN := .venv/bin
READY := .venv/.installed
LAB := .venv/.lab
SITE := .venv/.site
SLIDES := .venv/.slides
COURSE := .venv/.course
TOOL := $(BIN)/python tools/notebooks.py
MIN_PYTHON := $(shell sed -n 's/^min_python *= *//p' settings.ini)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lab site site-test slides slides-test assignments lab-test export save verify clean

demo: $(READY)
	@$(BIN)/anomaly_nb demo --out out

test: $(READY)
	@$(TOOL) all

lab: $(LAB)
	@$(BIN)/jupyter lab nbs/index.ipynb

lab-test: $(LAB)
	@$(BIN)/python tools/test_lab.py

site: $(SLIDES)
	@$(BIN)/python tools/slides.py out/slides
	@$(BIN)/python tools/site.py out/site

site-test: $(SITE)
	@$(BIN)/python tools/test_site.py out/site

slides: $(SLIDES)
	@$(BIN)/python tools/slides.py out/slides $(NB)

slides-test: $(SLIDES)
	@$(BIN)/python tools/test_slides.py out/slides

assignments: $(COURSE)
	@$(BIN)/python tools/assignments.py build out/assignments
	@$(BIN)/python tools/assignments.py mark out/assignments
	@$(BIN)/python tools/test_quiz.py

export: $(READY)
	@$(TOOL) export

save: $(READY)
	@$(TOOL) save $(NB)

verify: $(READY)
	@$(BIN)/python tools/verify.py $(NB)

clean:
	rm -rf .venv out build *.egg-info

# A stamp file: the environment is made again only when what it holds was edited.
# Of the many thousand files most are never imported; those that are get compiled here, once,
# also where PYTHONDONTWRITEBYTECODE would have every new process do it again (15 s each).
$(READY): settings.ini setup.py pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found." \
	  "Name a Python $(MIN_PYTHON) or newer: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; need = "$(MIN_PYTHON)"; \
	  sys.exit(0 if sys.version_info >= tuple(map(int, need.split("."))) else \
	  "Python " + need + " or newer is needed, and $(PYTHON) is " + sys.version.split()[0] \
	  + ". Name another one: make PYTHON=python" + need)'
	@echo "Creating .venv and installing the package with all it needs (torch is large:" \
	  "this takes minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --no-compile -e '.[dev]'
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c "import anomaly_nb.benchmark, anomaly_nb.published, distributed"
	@touch $@

$(LAB): $(READY)
	@echo "Installing JupyterLab into .venv (once)"
	@$(BIN)/python -m pip install -q jupyterlab ipyevents playwright
	@touch $@

# Sphinx from PyPI; from npm MathJax, which goes into the site, and axe-core, which tests it
$(SITE): $(READY)
	@command -v npm >/dev/null || { echo "npm: not found. Install Node.js"; exit 1; }
	@echo "Installing Sphinx, MathJax and axe-core into .venv (once)"
	@$(BIN)/python -m pip install -q --no-compile -e '.[site]'
	@npm install --prefix .venv/npm --silent --no-audit --no-fund mathjax@3 axe-core@4
	@touch $@

# reveal.js 6 keeps its plugins elsewhere
$(SLIDES): $(SITE)
	@echo "Installing reveal.js into .venv (once)"
	@npm install --prefix .venv/npm --silent --no-audit --no-fund reveal.js@5
	@touch $@

$(COURSE): $(READY)
	@echo "Installing otter-grader and a parser of quizzes into .venv (once)"
	@$(BIN)/python -m pip install -q --no-compile -e '.[course]'
	@$(BIN)/python -m pip install -q --no-compile --no-deps pygiftparser yattag
	@touch $@
