"""Training throughput beside peers: one model of 20 M parameters, one order of data, one precision, on this machine's CPU.

    .venv/bin/python benchmarks/train.py [--rounds 3] [--steps 12] [--precisions float32 bfloat16] [--vocabularies 49152 8192]
        [--allocator] [--write]

Rounds alternate between starmill, transformers' Trainer and LitGPT's pretraining, each in processes of their own, the peers in
environments of their own that uv makes; ratios are of the fastest step of each, since others on a shared machine only ever slow one
down, by the clock and by CPU seconds. Peers have their best settings: fused AdamW, no cache, and transformers compiled
as well as not; LitGPT always compiles. Compiled is compared with compiled; the first two steps, in which that happens, do not count.
The first loss of transformers must equal ours: same weights, same windows. Then the loader alone, with FIM, as a multiple of what a
step consumes.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import report
import torch
import yaml

from starmill.core import recipe, seeds
from starmill.core.dataset import Sidecar, Workspace, output
from starmill.core.shards import ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, huggingface_files, train
from starmill.model.config import parameter_count
from starmill.model.decoder import Decoder
from starmill.model.exchange import huggingface
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.inputs import open_inputs

PEERS = {"transformers": ("transformers", "accelerate"), "litgpt": ("litgpt",)}
# As they come, every side keeps its own settings but the number of threads. With `--allocator`, peers get glibc told to keep what is
# freed, as starmill's trainer tells it by itself (trainer/allocator.py).
THREADS = {"OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"}
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "67108864"}
TOKENS = 4 * 512  # of a step
TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}  # of the first loss
# A row of the table: who, compiled or not.
SIDES = {
    "starmill": ("starmill", False),
    "transformers": ("transformers", False),
    "starmill, compiled": ("starmill", True),
    "transformers, compiled": ("transformers", True),
    "litgpt, compiled": ("litgpt", True),
}
# 20 M parameters twice, by vocabulary: StarCoder's, whose head is most of so small a model, and one that its size would ask for.
MODELS = {
    49152: {"layers": 11, "hidden_size": 256, "heads": 4, "mlp_size": 1024},
    8192: {"layers": 8, "hidden_size": 448, "heads": 7, "mlp_size": 1792},
}


def mill(place: Path, vocabulary: int) -> None:
    """Write shards and tokenizer of the standard library's modules: a document a folder."""
    root = Path(sysconfig.get_path("stdlib"))
    files = [p for p in sorted(root.glob("*.py")) + sorted(root.glob("[a-z]*/*.py")) if "site-packages" not in p.parts]
    texts = {p: p.read_text("utf-8", "replace") for p in files}
    data = train(list(texts.values()), vocabulary)
    tokenizer, workspace, writer = Tokenizer.load(data), Workspace(str(place)), ShardWriter(0)
    for name, content in huggingface_files(data).items():
        workspace.publish(f"tokenizer/{name}", content)
    for folder in sorted({p.parent for p in files}):
        ids, spans = [], []
        for path in (p for p in files if p.parent == folder):
            code = tokenizer.encode(texts[path])
            spans.append(TokenSpan(path.name, "0" * 40, "Python", sum(map(len, ids)) + 1, len(code)))
            ids += [np.array([tokenizer.special("<file_sep>")], np.uint16), code]
        writer.add(np.concatenate(ids), "code", str(folder.relative_to(root)), "Python", spans)
    made = {f"shards/part-00000.{suffix}": content for suffix, content in writer.finish().items()}
    workspace.commit(Sidecar("tokenize", "shards", 0, "k", tuple(output(n, c) for n, c in made.items())), list(made.values()))
    workspace.finish("shards", "k", 1, "v")


def prepare(place: Path, steps: int, vocabulary: int) -> TrainRecipe:
    """Write the recipe, and for the peers the windows in their order (windows.npy) and the first weights (start/)."""
    values = {
        "workspace": str(place / "work"),
        "output": str(place / "ours"),
        "steps": steps,
        "checkpoint_every": steps,
        "log_every": steps,
        "model": {**MODELS[vocabulary], "kv_heads": 1, "positions": "rope", "max_positions": 512},
        "data": {"sequence_length": 512, "batch": 4, "micro_batch": 4, "held_out": 0.0, "fim": {"rate": 0.0}},
        "optimizer": {"lr": 3e-4, "min_lr": 3e-5, "warmup_steps": 2},
        "parallel": {"precision": "float32"},
    }
    (place / "recipe.yaml").write_text(yaml.safe_dump(values))
    options = recipe.load(TrainRecipe, str(place / "recipe.yaml"))
    found = open_inputs(options)
    batches = found.train.batches()
    np.save(place / "windows.npy", np.concatenate([next(batches).tokens for _ in range(steps)]))
    decoder = Decoder(found.config)
    decoder.init_weights(torch.Generator().manual_seed(seeds.uint64(options.seed, "weights") >> 1))
    huggingface.save(decoder, place / "start", huggingface_files(found.tokenizer.data))
    return options


@dataclass(frozen=True)
class Rates:
    """Tokens a second and tokens a CPU second, of the fastest step of each; the first two, that compile and choose, do not count."""

    wall: float
    cpu: float


def train_once(
    side: str, place: Path, steps: int, precision: str, compiled: bool, settings: dict[str, str]
) -> tuple[Rates, list[float]]:
    """Run a side in a process of its own, peers in an environment of their own; return its rates and the losses it tells."""
    python = [sys.executable]
    if side in PEERS:
        needs = (*PEERS[side], f"torch=={version('torch').split('+')[0]}", "numpy")
        # Not this environment's python: none of its packages.
        base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
        uv = [str(Path(sys.executable).parent / "uv"), "run", "-q", "--isolated", "--no-project", "--python", str(base)]
        python = [*uv, *(part for package in needs for part in ("--with", package)), "python"]
    script = Path(__file__).parent / "peers" / f"{side}_train.py"
    command = [*python, str(script), str(place), str(steps), precision, str(compiled)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings})
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told = json.loads(done.stdout.splitlines()[-1])
    wall, cpu = (min(np.diff(told[clock][1:])) for clock in ("seconds", "cpu"))
    return Rates(TOKENS / wall, TOKENS / cpu), told["losses"]


def loader(options: TrainRecipe, tokens: int) -> float:
    """Return the tokens per second that one thread makes with StarCoder2's FIM rates."""
    with_fim = recipe.override(json.loads(recipe.canonical(options)), ["data.fim.rate=0.5"])
    batches = open_inputs(recipe.build(TrainRecipe, with_fim)).train.batches()
    started, made = time.perf_counter(), 0
    while made < tokens:
        made += next(batches).tokens[:, 1:].size
    return made / (time.perf_counter() - started)


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12, choices=range(4, 21), metavar="4..20")
    parser.add_argument("--sides", nargs="*", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--precisions", nargs="*", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    parser.add_argument("--vocabularies", nargs="*", type=int, default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--allocator", action="store_true", help="peers keep freed memory too, which they do not by themselves")
    report.add_write(parser)
    options = parser.parse_args()
    torch.set_num_threads(2)
    settings = THREADS | (ALLOCATOR if options.allocator else {})
    lines = [
        f"## {datetime.date.today()}, {report.processor()}, 2 threads of {os.cpu_count()} cores, torch {version('torch')}, "
        f"load {os.getloadavg()[0]:.1f} before",
        "",
    ]
    for vocabulary in options.vocabularies:
        lines += compare(options, vocabulary, settings)
    report.tell("train", lines, options.write)


def compare(options: argparse.Namespace, vocabulary: int, settings: dict[str, str]) -> list[str]:
    """Return the tables of one shape."""
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        place = Path(folder)
        mill(place / "work", vocabulary)
        made = prepare(place, options.steps, vocabulary)
        config = open_inputs(made).config
        lines = [
            f"{parameter_count(config):,} parameters, {config.layers} layers of {config.hidden_size}, vocabulary of "
            f"{config.vocab_size:,}; {options.steps} steps of {made.tokens_per_step:,} tokens, alternating rounds: {options.rounds}; "
            + ("all keep freed memory." if options.allocator else "each side as it comes."),
            "",
        ]
        fastest = 0.0
        for precision in options.precisions:
            rates = measure(place, options.sides, options.rounds, options.steps, precision, settings)
            lines += table(rates, precision)
            fastest = max(fastest, *(r.wall for name, found in rates.items() if name.startswith("starmill") for r in found))
        alone = loader(made, 3_000_000)
    told = f"Loader alone, one thread, FIM rate 0.5: {alone:,.0f} tokens/s, {alone / fastest:.0f} times what the fastest step consumes."
    return [*lines, told, ""]


def measure(
    place: Path, sides: list[str], rounds: int, steps: int, precision: str, settings: dict[str, str]
) -> dict[str, list[Rates]]:
    """Return the rates of every side in every round. Ends the program if transformers trains another model."""
    rates: dict[str, list[Rates]] = {name: [] for name in sides}
    for _ in range(rounds):
        first: dict[str, float] = {}
        for name in sides:
            side, compiled = SIDES[name]
            found, losses = train_once(side, place, steps, precision, compiled, settings)
            rates[name].append(found)
            first |= {side: losses[0]} if losses else {}
            print(f"{precision} {name}: {found.wall:,.0f} tokens/s, {found.cpu:,.0f} a CPU second", file=sys.stderr, flush=True)
        if abs(first.get("transformers", 0) - first.get("starmill", 0)) > TOLERANCE[precision] and len(first) == 2:
            sys.exit(f"not the same run: {first}")
    return rates


def table(rates: dict[str, list[Rates]], precision: str) -> list[str]:
    """Return the rates as a table, each peer beside ours of its kind."""
    rows = [
        f"| {precision} | tokens/s | of each round | starmill is faster by | tokens/CPU s | starmill needs less by |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in rates.items():
        mine = rates.get("starmill, compiled" if SIDES[name][1] else "starmill", [])
        beside = bool(mine) and SIDES[name][0] != "starmill"
        cells = []
        for clock in ("wall", "cpu"):
            best, ours = (max((getattr(r, clock) for r in side), default=0.0) for side in (found, mine))
            cells += [f"{best:,.0f}", f"{ours / best:.2f}x" if beside else ""]
        rounds = ", ".join(f"{r.wall:,.0f}" for r in found)
        rows.append(f"| {name} | {cells[0]} | {rounds} | {cells[1]} | {cells[2]} | {cells[3]} |")
    return [*rows, ""]


if __name__ == "__main__":
    main()
