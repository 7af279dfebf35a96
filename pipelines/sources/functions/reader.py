"""Documented functions of a dataset that is finished: what a model writes instructions from (StarCoder2-Instruct calls them seeds).

The repositories are those of the other workspace's dataset/. A function is a record of its own, whose `parent` is the SWHID of its file
and whose path ends with its lines in the text of that dataset: `/src/area.py/12-30`. A function that is no seed is a row with the reason,
and so is a file without any: files in are rows out.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import parsing, recipe, schema
from starmill.core.dataset import Workspace, part_path
from starmill.core.document import CODE
from starmill.core.errors import NotThere
from starmill.core.names import AtLeast1, Language, Place, did_you_mean
from starmill.core.swhid import swhid
from starmill.pipelines.sources.functions.languages import LANGUAGES
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot, unique
from starmill.pipelines.sources.tables.lines import DAMAGE, damaged

CHILD = "starmill.pipelines.sources.functions.child"  # named here, and never imported
SECTION = "sources of kind functions"
DATASET = "dataset"
SEED = "seed"
# Columns of the other dataset that hold for each of a file's functions.
FACTS = tuple(name for name in schema.RECORDS.names if name not in {
    "kind", "repo_name", "path", "blob_id", "content_id", "parent", "src_encoding", "extension", "length_bytes", "content", "segments",
})  # fmt: skip
READ = ("kind", "repo_name", "path", "content_id", "language", "detected_licenses", "content", *FACTS)
TOGETHER = 1 << 20  # bytes of text that are parsed before the first of their functions is given
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Functions(Options):
    """Documented functions at the top of the files in another workspace's dataset: StarCoder2-Instruct's seeds."""

    kind: Literal["functions"] = "functions"  # always given
    workspace: Place  # the other workspace, whose dataset is complete
    languages: tuple[Language, ...] = ()  # of which functions are read; none: all that have a row (docs/seeds.md)
    max_bytes: AtLeast1 = 1 << 17  # of UTF-8; a larger file is not parsed
    gives: ClassVar[tuple[str, ...]] = (SEED,)

    def __post_init__(self) -> None:
        """Raise ValueError for a language of which no functions are known."""
        for name in self.languages:
            if name not in LANGUAGES:
                raise ValueError(
                    f"languages: no functions of {name} are known{did_you_mean(name, LANGUAGES)}; give some of {', '.join(LANGUAGES)}"
                )

    @staticmethod
    def children() -> tuple[str, ...]:
        """Return the module that the process of the source runs."""
        return (CHILD,)

    def places(self) -> tuple[str, ...]:
        """Return the other workspace, where it is of this machine."""
        return () if "://" in self.workspace else (self.workspace,)

    def inventory(self) -> list[Repository]:
        """Return the repositories of the dataset. Raises NotThere without a complete one, MachineError without grammars."""
        parsing.refuse_without_grammars(SECTION)
        manifest = self._from.manifest(DATASET)
        if manifest is None:
            raise NotThere(f"{self.workspace}: no complete {DATASET}/ in it; finish a run there first")
        made, seen = list[Repository](), dict[str, int]()
        for part in manifest.parts:
            names = self._from.table(part_path(DATASET, part.part), ["repo_name", "length_bytes"])
            for name, spans, size in _repositories(names):
                place = {"part": str(part.part), "state": part.digest(), "rows": spans, "name": name}
                made.append(Repository(unique(name, seen), place, size, self._fingerprint(part.digest(), spans)))
        return sorted(made, key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return the functions of a repository's files, in the order of the dataset."""
        return Snapshot(), self._entries(repository, limits.max_file_bytes)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now."""
        part = self._from.sidecar(DATASET, int(repository.place["part"]))
        return self._fingerprint(part.digest() if part is not None else "", repository.place["rows"])

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files a repository has in the dataset."""
        return Counted(sum(last - first for first, last in _spans(repository.place["rows"])), True, "starmill funnel")

    @property
    def _from(self) -> Workspace:
        return Workspace(self.workspace)

    def _fingerprint(self, digest: str, rows: str) -> str:
        return recipe.digest([digest, rows, sorted(self.languages), self.max_bytes])

    def _entries(self, repository: Repository, most: int) -> Iterator[Entry]:
        name = repository.place["name"].encode()
        try:
            for rows in _together(self._rows(repository)):
                for row, found in zip(rows, self._functions(rows), strict=True):
                    yield from (_entry(row, one, name, most) for one in found)
        except DAMAGE as error:
            yield Entry(b"", None, "unreadable_part", damaged(error), kind=SEED, repo_name=name)

    def _rows(self, repository: Repository) -> Iterator[Row]:
        place, first = repository.place, 0
        spans, path = _spans(place["rows"]), part_path(DATASET, int(place["part"]))
        for group, length in enumerate(_lengths(self._from, path, place["state"])):
            last = first + length
            wanted = [(max(a, first) - first, min(b, last) - first) for a, b in spans if a < last and b > first]
            if wanted:
                block = _block(self._from, path, group, place["state"])
                for a, b in wanted:
                    yield from block.slice(a, b - a).to_pylist()
            first = last

    def _functions(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Yield the functions of each file as extract.py gives them, or one that is a reason for none."""
        wanted = self.languages or tuple(LANGUAGES)
        reasons = [_reason(row, wanted, self.max_bytes) for row in rows]
        asked = [(row["language"], row["content"]) for row, reason in zip(rows, reasons, strict=True) if not reason]
        answers = iter(parsing.answers(CHILD, SECTION, asked))
        for reason in reasons:
            found = [] if reason else next(answers)
            yield found or [{"reason": reason or ("crashes_grammar" if found is None else "no_function")}]


def _reason(row: Row, languages: Sequence[str], most: int) -> str:
    """Return why a file is not parsed, or nothing."""
    if row["kind"] != CODE:
        return "not_code"
    if row["language"] not in languages:
        return "another_language"
    data = row["content"].encode()
    return "too_large_to_parse" if len(data) > most else "repeats_itself" if parsing.repeats(data) else ""


def _entry(row: Row, found: Row, name: bytes, most: int) -> Entry:
    path = row["path"][1:] + (f"/{found['first']}-{found['last']}" if "first" in found else "")
    reason, text = found["reason"], found.get("text", "")
    data = text.encode()
    if not reason and len(data) >= most:
        reason = "too_large"
    if reason:
        said = f"function {found['name']}" if found.get("name") else None
        return Entry(path.encode(), None, reason, said, len(data), SEED, repo_name=name)
    facts = {name: row[name] for name in FACTS} | {"parent": swhid("cnt", row["content_id"])}
    return Entry(path.encode(), data, kind=SEED, segments=_segments(row, found), repo_name=name, facts=facts)


def _segments(row: Row, found: Row) -> list[Row]:
    """Return what is marked in a seed: the pieces of its text, and, as marks at its end, what is known of it."""
    end = len(found["text"])
    spans = (
        ("code", row["language"], 0, end),
        ("imports", None, 0, found["imports"]),
        ("documentation", None, *found["documentation"]),
    )
    marks = [
        ("parameters", str(found["parameters"])),
        *(("license", name) for name in row["detected_licenses"] or ()),
        *(("needs", name) for name in found["needs"]),
        *(("own_import", text) for text in found["own_imports"]),
    ]
    said = [*spans, *((role, name, end, end) for role, name in marks)]
    return [dict(zip(("role", "name", "start", "end"), values, strict=True)) for values in said]


def _repositories(names: pa.Table) -> Iterator[tuple[str, str, int]]:
    """Yield the repositories of a part: name, rows as `0-3,7-9` (the last not included), and bytes."""
    spans: dict[str, list[list[int]]] = {}
    sizes: dict[str, int] = {}
    columns = (names.column(c).to_pylist() for c in ("repo_name", "length_bytes"))
    for row, (name, size) in enumerate(zip(*columns, strict=True)):
        held = spans.setdefault(name, [])
        if held and held[-1][1] == row:
            held[-1][1] = row + 1
        else:
            held.append([row, row + 1])
        sizes[name] = sizes.get(name, 0) + size
    for name, held in spans.items():
        yield name, ",".join(f"{first}-{last}" for first, last in held), sizes[name]


def _spans(rows: str) -> list[tuple[int, int]]:
    """Return the pairs that a text of rows says.

    >>> _spans("0-3,7-9")
    [(0, 3), (7, 9)]
    """
    pairs = (span.partition("-") for span in rows.split(","))
    return [(int(first), int(last)) for first, _, last in pairs]


def _together(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Yield rows in groups of some bytes of text."""
    size = 0

    def number(row: Row) -> int:
        nonlocal size
        size += len(row["content"])
        return size // TOGETHER

    return (list(group) for _, group in itertools.groupby(rows, number))


# Repositories that lie in one row group are read one after the other; `state` is the part's, so that a part made anew is read anew.
@functools.lru_cache(maxsize=2)
def _lengths(workspace: Workspace, path: str, state: str) -> tuple[int, ...]:
    """Return the rows of each row group."""
    with workspace.open(path) as file:
        told = pq.ParquetFile(file).metadata
    return tuple(told.row_group(group).num_rows for group in range(told.num_row_groups))


@functools.lru_cache(maxsize=2)
def _block(workspace: Workspace, path: str, group: int, state: str) -> pa.RecordBatch:
    with workspace.open(path) as file:
        table = pq.ParquetFile(file, pre_buffer=not workspace.is_local).read_row_group(group, columns=list(READ))
    return pa.concat_batches(table.to_batches())
