"""How fast tables are read: this source beside plain pyarrow and Python's json, as a ratio of CPU seconds; and the peak of memory.

    .venv/bin/python benchmarks/tables.py [--megabytes 400] [--write]

Each way is a process of its own, which reads one generated table to bytes of contents. Ratios hold where others work too; seconds do not.
Ours also checks types, names units and looks for files that are twice in a repository (a SHA-1 of each content).
"""

import argparse
import datetime
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import report

from starmill.pipelines.sources.source import Limits
from starmill.pipelines.sources.tables import Tables

DIALECTS = ("nested.parquet", "flat.parquet", "flat.jsonl")
ROLES = {"content": "files.content", "path": "files.path", "repo_name": "repo"}


def make(folder: Path, megabytes: int) -> None:
    """Write the same files as each dialect; the nested one is a single row group."""
    rng = random.Random(1)
    lines = [f"    value_{i} = compute(width_{rng.randrange(99)}, {rng.randrange(10**9)})\n" for i in range(5000)]
    nested = []
    for r in range(megabytes * 1000 // 120):
        files = [{"path": f"src/{k}.py", "content": "".join(rng.choices(lines, k=rng.randrange(20, 160)))} for k in range(30)]
        nested.append({"repo": f"owner/{r:06d}", "files": files})
    schema = pa.schema(
        [("repo", pa.string()), ("files", pa.list_(pa.struct([("path", pa.string()), ("content", pa.string())])))]
    )
    with pq.ParquetWriter(folder / DIALECTS[0], schema, use_dictionary=False) as writer:
        writer.write_table(pa.Table.from_pylist(nested, schema), row_group_size=10**9)
    flat = [{"repo_name": row["repo"], **file} for row in nested for file in row["files"]]
    pq.write_table(pa.Table.from_pylist(flat), folder / DIALECTS[1], row_group_size=20_000, use_dictionary=False)
    with open(folder / DIALECTS[2], "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in flat)


def ours(place: Path) -> int:
    """Return the bytes of contents that the source gives."""
    nested = place.name.startswith("nested")
    source = Tables(place=str(place), names="unique", **({"files": "files", "columns": ROLES} if nested else {}))  # type: ignore[arg-type]
    return sum(len(entry.data or b"") for unit in source.plan() for entry in source.read(unit, Limits())[1])


def plain(place: Path) -> int:
    """Return the same by pyarrow or json."""
    if place.suffix == ".jsonl":
        with open(place, "rb") as lines:
            return sum(len(json.loads(line)["content"].encode()) for line in lines)
    total = 0
    with pq.ParquetFile(place) as table:
        for batch in table.iter_batches(1000, use_threads=False):
            column = (
                batch.column("files").flatten().field("content") if "files" in batch.schema.names else batch.column("content")
            )
            total += sum(map(len, column.cast(pa.binary()).to_pylist()))
    return total


def peak() -> int:
    """Return the most MiB that this process had in memory; getrusage would count its parent's, too."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) >> 10


def main() -> None:
    """Measure, print, and with --write append to the results."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=400)
    report.add_write(options)
    options.add_argument("--one", nargs=2)
    given = options.parse_args()
    if given.one:
        began = time.process_time()
        size = {"ours": ours, "plain": plain}[given.one[0]](Path(given.one[1]))
        print(json.dumps([size, time.process_time() - began, peak()]))
        return
    lines = [f"## {datetime.date.today()}, {report.processor()}, one core", ""]
    lines += [
        "| table | MB of contents | plain, CPU s | starmill, CPU s | ratio | plain, peak MiB | starmill, peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        make(Path(folder), given.megabytes)
        for dialect in DIALECTS:
            found = {}
            for way in ("plain", "ours"):
                command = [sys.executable, __file__, "--one", way, f"{folder}/{dialect}"]
                runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3)]
                found[way] = min(runs, key=lambda run: run[1])
            (size, before, most), (same, took, our_most) = found["plain"], found["ours"]
            assert size == same, "both read the same"
            lines.append(
                f"| {dialect} | {size / 1e6:.0f} | {before:.2f} | {took:.2f} | {took / before:.2f} | {most} | {our_most} |"
            )
    report.tell("tables", lines, given.write)


if __name__ == "__main__":
    main()
