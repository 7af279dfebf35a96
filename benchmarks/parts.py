"""What the views of a workspace of 100,000 parts cost: CPU and wall seconds and memory; appends a table to results/parts.md.

    .venv/bin/python benchmarks/parts.py [--parts 1000 --parts 100000] [--input DIR ...] [--write]

A small run is made for real; then its parts are multiplied: the files by hard links, sidecars and manifests with the numbers of the new
parts, and all that a view reads of them. A command is a process of its own on one core, best of three; imports count.
"""

import argparse
import datetime
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import report

from starmill.core.dataset import LastRun, Sidecar, Workspace, part_number, part_path, sidecar_path
from starmill.core.part import Output

LINKS = 30_000  # of one file; file systems have a limit
SMALL = ["run", "smoke", "--quiet", "--no-funnel", "--set", "ingest.part_bytes=100000", "--set", "tokenizer.vocab_size=1024"]


def main() -> None:
    """Make the workspaces, measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--parts", action="append", type=int, default=[], help="of a workspace; repeatable (1,000 and 100,000)")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        base = Workspace(f"{folder}/base")
        starmill(*SMALL, "--workers", "1", "--workspace", base.url, *(["--input", *options.input] if options.input else []))
        report.tell("parts", lines(base, options.parts or [1000, 100_000]), options.write)


def lines(base: Workspace, sizes: Sequence[int]) -> Iterator[str]:
    """Yield the table."""
    yield f"## {datetime.date.today()}, one core of {os.cpu_count()} ({report.processor()})"
    yield ""
    yield f"Python {platform.python_version()}. Load average at the start: {os.getloadavg()[0]:.1f}. Best of three."
    yield ""
    yield "| parts | MB of manifests | made in s | command | CPU s | wall s | peak MB |"
    yield "|---|---|---|---|---|---|---|"
    for parts in sizes:
        started = time.monotonic()
        grown = Workspace(f"{base.root}-{parts}")
        multiply(base, grown, parts)
        took = time.monotonic() - started
        size = sum(grown.size(f"{stage.dataset}/manifest.json") for stage in grown.last_run().stages) / 1e6
        name = some_name(grown)
        there = ["--workspace", grown.root]
        for label, command in {
            "status": ["status", *there],
            "funnel": ["funnel", *there],
            "report": ["report", grown.root, "--output", f"{grown.root}/report.html"],
            "mix": ["mix", *there],
            "why repository:path": ["why", name, *there],
            "why path": ["why", name.partition(":")[2], *there],
        }.items():
            cpu, wall, peak = min(starmill(*command) for _ in range(3))
            yield f"| {parts:,} | {size:,.0f} | {took:,.0f} | {label} | {cpu:.2f} | {wall:.2f} | {peak:,.0f} |"
        shutil.rmtree(grown.root)


def some_name(workspace: Workspace) -> str:
    """Return repository:path of a record of the last part."""
    row = workspace.table(workspace.parts("records")[-1], ["repo_name", "path"]).slice(0, 1).to_pylist()[0]
    return f"{row['repo_name']}:{row['path']}"


def starmill(*arguments: str) -> tuple[float, float, float]:
    """Run a command; return its CPU seconds, wall seconds and MB."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "starmill.cli", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - started, after.ru_maxrss / 1e3


def multiply(base: Workspace, to: Workspace, parts: int) -> None:
    """Write a workspace with the parts of `base` again and again, under new numbers."""
    shutil.copytree(base.root, to.root)
    to.publish_last_run(LastRun(base.last_run().stages, parts))
    for stage in base.last_run().stages:
        manifest = base.manifest(stage.dataset)
        assert manifest is not None
        of = len(manifest.parts)
        sidecars = [base.read(sidecar_path(stage.dataset, k)).decode() for k in range(of)]
        made = [renumbered(manifest.parts[k % of], k) for k in range(parts)]
        for k in range(of, parts):
            old = manifest.parts[k % of]
            for before, after in zip(old.outputs, made[k].outputs, strict=True):
                if k // of % LINKS == 0:  # a new file, of which more links can be
                    shutil.copy(f"{to.root}/{before.path}", f"{to.root}/{before.path}.new")
                    os.replace(f"{to.root}/{before.path}.new", f"{to.root}/{before.path}")
                os.link(f"{to.root}/{before.path}", f"{to.root}/{after.path}")
            text = sidecars[k % of].replace(f"part-{old.part:05d}", f"part-{k:05d}")
            with open(f"{to.root}/{sidecar_path(stage.dataset, k)}", "w") as file:
                file.write(text.replace(f'\n "part": {old.part},', f'\n "part": {k},'))
        to.publish_manifest(replace(manifest, parts=tuple(made)))


def renumbered(sidecar: Sidecar, part: int) -> Sidecar:
    """Return the sidecar of the same content under another number."""

    def path(old: str) -> str:
        folder, _, name = old.rpartition("/")
        return part_path(folder, part, name.partition(".")[2]) if part_number(name) is not None else old

    outputs = tuple(Output(path(o.path), o.sha256, o.bytes, o.rows) for o in sidecar.outputs)
    return replace(sidecar, part=part, outputs=outputs, lineage={path(k): v for k, v in sidecar.lineage.items()})


if __name__ == "__main__":
    main()
