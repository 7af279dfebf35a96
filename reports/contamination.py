"""How much of benchmarks a finished data set holds: by benchmark, by task, and in which files. pipelines/run/contamination.py looks."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from starmill.core.dataset import Workspace
from starmill.reports.query import Labels

FILES = 3  # that are named of a task


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its tasks, those of which the data has a text, and the files that have one."""

    benchmark: str
    tasks: int
    found: int
    files: int


@dataclass(frozen=True)
class Place:
    """Where a text of a task is: the file, the matcher, and the characters of the file's text."""

    repo_name: str
    path: str
    matcher: str
    start: int
    end: int


@dataclass(frozen=True)
class Task:
    """A task of which the data has a text: the number of files, by the surest matcher of each, and the first of these files."""

    benchmark: str
    task: str
    files: int
    matchers: dict[str, int]
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Table:
    """What was looked at, `dataset` or `shards`, and what of the benchmarks is in it."""

    of: str
    texts: int
    bytes: int
    contaminated: int
    benchmarks: tuple[Benchmark, ...]
    tasks: tuple[Task, ...]


def data(workspace: Workspace, table: Table, labels: Labels) -> dict[str, Any]:
    """Return the table as plain data, for JSON."""
    told: dict[str, Any] = labels.shown({"workspace": workspace.root, **asdict(table)})
    return told


def lines(told: dict[str, Any], tasks: int) -> Iterator[str]:
    """Yield what `data` returns for a person: each benchmark, and the first `tasks` tasks, those in most files first."""
    yield (
        f"{told['of']}/ of {told['workspace']}: {told['contaminated']:,} of {told['texts']:,} texts "
        f"({told['bytes'] / 1e6:,.2f} MB) hold a text of a benchmark"
    )
    yield f"{'benchmark':<28}{'tasks':>8}{'found':>8}{'share':>9}{'files':>8}"
    for one in told["benchmarks"]:
        share = one["found"] / max(1, one["tasks"])
        yield f"{one['benchmark']:<28}{one['tasks']:8,}{one['found']:8,}{share:9.2%}{one['files']:8,}"
    ranked = sorted(told["tasks"], key=lambda task: (-task["files"], task["benchmark"], task["task"]))
    for task in ranked[:tasks]:
        by = ", ".join(f"{name} {count:,}" for name, count in task["matchers"].items())
        yield f"{task['benchmark']} {task['task']}: {task['files']:,} files ({by})"
        for at in task["places"]:
            yield f"  {at['repo_name']}:{at['path']}  {at['matcher']}, characters {at['start']:,} to {at['end']:,}"
    if more := len(ranked) - len(ranked[:tasks]):
        yield f"and {more:,} more tasks; see them with --tasks {len(ranked)}"
