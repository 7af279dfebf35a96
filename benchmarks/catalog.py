"""What a catalog moves and costs: bytes by row of each dataset and CPU seconds, over generated exports of several sizes.

    .venv/bin/python benchmarks/catalog.py [--entries 1000000] [--entries 4000000] [--write]

Three entries of ten lie below a root: repositories whose folders are real trees with real names, some holding an earlier repository
whole, as vendored code does. The others stand for what history leaves: directories that no head reaches. No file is said twice, so that
no hash packs: an export's are shared by versions of a directory, but these lie in other buckets. One worker, in this process.
"""

import argparse
import datetime
import itertools
import os
import platform
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import report

from starmill.core.swhid import object_id
from starmill.pipelines.run import catalog
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.swh.reader import SoftwareHeritage

REACHED = 0.3
FILES = 20  # of a directory, on average
FOLDERS = 60  # of a repository
VENDORED = 0.2  # of the repositories that hold another one
FILE, FOLDER = 0o100644, 0o40000


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", action="append", type=int, help="of directories; repeatable")
    parser.add_argument("--buckets", type=int, default=16)
    report.add_write(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        lines = (measure(Path(folder) / str(n), n, options.buckets) for n in options.entries or [1_000_000, 4_000_000])
        report.tell("catalog", itertools.chain(heading(), *lines), options.write)


def heading() -> Iterator[str]:
    """Yield the date and the machine."""
    yield f"## {datetime.date.today()}, one of {os.cpu_count()} cores ({report.processor()})"
    yield ""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pyarrow", "apache-beam"))
    yield f"Python {platform.python_version()}, {libraries}. Load average at the start: {os.getloadavg()[0]:.1f}."
    yield ""


def measure(folder: Path, entries: int, buckets: int) -> Iterator[str]:
    """Yield the table of one size; levels are one row."""
    said = Generated(np.random.default_rng(0)).write(folder / "export", entries)
    source = SoftwareHeritage(export=str(folder / "export"), contents=str(folder), catalog=str(folder / "catalog"))
    plan = catalog.planned({"heritage": source}, None, buckets)
    total: dict[str, list[float]] = {}
    before = time.process_time()
    for made in catalog.datasets(plan, choose((), 1), quiet=True):
        moved, now = catalog.moved(made), time.process_time()
        stored = sum(output.bytes for part in made.parts for output in part.outputs)
        row = total.setdefault(made.dataset.split("-")[0], [0, 0, 0, 0])
        for i, value in enumerate((moved.files, moved.bytes, stored, now - before)):
            row[i] += value
        before = now
    yield f"### {said}, {buckets} buckets"
    yield ""
    yield "| dataset | rows moved | bytes moved | bytes a row | bytes stored | CPU s | µs a row |"
    yield "|---|---|---|---|---|---|---|"
    for name, (rows, size, stored, seconds) in total.items():
        each = f"{size / rows:.1f} | {stored:,.0f} | {seconds:.2f} | {1e6 * seconds / rows:.1f}"
        yield f"| {name} | {rows:,.0f} | {size:,.0f} | {each} |"
    moved_bytes, spent = (sum(row[i] for row in total.values()) for i in (1, 3))
    yield ""
    yield f"For each entry {moved_bytes / entries:.1f} bytes moved in all; {spent / entries * 1e6:.2f} CPU s a million entries."
    yield ""


class Generated:
    """Makes an export. Directories are written as they are made, children first."""

    def __init__(self, random: np.random.Generator) -> None:
        """Take the names of files from the library of this Python."""
        root = Path(sysconfig.get_path("stdlib"))
        self._names = sorted({p.name.encode() for p in root.rglob("*")})
        self._random, self._rows = random, [(b"", b"", b"", 0)][:0]
        self._roots: list[bytes] = []

    def write(self, folder: Path, entries: int) -> str:
        """Write tables of about so many entries as Parquet; return what they hold."""
        reached = 0
        while len(self._rows) < entries * REACHED:
            self._repository()
        reached = len(self._rows)
        while len(self._rows) < entries:
            self._directory([(FOLDER, b"%d" % n, self._random.bytes(20)) for n in range(int(self._random.integers(0, 5)))])
        own, name, target, mode = zip(*self._rows, strict=True)
        quarter = len(own) // 4
        for n in range(4):
            end = None if n == 3 else (n + 1) * quarter
            some = slice(n * quarter, end)
            columns = {"directory_id": _hex(own[some]), "name": pa.array(name[some], pa.binary())}
            columns |= {"target": _hex(target[some]), "perms": pa.array(mode[some], pa.int32())}
            _save(folder, "directory_entry", columns, n)
        files = [t for t, m in zip(target[:reached], mode[:reached], strict=True) if m == FILE]
        length = pa.array(self._random.integers(0, 100_000, len(files)))
        sha1 = _hex([self._random.bytes(20) for _ in files])
        shown = pa.array(["visible"] * len(files))
        _save(folder, "content", {"sha1_git": _hex(files), "sha1": sha1, "length": length, "status": shown})
        urls = [f"https://github.com/owner/{n}" for n in range(len(self._roots))]
        numbers = pa.array([1] * len(urls))
        snapshots = _hex([object_id("tree", url.encode()).encode()[:20] for url in urls])
        date = pa.array([0] * len(urls), pa.timestamp("us"))
        status = {"origin": pa.array(urls), "visit": numbers, "date": date, "status": pa.array(["full"] * len(urls))}
        _save(folder, "origin_visit_status", {**status, "snapshot": snapshots})
        heads = {"name": pa.array([b"HEAD"] * len(urls)), "target": _hex(self._roots)}
        kind = pa.array(["directory"] * len(urls))
        _save(folder, "snapshot_branch", {"snapshot_id": snapshots, **heads, "target_type": kind})
        _save(folder, "revision", {n: pa.array([], pa.string()) for n in ("id", "directory")} | _no_dates())
        return f"{len(own):,} entries, {reached:,} of them below {len(urls):,} roots"

    def _repository(self) -> None:
        count = 1 + int(self._random.geometric(1 / FOLDERS))
        below: list[list[tuple[int, bytes, bytes]]] = [[] for _ in range(count)]
        if self._roots and self._random.random() < VENDORED:
            other = self._roots[int(len(self._roots) * self._random.random() ** 3)]  # the first ones are the most popular
            below[-1].append((FOLDER, b"vendor", other))
        parents = [int(self._random.integers(0, n)) if n else 0 for n in range(count)]
        for n in reversed(range(count)):
            own = self._directory(below[n])
            below[parents[n]].append((FOLDER, b"%d" % n, own))
        self._roots.append(own)

    def _directory(self, folders: list[tuple[int, bytes, bytes]]) -> bytes:
        count = min(int(self._random.geometric(1 / FILES)), len(self._names))
        chosen = {self._names[i] for i in self._random.integers(0, len(self._names), count).tolist()}
        entries = [*folders, *((FILE, name, self._random.bytes(20)) for name in chosen)]
        entries.sort(key=lambda e: e[1] + b"/" if e[0] == FOLDER else e[1])
        own = bytes.fromhex(object_id("tree", b"".join(b"%o %s\0%s" % e for e in entries)))
        self._rows += [(own, name, target, mode) for mode, name, target in entries]
        return own


def _hex(own: object) -> pa.Array:
    return pa.array([each.hex() for each in own])  # type: ignore[attr-defined]


def _no_dates() -> dict[str, pa.Array]:
    return {name: pa.array([], pa.timestamp("us")) for name in ("date", "committer_date")}


def _save(folder: Path, table: str, columns: dict[str, pa.Array], number: int = 0) -> None:
    (folder / table).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / table / f"{table}-{number}.parquet")


if __name__ == "__main__":
    main()
