"""Near-deduplication head to head: speed, memory and what was removed, starmill and its peers on the same bytes, one core.

    .venv/bin/python benchmarks/dedup.py [--megabytes 119] [--slow] [--write]
    .venv/bin/python benchmarks/dedup.py --synthetic 1000000 [--synthetic 4000000] [--write]

Every tool reads the same Parquet file (starmill: the same rows as curated/ parts) and leaves the kept texts as files; it runs with
its own defaults in one process pinned to one core. CPU seconds count children, imports and all reading and writing; memory is the
largest process. MB are 2**20 bytes of UTF-8. The truth is exact (`truth.py`). A tool that cannot be installed is named with its error.
"""

import argparse
import datetime
import itertools
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import corpus
import numpy as np
import pyarrow as pa
import report
import tools
import truth
import workspaces

from starmill.core.dataset import Workspace
from starmill.transforms.dedup.minhash import MinHash

SAMPLE_MB = 8  # of text for the signatures of slow tools


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=119, help="of text, planted near-duplicates included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", action="append", default=[], metavar="FOLDER", help="one more source tree; repeatable")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TOOL", help="run only tools with this in their name; repeatable"
    )
    parser.add_argument("--slow", action="store_true", help="also datatrove with its default tokenizer end to end (minutes)")
    parser.add_argument(
        "--synthetic", action="append", type=int, default=[], metavar="FILES", help="only the memory of the stage"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/starmill-bench").expanduser(), help="where peers are installed"
    )
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        lines = memory(options, Path(folder)) if options.synthetic else compare(options, Path(folder))
        report.tell("dedup", itertools.chain(heading(), lines), options.write)


def heading() -> Iterator[str]:
    """Yield the date and the machine."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "pyarrow", "apache-beam"))
    yield f"## {datetime.date.today()}, one core of {os.cpu_count()} ({report.processor()})"
    yield ""
    yield f"Python {platform.python_version()}, {libraries}. Load average at the start: {os.getloadavg()[0]:.1f}."
    yield ""


def compare(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Yield the tables of the head-to-head."""
    trees = [*corpus.roots(), *(corpus.Root(f"extra-{i}", 2, (f,)) for i, f in enumerate(options.root))]
    table = corpus.build(trees, int(options.megabytes * 2**20), options.seed)
    yield f"Corpus: {len(table):,} files, {corpus.size(table) / 2**20:.2f} MB, seed {options.seed}, sha256 `{corpus.sha256(table)}`."
    yield f"Roots: {corpus.shares(table)}."
    path = folder / "corpus" / "corpus.parquet"
    path.parent.mkdir()
    corpus.write(table, path)
    texts = table.column("content").cast(pa.binary()).to_pylist()
    sets = truth.shingle_sets(texts)
    exact = truth.similar_pairs(texts, sets)
    counts = ", ".join(f"{len(exact.at(t)):,} at {t} or above" for t in (0.5, 0.7, 0.8, 0.9, 1.0))
    yield f"Truth, pairs by exact Jaccard similarity over 5-word shingles: {counts}."
    yield ""
    yield from speeds(options, table, folder)
    yield ""
    yield from end_to_end(options, table, path, sets, exact)


def speeds(options: argparse.Namespace, table: pa.Table, folder: Path) -> Iterator[str]:
    """Yield the table of signatures a second."""
    sizes = np.cumsum([len(t) for t in table.column("content").cast(pa.binary()).to_pylist()])
    sample = folder / "sample.parquet"
    corpus.write(table.slice(0, int(np.searchsorted(sizes, SAMPLE_MB * 2**20)) + 1), sample)
    whole = folder / "corpus" / "corpus.parquet"
    runs = [
        ("starmill", "with_starmill.py", "signatures", whole),
        ("sketches", "with_sketches.py", "signatures", sample),
        ("datatrove", "with_datatrove.py", "signatures", sample),
    ]
    yield f"Signatures of 256 permutations over 5-word shingles, CPU time without I/O; starmill on all, others on {SAMPLE_MB} MB."
    yield ""
    yield "| signatures | MB/s | starmill is faster |"
    yield "|---|---|---|"
    best = 0.0
    for name, script, task, data in runs:
        if not wanted(options, name):
            continue
        try:
            usage = tools.run([tools.environment(name, options.cache), str(tools.PEERS / script), task, str(data)])
        except tools.Failed as error:
            yield f"| {name} | did not run: {error} | |"
            continue
        for label, speed in json.loads(usage.last).items():
            best = best or speed
            yield f"| {label} | {speed:.2f} | {best / speed:.1f} x |"


def end_to_end(
    options: argparse.Namespace, table: pa.Table, path: Path, sets: truth.ShingleSets, exact: truth.Truth
) -> Iterator[str]:
    """Yield the tables of whole runs: what they took and what they removed; then what only starmill says of its removals."""
    yield "| end to end | CPU s | starmill = 1 | by stage | wall s | MB/s (CPU) | peak MB |"
    yield "|---|---|---|---|---|---|---|"
    did, claims, base = [], [], 0.0
    for tool in tools.TOOLS:
        if not wanted(options, tool.label) or (tool.slow and not options.slow):
            continue
        with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
            if tool.environment == "starmill":
                workspaces.curate(table, Workspace(f"{folder}/workspace"))
            try:
                python = tools.environment(tool.environment, options.cache)
                usage = tools.run(tool.command(python, str(path), folder))
                kept = np.zeros(len(table), bool)
                kept[list(tool.ids(folder))] = True
            except tools.Failed as error:
                yield f"| {tool.label} | did not run: {error} | | | | | |"
                continue
            if tool.environment == "starmill":
                claims, base = list(verdicts(Workspace(f"{folder}/workspace"), sets, exact)), usage.cpu
        speed = corpus.size(table) / 2**20 / usage.cpu
        label = f"{tool.label} {tools.version(python, tool.package)}"
        times = f"{usage.cpu / base:.1f}" if base else ""
        yield f"| {label} | {usage.cpu:.1f} | {times} | {stages(usage.last)} | {usage.wall:.1f} | {speed:.1f} | {usage.peak:,.0f} |"
        q = truth.quality(exact, kept)
        did.append(
            f"| {label} | {q['removed']:,} | {q['resolved_0.8']:.4f} | {q['resolved_0.7']:.4f} | {q['justified_0.7']:.3f} "
            f"| {q['justified_0.5']:.3f} | {q['left_0.7']:,} | {q['left_0.8']:,} |"
        )
    yield ""
    yield (
        "| removed files | removed | pairs >= 0.8 resolved | >= 0.7 resolved | removed with a kept file >= 0.7 | with one >= 0.5 "
        "| kept with a kept twin >= 0.7 | >= 0.8 |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    yield from (*did, "", *claims)


def verdicts(workspace: Workspace, sets: truth.ShingleSets, exact: truth.Truth) -> Iterator[str]:
    """Yield what starmill claims of pairs, checked: recall of its bands, and the similarity that each verdict names."""
    options = MinHash()
    signatures: list[bytes | None] = [None] * len(sets)
    pairs, said = [], []
    for path in workspace.parts("verdicts"):
        rows = workspace.table(path.replace("verdicts", "signatures"), ["path", "signature"]).to_pylist()
        for row, verdict in zip(rows, workspace.table(path).to_pylist(), strict=True):
            file = int(row["path"].lstrip("/"))
            signatures[file] = row["signature"]
            if verdict["reason"] == "near_duplicate":
                pairs.append((file, int(verdict["kept_path"].lstrip("/"))))
                said.append(verdict["jaccard"])
    named = truth.jaccards(sets, np.array(pairs, np.int64).reshape(-1, 2))
    recalls = [truth.banded_recall(exact, signatures, options.permutations, options.bands, t) for t in (0.8, 0.7)]
    yield f"- True pairs that starmill's {options.bands} bands find: {recalls[0]:.4f} of those at 0.8 or above, {recalls[1]:.4f} at 0.7."
    yield (
        f"- Near-duplicate verdicts: {len(named):,}; the kept file they name is at {options.threshold} or above for "
        f"{np.mean(named >= options.threshold):.4f} of them, and the similarity they state is exact for {np.mean(named == said):.4f}."
    )


def memory(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Yield the table of the stage's memory over synthetic signatures."""
    yield "| synthetic files | CPU s | wall s | peak MB | MB a million files more |"
    yield "|---|---|---|---|---|"
    before: tuple[int, float] | None = None
    for files in sorted(options.synthetic):
        workspace = Workspace(str(folder / str(files)))
        workspaces.synthesize(workspace, files, options.seed)
        usage = tools.run([sys.executable, str(tools.PEERS / "with_starmill.py"), "stage", workspace.url])
        removed = sum(len(workspace.table(path, ["path"])) for path in workspace.parts("dropped/dedup"))
        shutil.rmtree(folder / str(files))
        growth = "" if before is None else f"{(usage.peak - before[1]) / (files - before[0]) * 1e6:,.0f}"
        yield f"| {files:,} ({removed:,} removed) | {usage.cpu:.1f} | {usage.wall:.1f} | {usage.peak:,.0f} | {growth} |"
        before = files, usage.peak


def wanted(options: argparse.Namespace, label: str) -> bool:
    """Say whether a tool was asked for."""
    return not options.only or any(name in label for name in options.only)


def stages(line: str) -> str:
    """Return the CPU seconds of a run's stages where it told them, in its last line."""
    try:
        return ", ".join(f"{name} {seconds:.1f}" for name, seconds in json.loads(line).items())
    except (ValueError, AttributeError):
        return ""


if __name__ == "__main__":
    main()
