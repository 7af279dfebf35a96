"""What the index of a small export of Software Heritage costs (the source `swh` on one machine): CPU, memory and disk, fitted.

    .venv/bin/python benchmarks/index.py [--entries 2000000] [--entries 8000000] [--write]

Generated exports, as ORC: directories of ten entries, of which two of ten are directories that were made before and the others files with
random ids, and half as many contents as entries. Each index is built by a process of its own, whose peak of memory counts.
"""

import argparse
import datetime
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.orc
import report

from starmill.pipelines.sources.swh.reader import SoftwareHeritage

ENTRIES, FOLDERS = 10, 2  # of a directory, and how many of them are directories
CONTENTS = 0.5  # for each entry
BLOCK = 1_000_000  # entries of a file
ROOTS = 1_000
HEX = np.frombuffer(b"0123456789abcdef", "u1")
WANTED = 200e6  # entries, for which the fit says what they would take
Ids = npt.NDArray[np.uint8]
KEPT: list[Any] = []  # of a process that writes: the folder and the ids of all


def main() -> None:
    """Measure, print, and with --write append to results/catalog.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", action="append", type=int, help="of directories; repeatable")
    parser.add_argument("--export", type=Path, help=argparse.SUPPRESS)  # what the process of its own builds the index of
    report.add_write(parser)
    options = parser.parse_args()
    if options.export:
        build(options.export)
    else:
        report.tell("catalog", lines(options.entries or [2_000_000, 8_000_000]), options.write)


def build(export: Path) -> None:
    """Build an index; print CPU seconds, the peak in bytes before and behind it, and the bytes on the disk."""
    seconds, idle = time.process_time(), peak()
    SoftwareHeritage(export=str(export), contents=str(export), catalog=str(export.parent / "index")).plan()
    stored = sum(path.stat().st_size for path in (export.parent / "index").rglob("*") if path.is_file())
    print(time.process_time() - seconds, idle, peak(), stored)


def peak() -> int:
    """Return the most memory that this process had, in bytes; `ru_maxrss` would count that of who started it."""
    return next(
        int(line.split()[1]) << 10 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )


def lines(sizes: list[int]) -> Iterator[str]:
    """Yield the table, and what the fit says of more entries."""
    yield f"## The local index, {datetime.date.today()}, one of {os.cpu_count()} cores ({report.processor()})"
    yield ""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pyarrow"))
    yield f"Python {platform.python_version()}, {libraries}. Load average at the start: {os.getloadavg()[0]:.1f}."
    yield ""
    yield "| entries | directories | contents | CPU s | µs an entry | peak MB | of which imports | MB on the disk | bytes an entry |"
    yield "|---|---|---|---|---|---|---|---|---|"
    found = []
    for entries in sizes:
        with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
            write(Path(folder) / "export", entries)
            command = [sys.executable, __file__, "--export", f"{folder}/export"]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        seconds, idle, peak, stored = map(float, said)
        found.append((seconds, peak, stored))
        each = f"{seconds:.1f} | {1e6 * seconds / entries:.2f} | {peak / 1e6:,.0f} | {idle / 1e6:,.0f}"
        disk = f"{stored / 1e6:,.0f} | {stored / entries:.1f}"
        yield f"| {entries:,} | {entries // ENTRIES:,} | {int(entries * CONTENTS):,} | {each} | {disk} |"
    if len(sizes) > 1:
        fits = [np.polyfit(sizes, values, 1) for values in zip(*found, strict=True)]
        seconds, peak, stored = (float(np.polyval(fit, WANTED)) for fit in fits)
        yield ""
        yield (
            f"A line through these says for {WANTED / 1e6:,.0f} million entries: {seconds / 60:,.0f} CPU minutes, "
            f"{peak / 1e9:,.1f} GB of memory, {stored / 1e9:,.1f} GB of disk. That size itself was not measured."
        )
    yield "The peak is VmHWM, which counts pages of mapped files too; the kernel may take those back."


def write(folder: Path, entries: int) -> None:
    """Write the tables of an export of so many entries, files at once: each has a seed of its own."""
    random, count = np.random.default_rng(0), entries // ENTRIES
    directories = random.integers(0, 256, (count, 20), "u1")
    contents = random.integers(0, 256, (int(entries * CONTENTS), 20), "u1")
    blocks = [(_entries, n, first) for n, first in enumerate(range(0, count, BLOCK // ENTRIES))]
    blocks += [(_contents, n, first) for n, first in enumerate(range(0, len(contents), BLOCK))]
    with multiprocessing.get_context("fork").Pool(2, _keep, (folder, directories, contents)) as pool:
        pool.map(_block, blocks, chunksize=1)
    roots = _hex(directories[-ROOTS:])
    urls, snapshots = (
        pa.array([f"https://github.com/owner/{n}" for n in range(ROOTS)]),
        _hex(random.integers(0, 256, (ROOTS, 20), "u1")),
    )
    status = {"origin": urls, "visit": pa.array([1] * ROOTS), "date": pa.array([0] * ROOTS, pa.timestamp("ns"))}
    _save(folder, "origin_visit_status", {**status, "status": pa.array(["full"] * ROOTS), "snapshot": snapshots})
    heads = {"name": pa.array([b"HEAD"] * ROOTS), "target": roots, "target_type": pa.array(["directory"] * ROOTS)}
    _save(folder, "snapshot_branch", {"snapshot_id": snapshots, **heads})
    dates = {name: pa.array([], pa.timestamp("ns")) for name in ("date", "committer_date")}
    _save(folder, "revision", {name: pa.array([], pa.string()) for name in ("id", "directory")} | dates)


def _keep(*of: object) -> None:
    KEPT[:] = of


def _block(of: tuple[Callable[..., None], int, int]) -> None:
    work, *where = of
    work(*KEPT, *where)


def _entries(folder: Path, directories: Ids, contents: Ids, number: int, first: int) -> None:
    random, own = np.random.default_rng((1, number)), directories[first : first + BLOCK // ENTRIES]
    target = contents[random.integers(0, len(contents), len(own) * ENTRIES)].reshape(len(own), ENTRIES, 20)
    for n in range(FOLDERS):  # of what comes before: no directory holds itself
        target[:, n] = directories[(random.random(len(own)) * (first + np.arange(len(own)))).astype(int)]
    if not first:
        target[0, :FOLDERS] = contents[0]  # the first one has none before it
    modes = np.where(np.arange(ENTRIES) < FOLDERS, 0o40000, 0o100644)
    names = pa.array([b"file_%03d.py" % n for n in range(ENTRIES)])
    columns = {"directory_id": _hex(np.repeat(own, ENTRIES, 0)), "name": names.take(np.tile(np.arange(ENTRIES), len(own)))}
    columns |= {"target": _hex(target.reshape(-1, 20)), "perms": pa.array(np.tile(modes, len(own)).astype("i4"))}
    _save(folder, "directory_entry", columns, number)


def _contents(folder: Path, directories: Ids, contents: Ids, number: int, first: int) -> None:
    random, own = np.random.default_rng((2, number)), _hex(contents[first : first + BLOCK])
    of = {"sha1": own, "length": pa.array(random.integers(0, 100_000, len(own)))}
    _save(folder, "content", {"sha1_git": own, **of, "status": pa.array(["visible"] * len(own))}, number)


def _hex(own: Ids) -> pa.Array:
    digits = HEX[np.stack([own >> 4, own & 15], 2)].reshape(len(own), 40)
    ends = pa.array(np.arange(len(own) + 1, dtype="i4") * 40)
    return pa.StringArray.from_buffers(len(own), ends.buffers()[1], pa.py_buffer(np.ascontiguousarray(digits).data))


def _save(folder: Path, table: str, columns: dict[str, pa.Array], number: int = 0) -> None:
    (folder / table).mkdir(parents=True, exist_ok=True)
    pa.orc.write_table(pa.table(columns), folder / table / f"{table}-{number}.orc")


if __name__ == "__main__":
    main()
