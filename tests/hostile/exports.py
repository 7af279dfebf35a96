"""Exports of Software Heritage, written from git repositories: the tables as its exporters write them, ORC or Parquet, and the objects.

Every row is made of what git itself says of its objects. A test may change the rows before they are written.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyorc

from starmill.core.swhid import object_id

HASHES = dict.fromkeys(("sha1", "sha1_git", "sha256", "blake2s256"), "string")
COLUMNS = {
    "origin": {"id": "string", "url": "string"},
    "origin_visit_status": {
        "origin": "string",
        "visit": "bigint",
        "date": "timestamp",
        "status": "string",
        "snapshot": "string",
        "type": "string",
    },
    "snapshot_branch": {"snapshot_id": "string", "name": "binary", "target": "string", "target_type": "string"},
    "release": {"id": "string", "name": "binary", "target": "string", "target_type": "string", "date": "timestamp"},
    "revision": {
        "id": "string",
        "message": "binary",
        "date": "timestamp",
        "committer_date": "timestamp",
        "directory": "string",
        "type": "string",
    },
    "revision_history": {"id": "string", "parent_id": "string", "parent_rank": "int"},
    "directory": {"id": "string", "raw_manifest": "binary"},
    "directory_entry": {"directory_id": "string", "name": "binary", "type": "string", "target": "string", "perms": "int"},
    "content": {**HASHES, "length": "bigint", "status": "string"},
    "skipped_content": {**HASHES, "length": "bigint", "status": "string", "reason": "string"},
}
DATE = pa.struct([pa.field("seconds", pa.int64(), False), pa.field("microseconds", pa.uint32(), False)])
ARROW = {"string": pa.string(), "bigint": pa.int64(), "binary": pa.binary(), "int": pa.int32(), "timestamp": DATE}
TYPES = {0o160000: "rev", 0o040000: "dir"}
TREE_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
Rows = dict[str, list[dict[str, Any]]]


def write(
    folder: Path, repositories: Mapping[str, Path], form: str = "orc", change: Callable[[Rows], object] = lambda rows: None
) -> Path:
    """Write `folder`/<form>/<table>/ and `folder`/content/ of git repositories, each with the URL of its origin."""
    rows: Rows = {table: [] for table in COLUMNS}
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "content").mkdir(parents=True)
    for visit, (url, place) in enumerate(sorted(repositories.items())):
        of_repository(rows, url, place, folder / "content", 1_600_000_000 + visit)
    for table in ("revision", "release", "directory", "content"):  # an object is exported once, whatever holds it
        rows[table] = [*{row.get("sha1_git", row.get("id")): row for row in rows[table]}.values()]
    change(rows)
    save(folder / form, rows, form)
    return folder


def exported(place: Path) -> dict[str, str]:
    """Export one repository, a/<its name>, beside its folder; return the options of a source that reads the export."""
    folder = place.parent.parent
    dump = write(folder / "swh", {f"https://github.com/a/{place.name}": place})
    return {"export": str(dump / "orc"), "contents": str(dump / "content"), "catalog": str(folder / "catalog")}


def save(folder: Path, rows: Rows, form: str = "orc") -> Path:
    """Write the tables, each in two files; one that has no rows too."""
    for table in COLUMNS:
        (folder / table).mkdir(parents=True)
        for n, part in enumerate(_parts(rows.get(table, []))):
            (_orc if form == "orc" else _parquet)(folder / table / f"{table}-{n}.{form}", table, part)
    return folder


def of_repository(rows: Rows, url: str, place: Path, contents: Path, date: int) -> None:
    """Add the rows of one repository, and its objects."""
    snapshot = hashlib.sha1(url.encode()).hexdigest()
    rows["origin"].append({"id": snapshot, "url": url})
    visit = {"origin": url, "visit": 1, "date": date, "type": "git"}
    rows["origin_visit_status"] += [
        {**visit, "status": "created", "snapshot": None},
        {**visit, "date": date + 1, "status": "full", "snapshot": snapshot},
    ]
    head = run(place, "symbolic-ref", "HEAD").strip()
    rows["snapshot_branch"].append({"snapshot_id": snapshot, "name": b"HEAD", "target": head.hex(), "target_type": "alias"})
    kinds = {"commit": "revision", "tag": "release"}
    for line in run(place, "for-each-ref", "--format=%(objectname) %(objecttype) %(refname)").splitlines():
        own, kind, name = line.split(b" ", 2)
        target = {"target": own.decode(), "target_type": kinds.get(kind.decode(), "content")}
        rows["snapshot_branch"].append({"snapshot_id": snapshot, "name": name, **target})
    entries = {row["directory_id"] for row in rows["directory_entry"]}
    for own, kind, data in objects(place):
        if kind == "blob":
            hashes = {"sha1": hashlib.sha1(data).hexdigest(), "sha1_git": own, "sha256": hashlib.sha256(data).hexdigest()}
            hashes["blake2s256"] = hashlib.blake2s(data).hexdigest()
            rows["content"].append({**hashes, "length": len(data), "status": "visible"})
            (contents / hashes["sha1"]).write_bytes(gzip.compress(data, mtime=0))
        elif kind == "tree" and own not in entries:
            tree(rows, own, data)
        elif kind == "commit":
            fields = re.search(rb"tree (\w+)\n(?:parent .*\n)*author .*> (-?\d+) .*\ncommitter .*> (-?\d+) ", data)
            assert fields
            dates = {"date": int(fields[2]), "committer_date": int(fields[3])}
            said = {"message": data.partition(b"\n\n")[2], "directory": fields[1].decode(), "type": "git", **dates}
            rows["revision"].append({"id": own, **said})
            parents = re.match(rb"tree \w+\n((?:parent \w+\n)*)", data)
            for rank, line in enumerate(parents[1].splitlines() if parents else ()):
                rows["revision_history"].append({"id": own, "parent_id": line.split()[1].decode(), "parent_rank": rank})
        elif kind == "tag":
            target = re.match(rb"object (\w+)\ntype (\w+)\ntag (.*)\n", data)
            assert target
            kept = {"target": target[1].decode(), "target_type": kinds.get(target[2].decode(), "content")}
            rows["release"].append({"id": own, "name": target[3], "date": None, **kept})


def tree(rows: Rows, own: str, data: bytes) -> None:
    """Add a tree: its modes as a person expects them, and its bytes where these are not what the entries say."""
    found = [(int(mode, 8), name, target) for mode, name, target in TREE_ENTRY.findall(data)]
    usual = [(mode if mode in TYPES or mode == 0o120000 else 0o100755 if mode & 0o100 else 0o100644, *e) for mode, *e in found]
    ordered = sorted(usual, key=lambda e: e[1] + b"/" if e[0] == 0o40000 else e[1])
    canonical = object_id("tree", b"".join(b"%o %s\0%s" % e for e in ordered)) == own
    rows["directory"].append({"id": own, "raw_manifest": None if canonical else b"tree %d\0%s" % (len(data), data)})
    rows["directory_entry"] += [
        {"directory_id": own, "name": name, "type": TYPES.get(mode, "file"), "target": target.hex(), "perms": mode}
        for mode, name, target in usual
    ]


def objects(place: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield the id, kind and bytes of every object of a repository."""
    data, at = run(place, "cat-file", "--batch-all-objects", "--batch", "--buffer"), 0
    while at < len(data):
        end = data.index(b"\n", at)
        own, kind, size = data[at:end].decode().split()
        yield own, kind, data[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)


def run(place: Path, *arguments: str) -> bytes:
    """Return what git says, with nothing of the machine's configuration."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", "-C", str(place), *arguments], env=clean, check=True, capture_output=True).stdout


def listed(place: Path) -> dict[bytes, tuple[int, str]]:
    """Return the mode and id of each path at HEAD, by `git ls-tree -r`."""
    found = {}
    for line in run(place, "ls-tree", "-r", "-z", "HEAD").split(b"\0")[:-1]:
        said, path = line.split(b"\t", 1)
        mode, _, own = said.decode().split()
        found[path] = (int(mode, 8), own)
    return found


def _parts(rows: list[dict]) -> list[list[dict]]:
    """Return rows as an exporter spreads them over files: what belongs to one object stays together."""
    owned = defaultdict(list)
    for row in rows:
        owned[next(iter(row.values()))].append(row)
    groups, half = [*owned.values()], len(owned) // 2
    return [[row for group in part for row in group] for part in (groups[:half], groups[half:])]


class _Seconds:
    @staticmethod
    def to_orc(value: int, timezone: object) -> tuple[int, int]:
        return value, 0

    @staticmethod
    def from_orc(*_: object) -> None:
        raise NotImplementedError


def _orc(place: Path, table: str, rows: list[dict]) -> None:
    schema = f"struct<{','.join(f'{name}:{kind}' for name, kind in COLUMNS[table].items())}>"
    converters: dict = {pyorc.TypeKind.TIMESTAMP: _Seconds}
    with (
        open(place, "wb") as file,
        pyorc.Writer(file, schema, compression=pyorc.CompressionKind.ZSTD, converters=converters) as to,
    ):
        to.writerows(tuple(row.get(name) for name in COLUMNS[table]) for row in rows)


def _parquet(place: Path, table: str, rows: list[dict]) -> None:
    dates = {name for name, kind in COLUMNS[table].items() if kind == "timestamp"}
    of = {
        n: pa.timestamp("us") if table == "origin_visit_status" and n in dates else ARROW[k] for n, k in COLUMNS[table].items()
    }
    made = [
        {n: _date(row.get(n), of[n]) if n in dates and row.get(n) is not None else row.get(n) for n in COLUMNS[table]}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(made, pa.schema([*of.items()])), place)


def _date(seconds: int, kind: pa.DataType) -> object:
    return {"seconds": seconds, "microseconds": 0} if kind == DATE else seconds * 10**6
