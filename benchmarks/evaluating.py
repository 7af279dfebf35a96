"""HumanEval from a model to its score beside bigcode-evaluation-harness, and both sides' verdicts on the same generations, in one run.

    .venv/bin/python benchmarks/evaluating.py MODEL CHECKOUT BENCHMARKS [--problems 164] [--samples 1] [--threads 1] [--write]

MODEL: a folder that transformers loads and we do. CHECKOUT: github.com/bigcode-project/bigcode-evaluation-harness. One sample is
greedy, more are drawn at temperature 0.2; the harness writes all samples of a problem in one batch, ours 16 rows of any. At most 512
tokens with the prompt for the harness, and 384 new ones for ours; kept are those before the first stop. CPU seconds are of whole
commands with all their children: imports, loading, writing, judging. The same generations are the harness's own, the canonical
solutions, and wrong ones.
"""

import argparse
import datetime
import gzip
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import report
import tools

from starmill.core.tokenizer import Tokenizer

STARMILL = [sys.executable, "-m", "starmill.cli"]


def main() -> None:
    """Measure, print and, with --write, append a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("--problems", type=int, default=164)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    report.add_write(parser)
    options = parser.parse_args()
    rows = _rows(options.benchmarks)[: options.problems]
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as place:
        folder = Path(place)
        harness, generations = _harness(options, folder, [])
        ours = _ours(options, folder, ["--max-new-tokens", "384", "--samples", str(options.samples)])
        tokenizer = Tokenizer.load(options.model / "tokenizer.json", any_family=True)

        def tokens(texts: list[str]) -> int:
            return sum(len(tokenizer.encode(text)) for text in texts)

        completions = [t[len(row["prompt"].strip()) :] for row, each in zip(rows, generations, strict=True) for t in each]
        sampled = "greedy" if options.samples == 1 else "at temperature 0.2"
        told = [
            f"## {datetime.date.today()}, {report.processor()}, threads: {options.threads} of {os.cpu_count()}, "
            f"load {os.getloadavg()[0]:.1f}",
            "",
            f"HumanEval's first {len(rows)} problems, samples of each: {options.samples} ({sampled}), float32; {options.model.name}; "
            f"torch {version('torch')}, transformers {version('transformers')}, Python {platform.python_version()}.",
            "",
            "| | CPU s | seconds | ours is faster, in CPU s | tokens kept | kept per CPU s | pass@1 |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {name} | {usage.cpu:.0f} | {usage.wall:.0f} | {usage.cpu / ours[0].cpu:.2f} x | {kept:,} | {kept / usage.cpu:.1f} | "
                f"{rate(verdicts):.3f} |"
                for name, (usage, verdicts), kept in (
                    ("starmill evaluate", ours, tokens(written(folder))),
                    ("bigcode-evaluation-harness", harness, tokens(completions)),
                )
            ),
            "",
            "| the same generations | samples | both pass | both fail | we alone pass | the harness alone passes | CPU s, ours | "
            "the harness's |",
            "|---|---|---|---|---|---|---|---|",
        ]
        right = [[row["prompt"] + row["canonical_solution"]] for row in rows]
        wrong = [[f"{row['prompt']}\n    return 'wrong'\n"] for row in rows]
        for name, texts in (("the harness's own", generations), ("canonical solutions", right), ("wrong ones", wrong)):
            (folder / "texts.json").write_text(json.dumps(texts))
            theirs = _harness(options, folder, ["--load_generations_path", str(folder / "texts.json")])[0]
            mine = _ours(options, folder, ["--score", str(folder / "texts.json")])
            told.append(f"| {name} | {' | '.join(_alike(mine[1], theirs[1]))} | {mine[0].cpu:.0f} | {theirs[0].cpu:.0f} |")
        report.tell("evaluating", told, options.write)


def written(folder: Path) -> list[str]:
    """Return our samples."""
    (place,) = (folder / "ours").glob("humaneval/*/samples.jsonl")
    return [json.loads(line)["text"] for line in place.read_text().splitlines()]


def rate(verdicts: list[list[bool]]) -> float:
    """Return pass@1."""
    return sum(sum(each) / len(each) for each in verdicts) / len(verdicts)


def _alike(mine: list[list[bool]], theirs: list[list[bool]]) -> list[str]:
    pairs = [pair for a, b in zip(mine, theirs, strict=True) for pair in zip(a, b, strict=True)]
    return [str(len(pairs)), *(str(pairs.count(both)) for both in ((True, True), (False, False), (True, False), (False, True)))]


def _rows(benchmarks: Path) -> list[dict[str, Any]]:
    with gzip.open(benchmarks / "humaneval" / "HumanEval.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


Run = tuple[tools.Usage, list[list[bool]]]


def _harness(options: argparse.Namespace, folder: Path, more: list[str]) -> tuple[Run, list[list[str]]]:
    """Run the harness; return its usage and verdicts, and what it generated."""
    how = [
        "--model",
        str(options.model),
        "--tasks",
        "humaneval",
        "--max_length_generation",
        "512",
        "--limit",
        str(options.problems),
    ]
    how += ["--n_samples", str(options.samples), "--batch_size", str(options.samples), "--allow_code_execution"]
    how += ["--do_sample", "False"] if options.samples == 1 else ["--temperature", "0.2", "--top_p", "0.95", "--top_k", "0"]
    how += [
        "--save_generations",
        "--save_generations_path",
        str(folder / "made.json"),
        "--metric_output_path",
        str(folder / "rates.json"),
    ]
    place = [str(options.checkout), str(options.benchmarks / "humaneval" / "HumanEval.jsonl.gz"), str(folder / "verdicts.json")]
    usage = tools.run([sys.executable, str(tools.PEERS / "harness.py"), *place, *how, *more], options.threads)
    made = folder / "made_humaneval.json"
    return (usage, json.loads((folder / "verdicts.json").read_text())), json.loads(made.read_text())


def _ours(options: argparse.Namespace, folder: Path, how: list[str]) -> Run:
    """Run `starmill evaluate`; return its usage and verdicts."""
    if "--score" not in how:
        how = [str(options.model), "--dtype", "float32", *how, *(["--temperature", "0"] if options.samples == 1 else [])]
    place = ["--benchmarks", str(options.benchmarks), "--output", str(folder / "ours"), "--limit", str(options.problems)]
    usage = tools.run([*STARMILL, "evaluate", *how, "--tasks", "humaneval", *place, "--quiet"], options.threads)
    newest = max((folder / "ours").glob("humaneval/*/results.json"), key=lambda at: at.stat().st_mtime)
    verdicts: dict[str, list[bool]] = {}
    for one in json.loads(newest.read_text())["outcomes"]:
        verdicts.setdefault(one["problem"], []).append(one["passed"])
    return usage, [*verdicts.values()]


if __name__ == "__main__":
    main()
