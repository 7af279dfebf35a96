"""One way to read one dump, in the environment of its library: prints bytes of contents, CPU seconds without imports, and the peak in MiB.

    python reading.py WAY PLACE

Each way gives every content as bytes or text to Python, one after the other, and holds no more than its library wants to hold.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def starmill(place: str) -> Callable[[], Iterator[bytes]]:
    """Return the reader of starmill's own source for what lies there, with all that the source checks."""
    from starmill.pipelines.sources.archives.reader import Archives
    from starmill.pipelines.sources.folders import Folders
    from starmill.pipelines.sources.gharchive.reader import GHArchive
    from starmill.pipelines.sources.source import Limits, Source
    from starmill.pipelines.sources.tables.reader import Tables

    of = Path(place)
    source: Source
    if of.suffix in (".parquet", ".jsonl"):
        files = {"content": "files.content", "path": "files.path", "repo_name": "repo"}
        nested = {"files": "files", "columns": files} if of.stem == "nested" else {}
        source = Tables(place=place, names="unique", **nested)  # type: ignore[arg-type]
    elif of.name == "hours":
        source = GHArchive(hours=place, index=f"{place}.index-{os.getpid()}")
    else:
        source = Folders(roots=(place,)) if of.name == "git" else Archives(folder=place)

    def read() -> Iterator[bytes]:
        for unit in source.plan():
            for entry in source.read(unit, Limits())[1]:
                if entry.data is not None:
                    yield entry.data

    return read


def git(place: str) -> Callable[[], Iterator[bytes]]:
    """`git cat-file --batch --buffer` of what `git ls-tree` lists; it compares no id with its bytes."""

    def read() -> Iterator[bytes]:
        for repository in sorted(Path(place).iterdir()):
            listed = subprocess.run(
                ["git", "-C", str(repository), "ls-tree", "-rz", "HEAD"], capture_output=True, check=True
            ).stdout
            ids = b"".join(
                line.split()[2] + b"\n" for line in listed.split(b"\0")[:-1] if not line.startswith((b"120", b"160"))
            )
            # From a file: git answers before it has read all, so that through a pipe both would wait for the other.
            with tempfile.TemporaryFile() as asked:
                asked.write(ids)
                asked.seek(0)
                command = ["git", "-C", str(repository), "cat-file", "--batch", "--buffer"]
                with subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE) as child:
                    assert child.stdout
                    while header := child.stdout.readline():
                        yield child.stdout.read(int(header.split()[2]))
                        child.stdout.read(1)

    return read


def dulwich(place: str) -> Callable[[], Iterator[bytes]]:
    """Dulwich, which compares ids as starmill does."""
    from dulwich.object_store import iter_tree_contents
    from dulwich.repo import Repo

    def read() -> Iterator[bytes]:
        for repository in sorted(Path(place).iterdir()):
            repo = Repo(str(repository))
            for entry in iter_tree_contents(repo.object_store, repo[repo.head()].tree):
                if entry.mode not in (0o120000, 0o160000):
                    yield repo.object_store[entry.sha].as_raw_string()

    return read


def pyarrow(place: str) -> Callable[[], Iterator[bytes]]:
    """Batches of 1,000 rows, one thread."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def read() -> Iterator[bytes]:
        with pq.ParquetFile(place) as table:
            for batch in table.iter_batches(1000, use_threads=False):
                nested = "files" in batch.schema.names
                column = batch.column("files").flatten().field("content") if nested else batch.column("content")
                yield from column.cast(pa.binary()).to_pylist()

    return read


def plain(place: str) -> Callable[[], Iterator[bytes]]:
    """Python's own libraries: json, gzip, tarfile, zipfile."""
    import gzip
    import tarfile
    import zipfile

    def read() -> Iterator[bytes]:
        if place.endswith(".jsonl"):
            with open(place, "rb") as lines:
                for line in lines:
                    yield json.loads(line)["content"].encode()
        for archive in sorted(Path(place).iterdir()) if os.path.isdir(place) else ():
            if archive.suffix == ".zip":
                with zipfile.ZipFile(archive) as members:
                    for name in members.namelist():
                        yield members.read(name)
            elif archive.name.endswith(".json.gz"):
                with gzip.open(archive) as lines:
                    for line in lines:
                        event = json.loads(line)
                        if event["type"] in (
                            "IssuesEvent",
                            "IssueCommentEvent",
                            "PullRequestEvent",
                            "PullRequestReviewCommentEvent",
                        ):
                            yield line
            else:
                with tarfile.open(archive) as tar:
                    for member in tar:
                        file = tar.extractfile(member)
                        yield file.read() if file else b""

    return read


def duckdb(place: str) -> Callable[[], Iterator[bytes]]:
    """One thread, batches of Arrow; contents as Python's own, as all others give them."""
    import duckdb as db
    import pyarrow  # noqa: F401  # what DuckDB gives batches of

    def read() -> Iterator[bytes]:
        with db.connect(config={"threads": 1}) as connection:
            if place.endswith(".jsonl"):
                query = "SELECT content FROM read_json(?, format='newline_delimited', columns={content: 'VARCHAR'})"
            elif Path(place).stem == "nested":
                query = "SELECT f.content FROM (SELECT unnest(files) AS f FROM read_parquet(?))"
            else:
                query = "SELECT content FROM read_parquet(?)"
            for batch in connection.execute(query, [place]).fetch_record_batch(1000):
                for text in batch.column(0).to_pylist():
                    yield text.encode()

    return read


def datatrove(place: str) -> Callable[[], Iterator[bytes]]:
    """Its readers of Parquet and JSON Lines."""
    from datatrove.pipeline.readers import JsonlReader, ParquetReader

    reader = JsonlReader if place.endswith(".jsonl") else ParquetReader
    of = Path(place)
    made = reader(str(of.parent), glob_pattern=of.name, text_key="content", id_key="path")

    def read() -> Iterator[bytes]:
        for document in made.run():
            yield document.text.encode()

    return read


WAYS = {way.__name__: way for way in (starmill, git, dulwich, pyarrow, plain, duckdb, datatrove)}


def main() -> None:
    """Read once, and print what it took."""
    sys.stdout, out = io.StringIO(), sys.stdout
    read = WAYS[sys.argv[1]](sys.argv[2])
    before = sum(os.times()[:4])
    total = files = 0
    for data in read():
        total, files = total + len(data), files + 1
    took = sum(os.times()[:4]) - before
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    print(json.dumps([total, files, took, int(line.split()[1]) >> 10, time.process_time()]), file=out)


if __name__ == "__main__":
    main()
