"""The goals of speed, what this machine reaches of them, and the peers beside it: one table, of the other benchmarks' output.

    .venv/bin/python benchmarks/goals.py [--only WORK ...] [--profile] [--workspace runs/smoke] [--write]

Each row runs one of the benchmarks here and reads its figures by a regular expression; a figure that is not there is said, with the
benchmark's last line. The main job and a command with nothing to do are measured here: CPU seconds with all children, waited for or not.
`--profile` adds `starmill bench --profile`: the costliest functions of each stage. A row takes one to five minutes.
"""

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import report
import tools

from starmill.core.dataset import Workspace
from starmill.reports import funnel

HERE = Path(__file__).parent
NUMBER = r"([\d.,]+)"
STARMILL = [sys.executable, "-m", "starmill.cli"]


class Goal(NamedTuple):
    """A row: the work, its unit and goal, the benchmark's command, where its output has ours and the peers', and if less is better."""

    work: str
    unit: str
    goal: float
    command: tuple[str, ...]
    ours: str
    peers: tuple[tuple[str, str], ...] = ()
    less: bool = False


def cell(row: str, column: int) -> str:
    """Return the expression for a number in a table: the row begins with `row`, an expression, and `column` counts from 1."""
    return rf"^\| {row}[^|]*\|" + r"[^|]*\|" * (column - 2) + rf" {NUMBER}"


def goals(workspace: Path) -> tuple[Goal, ...]:
    """Return the rows; a tokenizer is a workspace's."""
    redact = ("redact.py", "--megabytes", "60", "--each", "1", "--peers", "1")
    return (
        Goal(
            "licences, amortised over installed packages",
            "MB/s",
            25,
            ("licenses.py", "--step"),
            rf"texts to ask about: [\d.]+ CPU s, {NUMBER} MB/s",
        ),
        Goal(
            "statistics and encoded runs",
            "MB/s",
            190,
            ("measure.py", "--megabytes", "30", "--peer-megabytes", "2"),
            rf": Text {NUMBER} MB/s",
            (
                ("numpy and RE2", rf"RE2 and numpy {NUMBER} MB/s"),
                ("data-prep-kit", rf"data-prep-kit {NUMBER} MB/s"),
                ("dolma", rf"dolma {NUMBER} MB/s"),
            ),
        ),
        Goal(
            "redaction of mixed files",
            "MB/s",
            75,
            redact,
            cell(r"starmill, all of `release\.redact`", 7),
            (
                ("gitleaks", cell("gitleaks", 7)),
                ("datatrove", cell("datatrove's PII", 7)),
                ("detect-secrets", cell(r"detect-secrets \d", 7)),
            ),
        ),
        Goal("redaction of Python's library", "MB/s", 130, redact, cell("starmill, all of it, of Python's own library", 7)),
        Goal(
            "decontamination, 10,000 texts",
            "MB/s",
            200,
            ("decontaminate.py", "--files", "2000", "--tasks", "40"),
            rf"^\| 10,000 \| all \|[^|]*\| {NUMBER}",
        ),
        Goal(
            "tokenize, with Hugging Face's ids",
            "MB/s",
            55,
            ("tokenizing.py", str(workspace / "tokenizer/tokenizer.json"), "--megabytes", "12"),
            cell("starmill", 2),
            tuple((name, cell(name, 2)) for name in ("fastokens", "tiktoken", "tokenizers")),
        ),
        Goal(
            "near-dedup end to end, times as fast as rensa",
            "x",
            2.5,
            ("dedup.py", "--only", "starmill", "--only", "rensa's", "--only", "data-prep-kit"),
            cell("rensa's deduplicator", 3),
            (("data-prep-kit", cell("data-prep-kit fdedup", 3)),),
        ),
        Goal(
            "ingest from git",
            "MB/s",
            150,
            ("reading.py", "--megabytes", "60", "--minutes", "1"),
            rf"^\| git \| starmill (?:\|[^|]*){{3}}\| {NUMBER}",
            (
                ("git cat-file", rf"^\| git \| git cat-file(?:[^|]*\|){{4}} {NUMBER}"),
                ("dulwich", rf"^\| git \| dulwich(?:[^|]*\|){{4}} {NUMBER}"),
            ),
        ),
    )


def figure(expression: str, said: str) -> float | None:
    """Return the number that an expression finds in what a benchmark printed.

    >>> figure(cell("rensa", 3), "| starmill 1 | 2.0 | 1.0 |\\n| rensa 0.5 | 1,234.5 | 2.5 |")
    2.5
    """
    found = re.search(expression, said, re.MULTILINE)
    return float(found.group(1).replace(",", "").rstrip(".")) if found else None


def line(goal: Goal, said: str) -> str:
    """Return the table's row of a goal, of what its benchmark printed."""
    ours = figure(goal.ours, said)
    if ours is None:
        last = (said.strip().splitlines() or ["nothing was printed"])[-1]
        return f"| {goal.work} | did not run: {last[:80]} | {goal.goal:g} {goal.unit} | | |"
    reached = ours / goal.goal if not goal.less else goal.goal / max(ours, 1e-9)
    beside = [f"{name} {value:,.4g}" for name, where in goal.peers if (value := figure(where, said)) is not None]
    beside += [f"{name}: did not run" for name, where in goal.peers if figure(where, said) is None]
    verdict = "met" if reached >= 1 else f"missed: {reached:.2f} of it"
    return f"| {goal.work} | {ours:,.4g} {goal.unit} | {goal.goal:g} {goal.unit} | {verdict} | {', '.join(beside)} |"


def mill(folder: str) -> Iterator[str]:
    """Mill the packages of this environment, then again with nothing to do, and yield the rows of both."""
    command = [*STARMILL, "run", "smoke", "--workspace", folder, "--workers", "1", "--quiet", "--no-funnel"]
    whole = Goal("main job, dump to shards, all stages", "MB/s", 8, (), rf"^{NUMBER}$")
    nothing = Goal("a run with nothing to do", "CPU s", 0.5, (), rf"^{NUMBER}$", less=True)
    try:
        took, again = tools.run(command), tools.run(command)
    except tools.Failed as error:
        yield from (line(goal, str(error)) for goal in (whole, nothing))
        return
    size = next(f.into.bytes for f in funnel.measure(Workspace(folder)) if f.stage == "measure") / 1e6
    yield line(whole, f"{size / took.cpu:.2f}")
    yield line(nothing, f"{again.cpu:.2f}")


def table(rows: Sequence[Goal], wanted: Sequence[str]) -> Iterator[str]:
    """Yield the table, row by row."""
    yield "| work, one core | measured | goal | | peers in the same run |"
    yield "|---|---|---|---|---|"
    if not wanted or any(one in "main job" for one in wanted):
        with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
            yield from mill(folder)
    said: dict[tuple[str, ...], str] = {}
    for goal in rows:
        if wanted and not any(one in goal.work for one in wanted):
            continue
        if goal.command not in said:
            script, *arguments = goal.command
            done = subprocess.run(
                [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, errors="replace", check=False
            )
            said[goal.command] = done.stdout if not done.returncode else f"{done.stdout}\n{done.stderr}"
        yield line(goal, said[goal.command])


def main() -> None:
    """Measure, print row by row, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORK", help="rows with this in their name")
    parser.add_argument(
        "--workspace", type=Path, default=Path("runs/smoke"), help="whose tokenizer encodes (default: runs/smoke)"
    )
    parser.add_argument("--profile", action="store_true", help="the costliest functions of each stage besides")
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    head = f"## {datetime.date.today()}, one core of {os.cpu_count()} ({report.processor()}), load average {os.getloadavg()[0]:.1f}"
    report.tell("goals", [head, ""], options.write)
    report.tell("goals", table(goals(options.workspace), options.only), options.write)
    if options.profile:
        profiled = subprocess.run(
            [*STARMILL, "bench", "--profile", "--megabytes", "48"], capture_output=True, text=True, check=True
        )
        report.tell("goals", profiled.stdout[profiled.stdout.index("### ") :].splitlines(), options.write)


if __name__ == "__main__":
    main()
