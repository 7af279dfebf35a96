"""Training throughput beside peers: one model of 20 M parameters, one order of data, one precision, on this machine's CPU.

    .venv/bin/python benchmarks/train.py [--rounds 3] [--steps 12] [--precisions float32 bfloat16] [--write]

Rounds alternate between starmill, transformers' Trainer and LitGPT's pretraining, each in processes of their own, the peers in
environments of their own that uv makes; ratios are of the fastest rounds, since others on a shared machine only ever slow one
down. Peers have their best settings: fused AdamW, no cache, and transformers compiled as well as not; LitGPT always compiles.
Compiled is compared with compiled; the first two steps, in which that happens, do not count. The first loss of transformers must
equal ours: same weights, same windows. Then the loader alone, with FIM, as a multiple of what a step consumes.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import yaml

from starmill.core import recipe, seeds
from starmill.core.dataset import Sidecar, Workspace, output
from starmill.core.shards import ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, huggingface_files, train
from starmill.model import huggingface
from starmill.model.config import parameter_count
from starmill.model.decoder import Decoder
from starmill.trainer.config import TrainRecipe
from starmill.trainer.inputs import open_inputs

PEERS = {"transformers": ("transformers", "accelerate"), "litgpt": ("litgpt",)}
TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}  # of the first loss
# A row of the table: who, compiled or not.
SIDES = {
    "starmill": ("starmill", False),
    "transformers": ("transformers", False),
    "starmill, compiled": ("starmill", True),
    "transformers, compiled": ("transformers", True),
    "litgpt, compiled": ("litgpt", True),
}
MODEL = {
    "layers": 8,
    "hidden_size": 448,
    "heads": 7,
    "kv_heads": 1,
    "mlp_size": 1792,
    "positions": "rope",
    "max_positions": 512,
}


def mill(place: Path) -> None:
    """Write shards and tokenizer of the standard library's modules: a document a folder."""
    root = Path(sysconfig.get_path("stdlib"))
    files = [p for p in sorted(root.glob("*.py")) + sorted(root.glob("[a-z]*/*.py")) if "site-packages" not in p.parts]
    texts = {p: p.read_text("utf-8", "replace") for p in files}
    data = train(list(texts.values())[::4], 8192)
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
    workspace.commit(Sidecar("tokenize", 0, "k", tuple(output(n, c) for n, c in made.items())), list(made.values()))
    workspace.finish("tokenize", "k", 1, "v")


def prepare(place: Path, steps: int) -> TrainRecipe:
    """Write the recipe, and for the peers the windows in their order (windows.npy) and the first weights (start/)."""
    values = {
        "workspace": str(place / "work"),
        "output": str(place / "ours"),
        "steps": steps,
        "checkpoint_every": steps,
        "log_every": steps,
        "model": MODEL,
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


def ours(place: Path, precision: str, compiled: bool) -> tuple[float, list[float]]:
    """Run `starmill train`; return tokens a second after the first two steps, and the losses."""
    folder = place / "ours"
    command = [sys.executable, "-m", "starmill.trainer", str(place / "recipe.yaml"), "--output", str(folder), "--fresh"]
    command += ["--set", f"parallel.compile={str(compiled).lower()}", "--set", f"parallel.precision={precision}"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=environment())
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "loss" in row]
    seconds = [row["tokens_per_second"] for row in rows]
    # The rate of row n, up to 20, is that of n steps: the first two, in which kernels are chosen or compiled, come off.
    tokens, times = rows[0]["tokens"], [row["tokens"] / rate for row, rate in zip(rows, seconds, strict=True)]
    return (len(rows) - 2) * tokens / (times[-1] - times[1]), [row["loss"] for row in rows]


def environment() -> dict[str, str]:
    """Return the variables that all sides get."""
    return {**os.environ, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"}


def peer(name: str, place: Path, steps: int, precision: str, compiled: bool) -> tuple[float, list[float]]:
    """Run a peer in its own environment; return tokens a second after the first two steps, and the losses it tells."""
    torch_version = version("torch").split("+")[0]
    needs = [part for package in (*PEERS[name], f"torch=={torch_version}", "numpy") for part in ("--with", package)]
    python = str(
        Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    )  # not this environment: none of its packages
    uv = [str(Path(sys.executable).parent / "uv"), "run", "-q", "--isolated", "--no-project", "--python", python, *needs]
    script = Path(__file__).parent / "peers" / f"{name}_train.py"
    given = [str(script), str(place), str(steps), precision, str(compiled)]
    done = subprocess.run([*uv, "python", *given], capture_output=True, text=True, env=environment())
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told = json.loads(done.stdout.splitlines()[-1])
    return (len(told["seconds"]) - 2) * told["tokens"] / (told["seconds"][-1] - told["seconds"][1]), told["losses"]


def loader(options: TrainRecipe, tokens: int) -> float:
    """Return the tokens a second that one thread makes with StarCoder2's FIM rates."""
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
    parser.add_argument("--write", action="store_true", help="append the tables to benchmarks/results/train.md")
    options = parser.parse_args()
    torch.set_num_threads(2)
    lines = [
        f"## {datetime.date.today()}, {processor()}, 2 threads of {os.cpu_count()} cores, torch {version('torch')}",
        "",
    ]
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        place = Path(folder)
        mill(place / "work")
        made = prepare(place, options.steps)
        size = parameter_count(open_inputs(made).config)
        lines += [
            f"{size:,} parameters, {options.steps} steps of {made.tokens_per_step:,} tokens, {options.rounds} alternating rounds.",
            "",
        ]
        fastest = 0.0
        for precision in options.precisions:
            rates = measure(place, options.sides, options.rounds, options.steps, precision)
            lines += table(rates, precision)
            fastest = max(fastest, *(max(found) for name, found in rates.items() if name.startswith("starmill")))
        alone = loader(made, 3_000_000)
    lines.append(
        f"Loader alone, one thread, FIM rate 0.5: {alone:,.0f} tokens/s, {alone / fastest:.0f} times what the fastest step consumes."
    )
    print("\n".join(lines))
    if options.write:
        results_file = Path(__file__).parent / "results" / "train.md"
        results_file.parent.mkdir(exist_ok=True)
        with open(results_file, "a") as results:
            results.write("\n".join(lines) + "\n\n")


def measure(place: Path, sides: list[str], rounds: int, steps: int, precision: str) -> dict[str, list[float]]:
    """Return the tokens a second of every side in every round. Ends the program if transformers trains another model."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        first: dict[str, float] = {}
        for name in sides:
            side, compiled = SIDES[name]
            if side == "starmill":
                rate, losses = ours(place, precision, compiled)
            else:
                rate, losses = peer(side, place, steps, precision, compiled)
            rates[name].append(rate)
            first |= {side: losses[0]} if losses else {}
            print(f"{precision} {name}: {rate:,.0f} tokens/s", file=sys.stderr, flush=True)
        if abs(first.get("transformers", 0) - first.get("starmill", 0)) > TOLERANCE[precision] and len(first) == 2:
            sys.exit(f"not the same run: {first}")
    return rates


def table(rates: dict[str, list[float]], precision: str) -> list[str]:
    """Return the rates as a table, each peer beside ours of its kind."""
    rows = [f"| {precision} | tokens/s, fastest | of each round | starmill is faster by |", "|---|---|---|---|"]
    for name, found in rates.items():
        mine = rates.get("starmill, compiled" if SIDES[name][1] else "starmill", [])
        ratio = f"{max(mine) / max(found):.2f}x" if mine and SIDES[name][0] != "starmill" else ""
        rows.append(f"| {name} | {max(found):,.0f} | {', '.join(f'{r:,.0f}' for r in found)} | {ratio} |")
    return [*rows, ""]


def processor() -> str:
    """Return the name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
