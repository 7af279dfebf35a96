"""How fast dumps are read: each source beside git, pyarrow, DuckDB, datatrove, dulwich and Python's own libraries, in one run.

    .venv/bin/python benchmarks/reading.py [--megabytes 60] [--minutes 5] [--write]

Every way is a process of its own that reads the same dump to bytes of contents in Python, in turn; CPU seconds are of the process and its
children, without imports. Ratios hold where others work too; seconds do not. Ours also checks ids, types, limits and names. Rounds of all
ways are repeated, up to five times, while one more ends within `--minutes`. The first call installs the peers besides.
"""

import argparse
import datetime
import gzip
import json
import os
import random
import statistics
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import version as installed
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import report
import tools

READ = Path(__file__).parent / "peers" / "reading.py"
# By dump: what reads it, the first beside which the others are set.
DUMPS = {
    "git": ("starmill", "git", "dulwich"),
    "flat.parquet": ("starmill", "pyarrow", "duckdb", "datatrove"),
    "nested.parquet": ("starmill", "pyarrow", "duckdb"),
    "flat.jsonl": ("starmill", "plain", "duckdb", "datatrove"),
    "tars": ("starmill", "plain"),
    "zips": ("starmill", "plain"),
    "hours": ("starmill", "plain"),
}
ROUNDS = 5
ENVIRONMENTS = {"duckdb": "duckdb", "datatrove": "datatrove"}
NAMED = {"plain": "Python's own", "git": "git cat-file --batch"}


def files(megabytes: int) -> dict[str, list[tuple[str, str]]]:
    """Return repositories with their files, of lines that no two files share in whole."""
    rng = random.Random(1)
    lines = [f"    value_{i} = compute(width_{rng.randrange(99)}, {rng.randrange(10**9)})\n" for i in range(5000)]
    return {
        f"owner/{r:06d}": [(f"src/{k}.py", "".join(rng.choices(lines, k=rng.randrange(20, 160)))) for k in range(30)]
        for r in range(megabytes * 1000 // 120)
    }


def make(folder: Path, megabytes: int) -> None:
    """Write the same files as each dump; the nested table is a single row group, hours are events of other texts."""
    made = files(megabytes)
    nested = [{"repo": name, "files": [{"path": p, "content": c} for p, c in own]} for name, own in made.items()]
    kind = pa.schema([("repo", pa.string()), ("files", pa.list_(pa.struct([("path", pa.string()), ("content", pa.string())])))])
    pq.write_table(pa.Table.from_pylist(nested, kind), folder / "nested.parquet", row_group_size=10**9, use_dictionary=False)
    flat = [{"repo_name": name, "path": path, "content": text} for name, own in made.items() for path, text in own]
    pq.write_table(pa.Table.from_pylist(flat), folder / "flat.parquet", row_group_size=20_000, use_dictionary=False)
    with open(folder / "flat.jsonl", "w") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in flat)
    groups = [[*made.items()][n::8] for n in range(8)]
    for n, group in enumerate(groups):
        _archives(folder, n, [(f"{name}/{path}", text.encode()) for name, own in group for path, text in own])
    _repositories(folder / "git", groups)
    _hours(folder / "hours", megabytes)


def _archives(folder: Path, n: int, members: list[tuple[str, bytes]]) -> None:
    (folder / "tars").mkdir(exist_ok=True)
    (folder / "zips").mkdir(exist_ok=True)
    with tarfile.open(folder / f"tars/{n}.tar.gz", "w:gz", compresslevel=6) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    with zipfile.ZipFile(folder / f"zips/{n}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


def _repositories(folder: Path, groups: list[list[tuple[str, list[tuple[str, str]]]]]) -> None:
    """Write bare repositories of one commit, packed as git packs them."""
    for n, group in enumerate(groups):
        commit = [b"commit refs/heads/main\ncommitter a <a@b.c> 0 +0000\ndata 3\nall\n"]
        for name, own in group:
            for path, text in own:
                data = text.encode()
                commit.append(b"M 100644 inline %s/%s\ndata %d\n%s\n" % (name.encode(), path.encode(), len(data), data))
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / str(n))], check=True)
        for command in (["fast-import", "--quiet"], ["repack", "-adfq"]):
            subprocess.run(["git", "-C", str(folder / str(n)), *command], input=b"".join(commit), check=True)


def _hours(folder: Path, megabytes: int) -> None:
    folder.mkdir()
    rng = random.Random(2)
    words = "the reader returns one row of nulls when a file is empty and counts are wrong after it".split()
    for hour in range(4):
        out = []
        for n in range(megabytes * 200):
            said = " ".join(rng.choices(words, k=rng.randrange(20, 200)))
            issue = {"id": n, "number": n % 500, "title": f"Rows {n}", "body": said, "user": {"login": f"user{n % 97}"}}
            kind, more = (
                ("IssueCommentEvent", {"comment": {"id": n, "body": said, "user": issue["user"]}})
                if n % 3
                else ("IssuesEvent", {})
            )
            kind = "PushEvent" if n % 2 else kind
            event = {
                "id": str(hour * 10**8 + n),
                "type": kind,
                "actor": issue["user"],
                "repo": {"id": n % 50, "name": f"me/{n % 50}"},
            }
            out.append(
                json.dumps(
                    {**event, "payload": {"action": "opened", "issue": issue, **more}, "created_at": "2016-01-01T00:00:00Z"}
                )
            )
        (folder / f"2016-01-01-{hour}.json.gz").write_bytes(gzip.compress("\n".join(out).encode() + b"\n", 6, mtime=0))


def measured(python: Callable[[str], str], folder: Path, until: float) -> dict[str, dict[str, list[list[float]]]]:
    """Return by dump and way [bytes, files, CPU s, peak MiB] of each round; the ways take turns.

    A round is begun while, at the pace of those before, it ends before `until` (of time.monotonic).
    """
    found: dict[str, dict[str, list[list[float]]]] = {dump: {way: [] for way in ways} for dump, ways in DUMPS.items()}
    took = 0.0
    for _ in range(ROUNDS):
        before = time.monotonic()
        if before + took > until:
            break
        for dump, ways in DUMPS.items():
            for way in ways:
                done = subprocess.run([python(way), str(READ), way, str(folder / dump)], capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{way} {dump}: {done.stderr[-2000:]}")
                found[dump][way].append(json.loads(done.stdout.splitlines()[-1])[:4])
        took = time.monotonic() - before
    return found


def main() -> None:
    """Measure, print, and with --write append to the results."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=60)
    options.add_argument("--minutes", type=float, default=5.0, help="after which no round is begun")
    options.add_argument("--cache", type=Path, default=Path.home() / ".cache/starmill/peers", help="environments of the peers")
    report.add_write(options)
    given = options.parse_args()

    def python(way: str) -> str:
        return tools.environment(ENVIRONMENTS.get(way, "starmill"), given.cache)

    def version(way: str) -> str:
        if way == "git":
            return subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout.split()[2]
        if way in ENVIRONMENTS:
            return tools.version(python(way), way)
        return installed(way) if way in ("pyarrow", "dulwich") else ""

    for way in ENVIRONMENTS:
        python(way)  # installed before the clock runs
    until = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as name:
        make(Path(name), given.megabytes)
        inflated = sum(len(gzip.decompress(hour.read_bytes())) for hour in Path(name, "hours").iterdir())
        found = measured(python, Path(name), until)
    rounds = len(found["git"]["git"])
    lines = [f"## {datetime.date.today()}, {report.processor()}, one core, least CPU of each way in rounds: {rounds}", ""]
    lines += [
        f"Load average at the end: {os.getloadavg()[0]:.1f}, of {os.cpu_count()} cores. Ratios are medians of the rounds.",
        "",
    ]
    lines += [
        "| dump | read by | files | MB of contents, of hours of JSON | CPU s | MB per CPU s | CPU of starmill / its | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for dump, ways in found.items():
        best = {way: min(runs, key=lambda run: run[2]) for way, runs in ways.items()}
        size = inflated if dump == "hours" else best["starmill"][0]
        if dump != "hours":  # of hours ours gives threads, for which it sorts the events; the others give events
            assert len({run[0] for run in best.values()}) == 1, f"{dump}: all read the same bytes"
        for way, (_, count, took, peak) in best.items():
            ratios = statistics.median(a[2] / b[2] for a, b in zip(ways["starmill"], ways[way], strict=True))
            label = f"{NAMED.get(way, way)} {version(way)}".strip()
            lines.append(
                f"| {dump} | {label} | {count:,} | {size / 1e6:.0f} | {took:.2f} | {size / 1e6 / took:.0f} | {ratios:.2f} | {peak} |"
            )
    report.tell("reading", lines, given.write)


if __name__ == "__main__":
    main()
