"""What views of a workspace of 100,000 parts, and a run with nothing to do, cost in CPU seconds; appends to results/parts.md.

    .venv/bin/python benchmarks/parts.py [--parts 1000 --parts 100000] [--input DIR ...] [--at DIR] [--write]

A small run is made for real; then its parts are multiplied: the files by hard links, sidecars and manifests with the numbers of the new
parts, and all that a view reads of them. The hashes of a new part are its own, but for the path that most parts have: so `why` of any other
is in one part. A command is a process of its own on one core, best of three; imports count. `run` has nothing to do in the small run.
"""

import argparse
import datetime
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import report

from starmill.core import hashes
from starmill.core.dataset import LastRun, Sidecar, Workspace, output, part_number, part_path, sidecar_path
from starmill.core.part import Output

LINKS = 30_000  # of one file; file systems have a limit
SMALL = ["run", "smoke", "--quiet", "--no-funnel", "--set", "ingest.part_bytes=100000", "--set", "tokenizer.vocab_size=1024"]


def main() -> None:
    """Make the workspaces, measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--parts", action="append", type=int, default=[], help="of a workspace; repeatable (1,000 and 100,000)")
    parser.add_argument("--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: packages)")
    parser.add_argument("--at", metavar="DIR", help="where the workspaces stay, and are taken from when they are there")
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        base = Workspace(f"{options.at or folder}/base")
        command = [*SMALL, "--workers", "1", "--workspace", base.url, *(["--input", *options.input] if options.input else [])]
        starmill(*command)
        report.tell("parts", lines(base, options.parts or [1000, 100_000], command), options.write)


def lines(base: Workspace, sizes: Sequence[int], again: list[str]) -> Iterator[str]:
    """Yield the table."""
    yield f"## {datetime.date.today()}, one core of {os.cpu_count()} ({report.processor()})"
    yield ""
    yield f"Python {platform.python_version()}. Load average at the start: {os.getloadavg()[0]:.1f}. Best of three."
    yield ""
    yield "| parts | MB of manifests | command | CPU s |"
    yield "|---|---|---|---|"
    one, common = names(base)
    few = str(len(base.parts("records")))
    for label, command in {
        "--help": ["--help"],
        "status": ["status", "--workspace", base.root],
        "funnel": ["funnel", "--workspace", base.root],
        "why": ["why", one["path"], "--workspace", base.root],
        "run, with nothing to do": again,
    }.items():
        yield row(few, "", label, command)
    for parts in sizes:
        grown = Workspace(f"{base.root}-{parts}")
        if not os.path.isdir(grown.root):
            multiply(base, grown, parts, common)
        size = sum(grown.size(f"{stage.dataset}/manifest.json") for stage in grown.last_run().stages) / 1e6
        there, name = ["--workspace", grown.root], f"{one['repo_name']}:{one['path']}"
        for label, command in {
            "status": ["status", *there],
            "funnel": ["funnel", *there],
            "report": ["report", grown.root, "--output", f"{grown.root}/report.html"],
            "mix": ["mix", *there],
            "why repository:path": ["why", name, *there],
            "why path": ["why", one["path"], *there],
            "why SWHID": ["why", f"swh:1:cnt:{one['content_id']}", *there],
            f"why {common}, which all parts have": ["why", common, *there],
            "why a name that no file has": ["why", "/none/of_this_name.py", *there],
        }.items():
            yield row(f"{parts:,}", f"{size:,.0f}", label, command)


def row(parts: str, size: str, label: str, command: Sequence[str]) -> str:
    """Return a row of the table."""
    return f"| {parts} | {size} | {label} | {min(starmill(*command) for _ in range(3)):.2f} |"


def names(workspace: Workspace) -> tuple[dict[str, str], str]:
    """Return a record whose path no other part has, and the path that most parts have."""
    held = [workspace.table(part, ["repo_name", "path", "content_id"]).to_pylist() for part in workspace.parts("records")]
    paths = Counter(path for rows in held for path in {row["path"] for row in rows})
    rarest = min(held[-1], key=lambda row: (paths[row["path"]], row["path"]))
    return rarest, max(sorted(paths), key=paths.__getitem__)


def starmill(*arguments: str) -> float:
    """Run a command; return its CPU seconds."""
    command = [sys.executable, "-m", "starmill.cli", *arguments]
    with tempfile.TemporaryFile("w+") as told, open(os.devnull, "w") as nothing:
        child = subprocess.Popen(command, stdout=nothing, stderr=told)
        _, status, used = os.wait4(child.pid, 0)
        told.seek(0)
        if status and "no such file" not in (said := told.read()):
            raise RuntimeError(f"{' '.join(command)}: {said}")
    return used.ru_utime + used.ru_stime


def multiply(base: Workspace, to: Workspace, parts: int, common: str) -> None:
    """Write a workspace with the parts of `base` again and again, under new numbers."""
    shutil.copytree(base.root, to.root)
    to.publish_last_run(LastRun(base.last_run().stages, parts))
    for stage in base.last_run().stages:
        manifest = base.manifest(stage.dataset)
        assert manifest is not None
        of = len(manifest.parts)
        sidecars = [base.read(sidecar_path(stage.dataset, k)).decode() for k in range(of)]
        made = [own(to, base, renumbered(manifest.parts[k % of], k), manifest.parts[k % of], common) for k in range(parts)]
        for k in range(of, parts):
            old = manifest.parts[k % of]
            for before, after in zip(old.outputs, made[k].outputs, strict=True):
                if k // of % LINKS == 0:  # a new file, of which more links can be
                    shutil.copy(f"{to.root}/{before.path}", f"{to.root}/{before.path}.new")
                    os.replace(f"{to.root}/{before.path}.new", f"{to.root}/{before.path}")
                if before.path.startswith(f"{hashes.FOLDER}/"):
                    continue
                os.link(f"{to.root}/{before.path}", f"{to.root}/{after.path}")
            text = sidecars[k % of].replace(f"part-{old.part:05d}", f"part-{k:05d}")
            with open(f"{to.root}/{sidecar_path(stage.dataset, k)}", "w") as file:
                file.write(text.replace(f'\n "part": {old.part},', f'\n "part": {k},'))
        to.publish_manifest(replace(manifest, parts=tuple(made)))


def own(to: Workspace, base: Workspace, made: Sidecar, old: Sidecar, common: str) -> Sidecar:
    """Write the hashes of a new part, none of which another has, but for a path that all have; return its sidecar with them."""
    outputs = list(made.outputs)
    for at, (before, after) in enumerate(zip(old.outputs, made.outputs, strict=True)):
        if after.path.startswith(f"{hashes.FOLDER}/"):
            data = base.read(before.path)
            if made.part != old.part:
                known = [int.from_bytes(data[k : k + hashes.HASH], "little") for k in range(0, len(data), hashes.HASH)]
                data = hashes.packed([hashes.of(common), *(hashes.of(f"{made.part} {name}") for name in known)])
            to.publish(after.path, data)
            outputs[at] = output(after.path, data)
    return replace(made, outputs=tuple(outputs))


def renumbered(sidecar: Sidecar, part: int) -> Sidecar:
    """Return the sidecar of the same content under another number."""

    def path(old: str) -> str:
        folder, _, name = old.rpartition("/")
        return part_path(folder, part, name.partition(".")[2]) if part_number(name) is not None else old

    outputs = tuple(Output(path(o.path), o.sha256, o.bytes, o.rows) for o in sidecar.outputs)
    return replace(sidecar, part=part, outputs=outputs, lineage={path(k): v for k, v in sidecar.lineage.items()})


if __name__ == "__main__":
    main()
