"""Training throughput beside peers: one model of 20 M parameters, one order of data, one precision, on this machine's CPU.

    .venv/bin/python benchmarks/train.py [--rounds 3] [--steps 12] [--write]

Rounds alternate between starmill, transformers' Trainer and LitGPT's pretraining, each in processes of their own, the peers in
environments of their own that uv makes; ratios are of the fastest rounds, since others on a shared machine only ever slow one
down. The first loss of transformers must equal ours: same weights, same windows. Then the loader alone, with FIM, as a multiple
of what a step consumes.
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


def ours(place: Path, number: int, compiled: bool) -> tuple[float, list[float]]:
    """Run `starmill train`; return tokens a second after the first two steps, and the losses."""
    folder = place / f"ours-{number}-{compiled}"
    command = [sys.executable, "-m", "starmill.trainer", str(place / "recipe.yaml"), "--output", str(folder)]
    command += ["--set", f"parallel.compile={str(compiled).lower()}"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "loss" in row]
    seconds = [row["tokens_per_second"] for row in rows]
    # The rate of row n, up to 20, is that of n steps: the first two, in which kernels are chosen or compiled, come off.
    tokens, times = rows[0]["tokens"], [row["tokens"] / rate for row, rate in zip(rows, seconds, strict=True)]
    return (len(rows) - 2) * tokens / (times[-1] - times[1]), [row["loss"] for row in rows]


def peer(name: str, place: Path, steps: int) -> tuple[float, list[float]]:
    """Run a peer in its own environment; return tokens a second after the first two steps, and the losses it tells."""
    torch_version = version("torch").split("+")[0]
    needs = [part for package in (*PEERS[name], f"torch=={torch_version}", "numpy") for part in ("--with", package)]
    python = str(
        Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    )  # not this environment: none of its packages
    uv = [str(Path(sys.executable).parent / "uv"), "run", "-q", "--isolated", "--no-project", "--python", python, *needs]
    script = Path(__file__).parent / "peers" / f"{name}_train.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*uv, "python", str(script), str(place), str(steps)], capture_output=True, text=True, env=environment)
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
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--write", action="store_true", help="append the table to benchmarks/results/train.md")
    options = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        place = Path(folder)
        mill(place / "work")
        made = prepare(place, options.steps)
        size = parameter_count(open_inputs(made).config)
        rates: dict[str, list[float]] = {name: [] for name in ("starmill", "starmill, compiled", *options.peers)}
        for number in range(options.rounds):
            for name, compiled in (("starmill", False), ("starmill, compiled", True)):
                rate, losses = ours(place, number, compiled)
                rates[name].append(rate)
            for name in options.peers:
                rate, theirs = peer(name, place, options.steps)
                rates[name].append(rate)
                if name == "transformers" and abs(theirs[0] - losses[0]) > 1e-3:
                    sys.exit(f"not the same run: {name} starts at {theirs[0]}, starmill at {losses[0]}")
        alone = loader(made, 3_000_000)
    base = max(rates["starmill"])
    lines = [
        f"## {datetime.date.today()}, {platform.machine()}, 2 threads of {os.cpu_count()} cores, torch {version('torch')}, float32",
        "",
        f"{size:,} parameters, {options.steps} steps of {made.tokens_per_step:,} tokens, {options.rounds} alternating rounds.",
        "",
        "| | tokens/s, fastest | of each round | starmill is faster by |",
        "|---|---|---|---|",
    ]
    for name, found in rates.items():
        lines.append(f"| {name} | {max(found):,.0f} | {', '.join(f'{r:,.0f}' for r in found)} | {base / max(found):.2f}x |")
    lines += [
        "",
        f"Loader alone, one thread, FIM rate 0.5: {alone:,.0f} tokens/s, {alone / base:.0f} times what the step consumes.",
    ]
    print("\n".join(lines))
    if options.write:
        results_file = Path(__file__).parent / "results" / "train.md"
        results_file.parent.mkdir(exist_ok=True)
        with open(results_file, "a") as results:
            results.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
