"""Fuzz targets of what reads dumps: git's objects and references, packages, texts, benchmarks."""

import bz2
import functools
import gzip
import json
import lzma
import shutil
import sys
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import exports
import hostile_archives
import hostile_repositories
import pytest
import tedious_texts
import zstandard
from fuzz import Target, fuzz

from starmill.core.swhid import blob_id, content_id
from starmill.pipelines import benchmarks
from starmill.pipelines.sources import encoding
from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.git import snapshots
from starmill.pipelines.sources.notebooks import NOTEBOOK, SCRIPT, of_file
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.source import Entry, Limits, label
from starmill.pipelines.sources.swh import contents as swh_contents
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.transforms.clean.overlap.index import compiled
from starmill.transforms.clean.redact.redact import Redact
from starmill.transforms.measure.html import visible_chars
from starmill.transforms.measure.licenses import tier

LIMITS = Limits(max_file_bytes=1 << 20, max_files=2000, max_names_bytes=1 << 20, max_inflated_bytes=64 << 20)


# Git. Every object has the id that its bytes have, so that what is in them is read.


@functools.cache
def repository(folder: Path) -> dict[str, bytes]:
    """Return the files of a repository in one pack, by their path in it."""
    pack, _ = hostile_repositories.packed(folder / "git")
    top = pack.parents[2]
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file() and "hooks" not in p.parts}


def files_of(suffix: str) -> Callable[[Path], Sequence[bytes]]:
    """Return the examples of one of its files."""
    return lambda folder: [data for path, data in repository(folder).items() if path.endswith(suffix)]


def in_place_of(suffix: str) -> Callable[[bytes, Path], object]:
    """Return what reads the repository with a damaged file."""

    def read(data: bytes, folder: Path) -> object:
        for path, good in repository(folder.parent / "examples").items():
            (folder / "r" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "r" / path).write_bytes(data if path.endswith(suffix) else good)
        return entries(folder)

    return read


def beside(name: str) -> Callable[[bytes, Path], object]:
    """Return what reads a repository with one more file."""

    def read(data: bytes, folder: Path) -> object:
        top = hostile_repositories.whole(folder / "r")
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
        return entries(folder)

    return read


def stored(kind: str) -> Callable[[bytes, Path], object]:
    """Return what reads a repository with an object of these bytes: a tree of the root, or the commit of HEAD."""

    def read(data: bytes, folder: Path) -> object:
        top = hostile_repositories.whole(folder / "r")
        made = hostile_repositories.put(top, kind, data)
        if kind == "tree":
            hostile_repositories.at(top, made)
        else:
            (top / "HEAD").write_text(made)
        return entries(folder)

    return read


def loose(data: bytes, folder: Path) -> object:
    """Read a repository whose first blob is these bytes, squeezed or not."""
    top = hostile_repositories.whole(folder / "r")
    hostile_repositories.stored(top, 1).write_bytes(zlib.compress(data) if len(data) % 2 else data)
    return entries(folder)


def entries(folder: Path) -> object:
    """Plan and read what lies in a folder, as a source does: nothing may raise, every lost file says why."""
    source = Folders(roots=(str(folder),))
    for planned in source.plan():
        snapshot, found = source.read(planned, LIMITS)
        for entry in found:
            assert (entry.data is None) == (entry.reason is not None)
            label(entry.path)[0].encode()
        snapshot.columns()
    return snapshots.look(folder / "r", folder)


def packages(name: str) -> Callable[[bytes, Path], object]:
    """Return what reads a distribution one of whose files is damaged."""

    def read(data: bytes, folder: Path) -> object:
        info = folder / "site/toy-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_bytes(b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        (info / "RECORD").write_bytes(b"toy.py,,\n")
        (info / name).write_bytes(data)
        (folder / "site/toy.py").write_bytes(b"x = 1\n")
        path, sys.path[:] = [*sys.path], [str(folder / "site")]
        try:
            return [
                list(Packages().read(planned, LIMITS)[1]) for planned in Packages().plan() if planned.name.startswith("pypi/")
            ]
        finally:
            sys.path[:] = path

    return read


def archive(suffix: str, squeeze: Callable[[bytes], bytes] = bytes) -> Callable[[bytes, Path], object]:
    """Return what reads an archive, damaged before it was squeezed or as it is."""

    def read(data: bytes, folder: Path) -> object:
        (folder / f"a.{suffix}").write_bytes(data if len(data) % 2 else squeeze(data))
        source, held = Archives(folder=str(folder)), 0
        [planned] = source.plan()
        before = None
        for entry in source.read(planned, LIMITS)[1]:
            assert (entry.data is None) == (entry.reason is not None)
            assert before is None or before <= entry.path, "sorted"
            assert entry.data is None or len(entry.data) < LIMITS.max_file_bytes
            before, held = entry.path, held + len(entry.data or b"")
        assert held <= LIMITS.max_inflated_bytes
        return source.count(planned, LIMITS)

    return read


def mended(data: bytes) -> bytes:
    """Return a tar with the right checksum in each block that may be a header, so that what is damaged in it is read."""
    blocks = [bytearray(data[at : at + 512]) for at in range(0, len(data), 512)]
    for block in blocks:
        if block[257:262] == b"ustar" and len(block) == 512:
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
    return b"".join(blocks)


def tars(_: Path) -> list[bytes]:
    """Return tars of every form that tarfile writes, with each kind of member."""
    h = hostile_archives
    kinds = [h.info(f"t{k}", bytes([k]), "../x", 5) for k in b"123456SLKxgVZ"]
    plain = h.tar(("d/a.py", b"x = 1\n" * 99), ("n" * 150 + "/" + "m" * 150, b"y"), ("é.py", b""), *kinds)
    made = h.file(b"a") + h.pax(b"path=b", b"size=6") + h.file(b"c") + h.pax(b"k=v", kind=b"g") + h.file(b"e") + h.END
    return [plain, made]


def zips(_: Path) -> list[bytes]:
    """Return zips of every method, and bombs."""
    h = hostile_archives
    files = (("d/a.py", b"x = 1\n" * 99), ("é.py", b""), ("b", bytes(5000)), ("folder/", b""))
    every = [h.zip_of(*files, method=method) for method in (0, 8, 12, 14)]
    return [*every, h.zip_whose_files_share_one_kernel(20, 100_000), h.zip_of_one_member_many_times(20, 100_000)]


def benchmark(data: bytes, folder: Path) -> object:
    """Read a benchmark's tasks, and compile them."""
    (folder / "b.jsonl").write_bytes(data)
    return compiled(benchmarks.tasks(str(folder / "b.jsonl")))


def texts(data: bytes, folder: Path) -> object:
    """Judge, decode, measure and redact the bytes of a file."""
    encoding.judge(data, 1 << 20)
    decoded = encoding.decode(data)
    if decoded is None:
        return None
    text = decoded[0]
    text.encode()
    once, spans = Redact().redact(text, "0" * 40)
    assert all(0 <= s["start"] < s["end"] <= len(once) for s in spans)
    assert Redact().redact(once, "0" * 40)[0] == once, "redacting twice changes nothing more"
    assert 0 <= visible_chars(text.encode()) <= len(text)
    tier(text[:200])
    return None


def notebook(data: bytes, folder: Path) -> object:
    """Make the records of a notebook: each has a text in UTF-8 whose segments lie in it, or a reason."""
    made = of_file(Entry(b"a.ipynb", data), (NOTEBOOK, SCRIPT))
    for entry in made:
        assert (entry.data is None) == (entry.reason is not None)
        size = len((entry.data or b"").decode()) if entry.origin else 0
        assert all(0 <= s["start"] <= s["end"] <= size for s in entry.segments or ())
    return made


@functools.cache
def exported(folder: Path, form: str) -> Path:
    """Return an export of one repository."""
    return exports.write(folder / form, {"https://github.com/a/r": hostile_repositories.whole(folder / "of")}, form)


def table_of(table: str, form: str) -> Target:
    """Return the target of an export in which one file of a table is damaged; what it gives is what git has, or says why not."""
    place = f"{form}/{table}/{table}-1.{form}"

    def read(data: bytes, folder: Path) -> None:
        shutil.copytree(exported(folder.parent / "examples", form), folder / "dump")
        (folder / "dump" / place).write_bytes(data)
        source = SoftwareHeritage(
            export=str(folder / "dump"), contents=str(folder / "dump/content"), catalog=str(folder / "catalog")
        )
        for planned in source.plan():
            snapshot, found = source.read(planned, LIMITS)
            assert all((entry.data is None) == (entry.reason is not None) for entry in found)
            snapshot.columns()

    return Target(lambda folder: [(exported(folder, form) / place).read_bytes()], read, 60)


def object_of(data: bytes, folder: Path) -> object:
    """Read an object of a content store: the blob that it is named after, or why it is not."""
    (folder / BLOB.sha1).write_bytes(data)
    try:
        store = swh_contents.ContentStore(swh_contents.Asking(str(folder)))
        assert store.get(BLOB, 1000, threading.Event()) == b"text\n"
    except swh_contents.NoContent as error:
        assert error.reason
    return None


BLOB = swh_contents.Wanted(blob_id(b"text\n"), content_id(b"text\n"), 5)
CELLS = [
    {"cell_type": type_, "source": ["%%time\n", "x"], "outputs": [{"output_type": "stream", "text": ["x"]}]}
    for type_ in ("markdown", "code")
]
BOOKS = [
    {"cells": CELLS, "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4},
    {"worksheets": [{"cells": CELLS}], "nbformat": 2},
]
TASK = json.dumps({"task_id": "a/0", "prompt": 'def f():\n    """Say what."""\n', "canonical_solution": "    return 1\n"})
TARGETS: dict[str, Target] = {
    "git pack": Target(files_of(".pack"), in_place_of(".pack")),
    "git index": Target(files_of(".idx"), in_place_of(".idx")),
    "git HEAD": Target(files_of("HEAD"), in_place_of("HEAD")),
    "git packed references": Target(files_of("packed-refs"), in_place_of("packed-refs")),
    "git config": Target(files_of("config"), in_place_of("config"), 50),
    "git alternates": Target(lambda _: [b"../../x/objects\n", b"/tmp\n"], beside("objects/info/alternates")),
    "git common folder": Target(lambda _: [b"..\n", b"../r\n"], beside("commondir")),
    "git file": Target(lambda _: [b"gitdir: .\n", b"gitdir: ../r\n"], beside(".git")),
    "git tree": Target(lambda _: [b"100644 a\0" + b"1" * 20 + b"40000 d\0" + b"2" * 20], stored("tree")),
    "git commit": Target(lambda _: [b"tree " + b"1" * 40 + b"\nauthor a <a@b> 1 +0\ncommitter a <a@b> 1 +0\n\nx\n"], stored("commit")),
    "git loose object": Target(lambda _: [b"blob 5\0hello", zlib.compress(b"blob 5\0hello")], loose),
    "package record": Target(lambda _: [b"toy.py,sha256=x,6\n../out.py,,\n"], packages("RECORD")),
    "package metadata": Target(lambda _: [b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n\nx"], packages("METADATA")),
    "notebook": Target(lambda _: [json.dumps(book).encode() for book in BOOKS], notebook, 300),
    "tar": Target(tars, archive("tar"), 300),
    "tar headers": Target(tars, lambda data, folder: archive("tar")(mended(data + b"x" * (len(data) % 2 == 0)), folder), 500),
    "tar in gzip": Target(tars, archive("tgz", gzip.compress)),
    "tar in bzip2": Target(tars, archive("tar.bz2", bz2.compress)),
    "tar in xz": Target(tars, archive("tar.xz", lzma.compress)),
    "tar in zstd": Target(tars, archive("tar.zst", lambda data: zstandard.compress(data))),
    "gzip": Target(lambda folder: [gzip.compress(t, mtime=0) * 2 for t in tars(folder)], archive("tgz")),
    "bzip2": Target(lambda folder: [bz2.compress(t) for t in tars(folder)], archive("tar.bz2")),
    "xz": Target(lambda folder: [lzma.compress(t) for t in tars(folder)], archive("tar.xz")),
    "zstd": Target(lambda folder: [zstandard.compress(t) for t in tars(folder)], archive("tar.zst")),
    "zip": Target(zips, archive("zip"), 500),
    "benchmark": Target(lambda _: [TASK.encode()], benchmark),
    **{f"swh {table}, {form}": table_of(table, form) for table in ("directory_entry", "revision") for form in ("orc", "parquet")},
    "swh object": Target(lambda _: [gzip.compress(b"text\n", mtime=0)], object_of),
    "texts": Target(lambda _: [t.encode("utf-8", "surrogatepass") for _, t in tedious_texts.texts(3000)], texts, 300),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz(name: str, tmp_path: Path) -> None:
    fuzz(TARGETS[name], tmp_path)
