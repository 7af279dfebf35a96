"""Wrong usages of every command: each is refused in one line with what is wrong and how to mend it, and nothing is made."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hostile_models
import pytest

from starmill.cli import __main__ as cli

RECIPE = "workspace: w\nsources: {input: {kind: folders, roots: [in]}}\n"
# (command line, words of the one line), below a folder that `place` fills.
WRONG = [
    # the command itself
    ("funel", "Did you mean 'funnel'?"),
    ("--funnel", "No such option: --funnel"),
    ("run --wrokers 3", "--workers"),
    ("run r.yaml more", "unexpected extra argument"),
    ("why", "Missing argument 'file'"),
    ("estimate r.yaml", "Missing option '--files'"),
    ("launch", "Missing command"),
    ("launch sulrm", "No such command 'sulrm'"),
    ("run --workspace", "'--workspace' requires an argument"),
    # numbers
    ("run r.yaml --workers 0", "--workers '0'"),
    ("run r.yaml --workers -1", "--workers '-1'"),
    ("run r.yaml --workers 1e9", "--workers '1e9'"),
    ("run r.yaml --workers 1000000000", "--workers less than or equal to 1024"),
    ("verify r.yaml --stage curate --sample -1", "--sample greater than or equal to 1"),
    ("verify r.yaml --stage curate --sample 0", "--sample greater than or equal to 1"),
    ("verify r.yaml --stage cruate", "--stage cruate no such stage curate"),
    ("verify r.yaml", "give --all, or one --stage of: ingest"),
    ("verify r.yaml --all --stage curate", "give --all, or one --stage"),
    ("funnel --recipe r.yaml --languages -3", "--languages"),
    ("contamination in", "Missing option '--benchmark'"),
    ("contamination in --benchmark smoke", "in no dataset"),
    ("contamination in --benchmark humanevall=x.jsonl", "humanevall describes no benchmark 'humaneval'"),
    ("contamination in --benchmark smoke --only exakt", "--only exakt no such matcher exact"),
    ("why x --recipe r.yaml --diff-lines -3", "--diff-lines"),
    ("locate --recipe r.yaml --nth -1", "--nth"),
    ("locate --recipe r.yaml --seed 99999999999999999999", "--seed"),
    ("bench r.yaml --megabytes nan", "--megabytes nan"),
    ("bench r.yaml --megabytes -1", "--megabytes -1"),
    ("bench r.yaml --rounds 0", "--rounds"),
    ("bench r.yaml --rates in", "--rates in a folder"),
    ("bench r.yaml --rates r.yaml/x", "--rates r.yaml no folder"),
    ("estimate r.yaml --files nan --bytes 1 --workers 1", "--files nan"),
    ("estimate r.yaml --files 10GB --bytes 1 --workers 1", "--files 10GB"),
    ("estimate r.yaml --files 1 --bytes inf --workers 1", "--bytes inf"),
    ("estimate r.yaml --files 1 --bytes 1 --workers 0", "--workers"),
    ("estimate r.yaml --files 1 --bytes 1 --workers 1 --duplicates 80", "--duplicates 80"),
    ("estimate r.yaml --files 1 --bytes 1 --workers 1 --latency -1", "--latency"),
    ("estimate r.yaml --files 1 --bytes 1 --workers 1 --rates none.json", "none.json starmill bench"),
    ("estimate r.yaml --files 1 --bytes 1 --workers 1 --rates r.yaml", "r.yaml starmill bench"),
    ("estimate r.yaml --files 1 --bytes 1 --workers 1 --rates in", "in a folder"),
    ("train t.yaml --processes 0", "--processes"),
    ("train t.yaml --processes 99999999", "--processes"),
    ("complete m --prompt x --temperature -1", "--temperature -1"),
    ("complete m --prompt x --temperature nan", "--temperature nan"),
    ("complete m --prompt x --top-p 0", "--top-p"),
    ("complete m --prompt x --top-p 2", "--top-p"),
    ("complete m --prompt x --top-p nan", "--top-p"),
    ("complete m --prompt x --top-k -1", "--top-k"),
    ("complete m --prompt x --max-new-tokens -1", "--max-new-tokens"),
    ("complete m --prompt x --max-new-tokens 1000000000000", "--max-new-tokens"),
    ("complete m --prompt x --seed -1", "--seed"),
    ("launch slurm t.yaml --nodes 0 --dry-run", "--nodes"),
    ("launch slurm t.yaml --gpus-per-node -1 --dry-run", "--gpus-per-node"),
    ("launch slurm t.yaml --save-seconds 0 --dry-run", "--save-seconds"),
    ("launch slurm t.yaml --time tomorrow --dry-run", "--time tomorrow days-hours"),
    ("launch slurm t.yaml --array 1-x --dry-run", "--array"),
    ("launch slurm t.yaml --sbatch 'rm -rf' --dry-run", "--sbatch"),
    ("launch slurm t.yaml --array 0-1 --dry-run", "--array 0-1 %a"),
    ("launch slurm t.yaml --array 0-99999999999 --dry-run", "--array"),
    ("launch kubernetes t.yaml --name Big_Name --dry-run", "--name Big_Name lower-case"),
    ("launch kubernetes t.yaml --image 'a b' --dry-run", "--image"),
    ("launch kubernetes t.yaml --overlay nowhere --dry-run", "nowhere"),
    ("pool --address nowhere", "--address nowhere host:port"),
    ("pool --address 127.0.0.1:99999", "--address 127.0.0.1:99999 to 65,535"),
    ("pool --address 127.0.0.1:x", "--address 127.0.0.1:x"),
    # empty texts
    ("run r.yaml --workspace ''", "--workspace an empty text"),
    ("run '' --workspace w", "RECIPE an empty text"),
    ("run r.yaml --input ''", "--input an empty text"),
    ("run r.yaml --set ''", "--set an empty text"),
    ("funnel --workspace ''", "--workspace an empty text"),
    ("why '' --workspace w", "FILE an empty text"),
    ("train t.yaml --output ''", "--output an empty text"),
    ("complete m --prompt ''", "--prompt an empty text"),
    ("complete '' --prompt x", "MODEL an empty text"),
    ("complete m --prompt x --stop ''", "--stop an empty text"),
    ("locate '' --workspace w", "WHAT an empty text"),
    # recipes that are none
    ("run no-such", "no-such no such recipe smoke"),
    ("run smok", "smok no such recipe did you mean 'smoke'"),
    ("run none/r.yaml", "none/r.yaml no such recipe"),
    ("run in", "in a folder"),
    ("run link.yaml", "link.yaml no such recipe"),
    ("run loop.yaml", "loop.yaml"),
    ("run pipe.yaml", "pipe.yaml a pipe"),
    ("run binary.yaml", "binary.yaml not UTF-8"),
    ("run utf16.yaml", "utf16.yaml not UTF-8"),
    ("run nul.yaml", "nul.yaml not readable as YAML #x0000"),
    ("run list.yaml", "list.yaml mapping list"),
    ("run text.yaml", "text.yaml mapping str"),
    ("run bomb.yaml", "bomb.yaml aliases"),
    ("run deep.yaml", "deep.yaml brackets"),
    ("run huge.yaml", "huge.yaml bytes"),
    ("run tagged.yaml", "tagged.yaml tags"),
    ("run twice.yaml", "twice.yaml key 'workspace' twice"),
    ("run tab.yaml", "tab.yaml line"),
    ("run unhashable.yaml", "unhashable.yaml"),
    ("run keys.yaml", "keys.yaml unknown key '1'"),
    ("run old.yaml", "old.yaml `source` is now `sources`"),
    ("run t.yaml", "t.yaml unknown key 'output' valid: workspace"),
    ("train r.yaml", "r.yaml unknown key 'sources'"),
    ("train in", "in a folder"),
    ("plan binary.yaml", "binary.yaml not UTF-8"),
    ("export none.yaml", "none.yaml no such recipe"),
    ("funnel --recipe binary.yaml", "binary.yaml not UTF-8"),
    ("funnel --recipe empty.yaml", "empty.yaml workspace --workspace"),
    ("status --recipe empty.yaml --set workspace=3", "workspace=3 --workspace"),
    ("run empty.yaml", "empty.yaml workspace give a value"),
    # --set
    ("run r.yaml --set x", "--set x key=value"),
    ("run r.yaml --set =", "--set = key=value"),
    ("run r.yaml --set =b", "--set =b key=value"),
    ("run r.yaml --set a=", "unknown key 'a'"),
    ("run r.yaml --set a..b=1", "--set a..b=1 key=value"),
    ("run r.yaml --set .a=1", "--set .a=1 key=value"),
    ("run r.yaml --set minhash.=1", "--set minhash.=1 key=value"),
    ("run r.yaml --set 'a[0]=1'", "unknown key 'a[0]'"),
    ("run r.yaml --set 'a={'", "--set a={ YAML"),
    ("run r.yaml --set 'a=['", "--set a=[ YAML"),
    ("run r.yaml --set minhash=", "minhash a section with keys None"),
    ("run r.yaml --set workspace.x=1", "'workspace' is a value"),
    ("run r.yaml --set sources.input.roots.7=x", "'7' is no entry of a list of 1"),
    ("run r.yaml --set sources.input.roots.-1=x", "'-1' is no entry"),
    ("run r.yaml --set sources.input.roots.²=x", "'²' is no entry"),
    ("run r.yaml --set workspace=", "workspace expected None"),
    ("run r.yaml --set 'workspace=\"\"'", "workspace not empty ''"),
    ("run r.yaml --set 'workspace=\" \"'", "workspace not empty ' '"),
    ("run r.yaml --set 'workspace=\"a\\nb\"'", "workspace control characters"),
    ("run r.yaml --set minhash.permutations=4e9", "minhash.permutations from 1 to 4,096 4000000000.0"),
    ("run r.yaml --set minhash.permutations=4000000000", "minhash.permutations from 1 to 4,096"),
    ("run r.yaml --set minhash.rounds=99999999999", "minhash.rounds from 0 to 100 99999999999"),
    ("run r.yaml --set minhash.treshold=0.8", "did you mean 'threshold'"),
    ("run r.yaml --set minhash.threshold=.nan", "minhash.threshold nan"),
    ("run r.yaml --set minhash.threshold=70", "minhash.threshold at most 1 70"),
    ("run r.yaml --set minhash.bands=0", "minhash.bands"),
    ("run r.yaml --set 'minhash.splits={a: [{b: c}]}'", "minhash.splits.a[0]"),
    ("run r.yaml --set 'minhash={[a]: 1}'", "--set unhashable"),
    ("run r.yaml --set ingest.part_bytes=10GB", "ingest.part_bytes from 1 to 10GB"),
    ("run r.yaml --set ingest.part_bytes=-1", "ingest.part_bytes -1"),
    ("run r.yaml --set ingest.part_bytes=1e6", "ingest.part_bytes int 1000000.0"),
    ("run r.yaml --set ingest.part_bytes=2026-01-01", "ingest.part_bytes '2026-01-01'"),
    ("run r.yaml --set max_error_rate=1%", "max_error_rate '1%'"),
    ("run r.yaml --set max_error_rate=5", "max_error_rate from 0 to 1"),
    ("run r.yaml --set curate.quality.languages.keep=[python]", "did you mean 'Python'"),
    ("run r.yaml --set curate.quality.languages.keep=Python", "curate.quality.languages.keep list"),
    ("run r.yaml --set kinds.isue.release.benchmarks=[]", "kinds.isue 'isue' is no kind of record"),
    ("run r.yaml --set sources.input.kind=folder", "did you mean 'folders'"),
    ("run r.yaml --set sources.input=3", "sources.input section 3"),
    ("run r.yaml --set sources.input.roots=in", "sources.input.roots list"),
    ("run r.yaml --set sources.input.roots=[none]", "none no such folder"),
    ("run r.yaml --set sources={}", "no `sources` --input"),
    ("run r.yaml --set 'sources={a/b: {kind: folders, roots: [in]}}'", "sources.a/b a name of letters"),
    ("run r.yaml --set sources.input.include=[3]", "sources.input.include[0] 3"),
    ("run r.yaml --set sources.input.max_repositories=0", "sources.input.max_repositories from 1"),
    ("run r.yaml --set sources.input=null", "sources.input section None"),
    ("run r.yaml --set ingest=[]", "ingest section []"),
    ("run r.yaml --set ingest=null", "ingest section None"),
    ("run r.yaml --set 'a=*b'", "--set a=*b YAML"),
    ("run r.yaml --set 'minhash={<<: 3}'", "--set YAML"),
    ("run r.yaml --set 'workspace=!!python/object:os.system x'", "--set !!python"),
    ("run r.yaml --set minhash.seed=-1", "minhash.seed from 0"),
    ("run r.yaml --set minhash.seed=0x1ffffffffffffffffff", "minhash.seed from 0"),
    ("run r.yaml --set minhash.permutations=010", "minhash.permutations '010'"),
    ("run r.yaml --set minhash.permutations=1:30", "minhash.permutations '1:30'"),
    ("run r.yaml --set minhash.near=1", "minhash.near bool 1"),
    ("run r.yaml --set 'minhash.near=\"yes\"'", "minhash.near bool 'yes'"),
    ("run r.yaml --set 'measure.text.phrases=[\"\"]'", "measure.text phrases"),
    ("run r.yaml --set max_record_seconds=0", "max_record_seconds above 0"),
    (
        "run r.yaml --set kinds.code.curate.quality.alpha.min_fraction=25",
        "kinds.code.curate.quality.alpha.min_fraction from 0 to 1",
    ),
    ("run r.yaml --set 'sources={\"\": {kind: folders, roots: [in]}}'", "sources"),
    # what the fifth stage reads is checked before the first
    ("run r.yaml --set release.benchmarks=[none]", "no benchmark 'none' ships smoke"),
    ("run r.yaml --set release.benchmarks=[none.jsonl]", "none.jsonl no such file"),
    ("run r.yaml --set release.benchmarks=[empty.jsonl]", "empty.jsonl"),
    ("run r.yaml --set release.benchmarks=[binary.yaml]", "binary.yaml"),
    ("run r.yaml --set release.benchmarks=[in]", "in a folder"),
    ("run r.yaml --set release.benchmarks=[nosuch://x/y.jsonl]", "nosuch"),
    ("run r.yaml --set release.redact.emials=true", "unknown key 'emials'"),
    ("run r.yaml --set tokenizer.path=none.json", "tokenizer.path none.json no such file"),
    ("run r.yaml --set tokenizer.path=r.yaml", "tokenizer.path r.yaml not a tokenizer.json"),
    ("run r.yaml --set tokenizer.path=in", "tokenizer.path in a folder"),
    ("run r.yaml --set tokenizer.path=nosuch://x/y", "tokenizer.path nosuch"),
    ("run r.yaml --set tokenizer.vocab_size=9999999", "tokenizer.vocab_size from 294 to 1,048,576"),
    ("run r.yaml --set format.metadata_rate=2", "format.metadata_rate from 0 to 1"),
    ("run r.yaml --set minhash.earlier=[none]", "minhash.earlier none"),
    ("run r.yaml --set minhash.earlier=[in]", "minhash.earlier in"),
    ("run r.yaml --set minhash.earlier=[w]", "minhash.earlier w"),
    ("tokenize r.yaml --set tokenizer.path=none.json", "tokenizer.path none.json no such file"),
    ("tokenize r.yaml", "starmill release"),
    ("curate r.yaml", "starmill ingest"),
    ("curate r.yaml --dry-run", "starmill ingest"),
    ("dedup r.yaml --set minhash.earlier=[in]", "minhash.earlier in"),
    ("release r.yaml --set release.benchmarks=[none.jsonl]", "none.jsonl no such file"),
    # places
    ("run r.yaml --workspace r.yaml", "r.yaml"),
    ("run r.yaml --workspace r.yaml/w", "r.yaml"),
    ("run r.yaml --workspace in", "workspace is the input"),
    ("run r.yaml --workspace in/w", "lies inside"),
    ("run r.yaml --workspace .", "is around the input"),
    ("run r.yaml --workspace foreign", "foreign not starmill's"),
    ("run r.yaml --workspace link.yaml", "link.yaml"),
    ("run r.yaml --workspace nosuch://x/y", "nosuch"),
    ("run r.yaml --workspace s3://user:pass@bucket/x", "in the environment"),
    ("run r.yaml --workspace 'a\nb'", "workspace control characters"),
    ("run r.yaml --input none", "--input none"),
    ("run r.yaml --input r.yaml", "--input r.yaml"),
    ("run r.yaml --input hollow", "hollow an empty folder"),
    ("run r.yaml --json", "--json --dry-run"),
    ("run r.yaml -- --runner=Nope", "Nope"),
    ("run r.yaml -- --runner", "--runner"),
    ("run r.yaml -- --runner=DataflowRunner", "--workspace"),
    ("funnel --workspace r.yaml", "r.yaml"),
    ("status --workspace nosuch://x", "nosuch"),
    ("why x --workspace none", "none"),
    ("why x:y:z --workspace w", "w"),
    ("locate 0:1 --workspace none", "none"),
    ("locate 0:1 --workspace r.yaml/w", "r.yaml/w"),
    ("locate --workspace w --text ''", "--text"),
    ("verify r.yaml --all", "w"),
    ("verify r.yaml --stage dedup", "starmill"),
    # training
    ("train t.yaml", "starmill run"),
    ("train t.yaml --workspace none", "none"),
    ("train t.yaml --dry-run --workspace r.yaml", "r.yaml"),
    ("train t.yaml --set steps=0", "steps from 1 to"),
    ("train t.yaml --set steps=-5", "steps -5"),
    ("train t.yaml --set steps=1e3", "steps int 1000.0"),
    ("train t.yaml --set optimizer.lr=.nan", "optimizer.lr nan"),
    ("train t.yaml --set optimizer.lr=-1", "optimizer.lr -1"),
    ("train t.yaml --set optimizer.lr=.inf", "optimizer.lr inf"),
    ("train t.yaml --set optimizer.lr=1e-3x", "optimizer.lr 1e-3x"),
    ("train t.yaml --set optimizer.min_lr=1", "optimizer.min_lr above"),
    ("train t.yaml --set optimizer.warmup_steps=9999999", "optimizer.warmup_steps"),
    ("train t.yaml --set data.sequence_length=0", "data.sequence_length"),
    ("train t.yaml --set data.sequence_length=1099511627776", "data.sequence_length"),
    ("train t.yaml --set data.sequence_length=2048", "data.sequence_length max_positions"),
    ("train t.yaml --set data.batch=7", "data.batch=7 data.micro_batch"),
    ("train t.yaml --set data.mixture.languages.python=1", "did you mean 'Python'"),
    ("train t.yaml --set data.mixture.languages.Python=200", "from 0 to 100"),
    ("train t.yaml --set data.fim.rate=50", "data.fim.rate from 0 to 1"),
    ("train t.yaml --set model=nope", "model nope starcoder2-3b"),
    ("train t.yaml --set 'model={preset: [a]}'", "model.preset starcoder2-3b"),
    ("train t.yaml --set 'model={preset: {a: b}}'", "model.preset starcoder2-3b"),
    ("train t.yaml --set model=3", "model 3"),
    ("train t.yaml --set model.layers=2000000000", "model.layers from 1 to 1,000"),
    ("train t.yaml --set model.hidden_size=130", "hidden_size=130 heads"),
    ("train t.yaml --set model.heads=0", "model.heads from 1"),
    ("train t.yaml --set model.vocab_size=-1", "model.vocab_size from 1"),
    ("train t.yaml --set parallel.tensor=3", "parallel.tensor=3"),
    ("train t.yaml --set parallel.precision=fp8", "parallel.precision not one of"),
    ("train t.yaml --set device=cuda --workspace sharded", "device=cuda"),
    ("train t.yaml --set device=gpu", "device not one of auto, cpu, cuda"),
    ("train t.yaml --set weights=none", "weights none"),
    ("train t.yaml --set weights=in", "weights in config.json"),
    ("train t.yaml --set weights=m", "weights m model.safetensors"),
    ("train t.yaml --output r.yaml", "r.yaml"),
    ("train t.yaml --output r.yaml/out", "r.yaml"),
    ("train t.yaml --output s3://bucket/out", "output s3://bucket/out"),
    ("train t.yaml --processes 3", "data.batch=8 data.micro_batch=4"),
    ("train t.yaml --processes 2 --set parallel.tensor=3", "parallel.tensor=3 2 ranks"),
    ("train t.yaml --processes 2", "w shards/manifest.json starmill run"),
    ("launch slurm t.yaml --logs r.yaml --dry-run", "r.yaml --logs"),
    ("launch kubernetes t.yaml --folder r.yaml/x --dry-run", "r.yaml --folder"),
    ("launch slurm t.yaml --nodes 3 --dry-run", "data.batch=8"),
    ("launch slurm none.yaml", "none.yaml no such recipe"),
    ("export t.yaml", "starmill run"),
    ("export t.yaml --dtype int8", "--dtype int8"),
    ("export t.yaml --to r.yaml", "r.yaml"),
    ("export t.yaml --push nobody", "--push nobody OWNER/NAME"),
    ("plan t.yaml --set steps=x", "steps x"),
    # completion
    ("complete", "Missing argument 'model'"),
    ("complete m", "--prompt, --prompt-file"),
    ("complete m --prompt x --prompt-file r.yaml", "give one of"),
    ("complete m --prompt x --prefix x --suffix x", "give one of"),
    ("complete m --prefix x", "--prefix and --suffix"),
    ("complete none --prompt x", "none no config.json"),
    ("complete hollow --prompt x", "hollow no config.json"),
    ("complete r.yaml --prompt x", "r.yaml"),
    ("complete m --prompt x", "m model.safetensors"),
    ("complete pickled --prompt x", "pickled no model.safetensors pickled weights are not loaded"),
    ("complete outside --prompt x", "outside index.json '../m.safetensors' export it again"),
    ("complete huge --prompt x", "huge model.safetensors header 9,223,372,036,854,775,808 export it again"),
    ("complete whole --prompt x --device tpu", "--device tpu"),
    ("complete whole --prompt x --device cuda", "--device cuda"),
    ("complete whole --prompt 'x x x x x x x x x x x x x x x x x x x x'", "whole a prompt of max_positions=8 shorten it"),
    ("complete larger --prompt x", "larger the model has 9 ids tokenizer.json"),
    ("complete m --prompt x --dtype int8", "--dtype int8"),
    ("complete m --prompt-file none", "none"),
    ("complete m --prompt-file in", "in a folder"),
    ("complete m --prompt-file binary.yaml", "binary.yaml UTF-8"),
    ("complete m --prompt-file pipe.yaml", "pipe.yaml a pipe"),
    ("complete broken --prompt x", "broken config.json JSON"),
    ("complete giant --prompt x", "giant config.json num_hidden_layers from 1 to 1,000 2000000000"),
    ("complete deep --prompt x", "deep config.json JSON"),
]

# What Beam must be asked: a runner that is named.
NEEDS = r" -- "


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    here, before = tmp_path_factory.mktemp("wrong"), Path.cwd()
    (here / "in/repo").mkdir(parents=True)
    (here / "in/repo/a.py").write_text("print(1)\n")
    for folder in ("hollow", "foreign", "m", "broken", "giant", "deep", "sharded/shards"):
        (here / folder).mkdir(parents=True)
    (here / "foreign/thesis.tex").write_text("x")
    config = (
        '{"model_type": "starcoder2", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": LAYERS, "vocab_size": 9, '
    )
    config += '"num_attention_heads": 1, "num_key_value_heads": 1, "max_position_embeddings": 8, "rope_theta": 1e4}'
    texts = {
        "r.yaml": RECIPE,
        "t.yaml": "workspace: w\noutput: out\nmodel: tiny-starcoder2\nsteps: 100\ndata: {sequence_length: 64, batch: 8, micro_batch: 4}\n"
        "optimizer: {lr: 1e-3, min_lr: 1e-4, warmup_steps: 10}\n",
        "empty.yaml": "",
        "list.yaml": "- a\n",
        "text.yaml": "hello\n",
        "nul.yaml": RECIPE + "\0",
        "bomb.yaml": RECIPE
        + "a0: &a0 [x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 60)),
        "deep.yaml": RECIPE + "a: " + "[" * 100_000,
        "huge.yaml": "#" * 5_000_000,
        "tagged.yaml": RECIPE + "a: !!python/object/apply:os.system [touch made]\n",
        "twice.yaml": RECIPE + "workspace: v\n",
        "tab.yaml": "workspace:\n\tw\n",
        "unhashable.yaml": RECIPE + "? [a]\n: 1\n",
        "keys.yaml": RECIPE + "1: 2\n",
        "old.yaml": "workspace: w\nsource: in\n",
        "empty.jsonl": "",
        "m/config.json": config.replace("LAYERS", "1"),
        "giant/config.json": config.replace("LAYERS", "2000000000"),
        "broken/config.json": "{",
        "deep/config.json": "[" * 1_000_000,
        "sharded/shards/manifest.json": "",
    }
    for name, text in texts.items():
        (here / name).write_text(text)
    hostile_models.whole(here / "whole")
    hostile_models.hostile(here)
    (here / "binary.yaml").write_bytes(bytes(range(256)))
    (here / "utf16.yaml").write_bytes(RECIPE.encode("utf-16"))
    (here / "link.yaml").symlink_to("nowhere/at/all")
    (here / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(here / "pipe.yaml")
    os.chdir(here)
    yield here
    os.chdir(before)


def everything(place: Path) -> set[tuple[str, int, int]]:
    return {(str(p), p.lstat().st_size, p.lstat().st_mtime_ns) for p in place.rglob("*") if not p.is_dir()} | {
        (str(p), 0, 0) for p in place.rglob("*") if p.is_dir()
    }


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_wrong_usage(line: str, words: str, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = everything(place)
    status = cli.main(shlex.split(line))
    told = capfd.readouterr()
    assert status in (1, 2) and len(told.err.splitlines()) == 1 and told.err.startswith("starmill: "), told
    assert not told.out and "Traceback" not in told.err
    assert [word for word in words.split() if word not in told.err] == [], told.err
    assert everything(place) == before, "something was made"


def test_what_is_refused_loads_neither_beam_nor_torch(place: Path) -> None:
    """All of WRONG, but for the lines of NEEDS: those libraries take seconds to import."""
    lines = [line for line, _ in WRONG if not re.search(NEEDS, line)]
    code = f"import shlex, sys\nfrom starmill.cli.__main__ import main\nfor line in {lines}:\n"
    code += "    assert main(shlex.split(line)) in (1, 2), line\n    assert not {'apache_beam', 'torch', 'numba'} & {*sys.modules}, line"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and len(done.stderr.splitlines()) == len(lines), done.stderr[-2000:]
