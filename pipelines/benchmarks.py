"""Where the texts of benchmarks come from that must not be trained on: files that ship, files of the user's own, and URLs.

A description (recipes/benchmarks/*.yaml) says which fields of a benchmark are its prompt, docstring, solution and tests. Benchmarks are
compiled once into an index (transforms/clean/overlap/index.py), a file in the cache that is named by a digest: of what they hold, of
their descriptions, and of the code and the table that compile them.
"""

import functools
import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import recipe
from starmill.core.errors import InputError, NotThere, UsageError, one_line
from starmill.core.files import write
from starmill.core.names import did_you_mean
from starmill.core.storage import named
from starmill.transforms.clean import overlap
from starmill.transforms.clean.overlap.index import compiled, opened
from starmill.transforms.clean.overlap.tasks import ROLES, Description, Task

SHIPPED = Path(__file__).resolve().parents[1] / "recipes" / "benchmarks"
KEY = "release.benchmarks"
LARGEST = 1 << 30  # bytes of a benchmark, inflated
# What a file is read by that no shipped description is of.
ANY = Description(prompt=("prompt",), docstring=("text", "question"), solution=("canonical_solution", "code"))


def index(names: Sequence[str]) -> str:
    """Return the index of benchmarks, from the cache if it is there, or nothing of none.

    Raises NotThere for a file that is not there, UsageError for a description that is not, and InputError, naming file, line and field,
    for what is no benchmark.
    """
    if not names:
        return ""
    read = [_read(name) for name in names]
    digest = hashlib.sha256(_maker())
    for where, description, data in read:
        digest.update(recipe.digest(where.rpartition("/")[2], description).encode() + hashlib.sha256(data).digest())
    return _index(digest.hexdigest(), tuple(read))


def tasks(name: str) -> list[Task]:
    """Return the tasks of one benchmark, as `release.benchmarks` names it. Raises as `index` does."""
    where, description, data = _read(name)
    lines = [*_lines(where, data)]
    found = (description or _guessed(lines)).tasks(lines, where)
    if not found:
        raise InputError(f"{KEY}: {where}: no task in it; give another file, or leave it out")
    return found


@functools.lru_cache(maxsize=8)
def _index(digest: str, read: tuple[tuple[str, Description | None, bytes], ...]) -> str:
    place = _folder() / f"{digest}.index"
    try:
        blob = place.read_text("ascii")
        opened(blob)
        return blob
    except (OSError, ValueError):  # not there, or damaged: it is made again
        pass
    found = []
    for where, description, data in read:
        lines = [*_lines(where, data)]
        one = (description or _guessed(lines)).tasks(lines, where)
        if not one:
            raise InputError(f"{KEY}: {where}: no task in it; give another file, or leave it out")
        found += one
    blob = compiled(found)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write(place, blob.encode(), f"{os.getpid()}-")
    except OSError:  # a home that cannot be written: the next process compiles too
        pass
    return blob


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starmill" / "benchmarks"


@functools.cache
def _maker() -> bytes:
    """Return the digest of what compiles: another code, table or description makes another index of the same files."""
    digest = hashlib.sha256()
    for file in (Path(__file__), *sorted(SHIPPED.iterdir()), *sorted(Path(str(overlap.__file__)).parent.rglob("*"))):
        if file.suffix in (".py", ".txt", ".yaml"):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.digest()


def descriptions() -> dict[str, Description]:
    """Return the descriptions that ship, by name."""
    return {path.stem: recipe.load(Description, str(path)) for path in sorted(SHIPPED.glob("*.yaml"))}


def _read(name: str) -> tuple[str, Description | None, bytes]:
    """Return where a benchmark is, its description where it is said, and its bytes, inflated."""
    said, equals, place = name.partition("=")
    description = None
    if equals and (said.endswith((".yaml", ".yml")) or not {*said} & {*"/.:?"}):
        if said.endswith((".yaml", ".yml")):
            description = recipe.load(Description, said)
        else:
            known = descriptions()
            if said not in known:
                raise UsageError(
                    f"{KEY}: '{said}' describes no benchmark{did_you_mean(said, known)}; give one of {', '.join(known)}"
                )
            description = known[said]
    else:
        place = name
    url = _resolved(place)
    with named(KEY, url, mode="rb", compression="infer") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InputError(f"{KEY}: {url}: above {LARGEST:,} bytes; give the part that holds the tasks")
    return url, description, data


def _lines(where: str, data: bytes) -> Iterator[object]:
    """Yield the values of a file's lines, None for a line without any."""
    if data[:4] == b"PAR1":
        try:
            for block in pq.ParquetFile(io.BytesIO(data)).iter_batches():
                yield from block.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{KEY}: {where}: not readable as Parquet: {one_line(error)}; copy the file again") from None
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{KEY}: {where}, line {at}: not UTF-8 (byte {error.start:,}); give a benchmark's file") from None
    if text.lstrip()[:1] == "[" and where.lower().partition(".json")[2][:1] != "l":
        try:
            yield from json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{KEY}: {where}, line {getattr(error, 'lineno', 1)}: not a list in JSON: {error}") from None
        return
    for number, line in enumerate(text.split("\n"), 1):
        try:
            yield json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{KEY}: {where}, line {number}: not a benchmark task: {error}") from None


def _guessed(lines: Sequence[object]) -> Description:
    """Return the shipped description of which the first task has most fields, all that it names, or that of any benchmark."""
    first = next((line for line in lines if isinstance(line, dict)), {})

    def fields(description: Description) -> set[str]:
        return {name for role in ROLES for name in getattr(description, role)}

    fit = [one for one in descriptions().values() if fields(one) <= {*first}]
    best = max(fit, key=lambda one: (len(fields(one)), one.task in first, one.entry in first), default=ANY)
    return replace(best, numbers=None)  # which tasks count is only for who names the description


def _resolved(name: str) -> str:
    if "/" in name or "." in name or Path(name).exists():
        return name
    shipped = {path.stem: str(path) for path in sorted(SHIPPED.glob("*.jsonl"))}
    if name not in shipped:
        raise NotThere(
            f"{KEY}: no benchmark '{name}' ships; give the path or URL of a file of tasks, or one of: {', '.join(shipped)}"
        )
    return shipped[name]
