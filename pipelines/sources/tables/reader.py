"""Tables: folders or URLs of Parquet, JSON Lines or Arrow files, with a map of their columns. The Stack v1 to v3 are rows of DATASETS.

A repository of the plan is a file of the table, or some row groups of a Parquet file: what one reads at once. A record's own
repository is that of its row. Plans read listings and Parquet footers, never a content.

Two units may hold the same repository and path; then the record of the later one gets a mark in its path (`/src/a~1f2e3d4c.py`), which
does not depend on what the other holds. Which can: those whose range of repositories in the footers overlaps that of the units
before it. In a table that is sorted by repository, that is the one at the border; `names: unique` says that it never happens.
"""

import importlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from starmill.core import recipe, swhid
from starmill.core.dataset import at_once
from starmill.core.document import CODE
from starmill.core.names import AtLeast0, OneOf, Place, Positive
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot, label, unique
from starmill.pipelines.sources.swh.contents import PUBLIC, Asking, AtOnce, store
from starmill.pipelines.sources.tables import plan as tables_plan
from starmill.pipelines.sources.tables import rows as reader
from starmill.pipelines.sources.tables import typos
from starmill.pipelines.sources.tables.columns import (
    DATASETS,
    WELL_KNOWN,
    Bad,
    ColumnName,
    Columns,
    Dataset,
    DatasetName,
    Fact,
    Role,
    Row,
    TooLarge,
    WrongType,
    value,
)
from starmill.pipelines.sources.tables.contents import Due, due, filled
from starmill.pipelines.sources.tables.lines import DAMAGE, damaged
from starmill.pipelines.sources.tables.plan import ALL, Found, Mark, Span

Constant = Literal["repo_name", "revision_id", "snapshot_id", "branch_name", "visit_date", "gha_license_id", "gha_language"]
FACTS: tuple[str, ...] = get_args(Fact)
NAMES_AND_TEXT = frozenset(("repo_name", "path", "content"))


def _kinds() -> tuple[str, ...]:
    # By its name, and no import: kinds choose steps, and no source depends on a step.
    return tuple(importlib.import_module("starmill.pipelines.kinds").KINDS)


@dataclass(frozen=True, kw_only=True)
class Tables(Options):
    """Tables of Parquet, JSON Lines (plain, .gz, .zst) or Arrow files (`datasets` folders): a row is a file, or a repository with files."""

    takes_files: ClassVar[bool] = True
    kind: Literal["table"] = "table"  # always given
    place: Place  # a file, folder or URL: hf://datasets/OWNER/NAME, s3://, gs://
    match: tuple[
        str, ...
    ] = ()  # patterns of the files that are read (fnmatch), below `place`; none: all by their suffixes, but .json
    dataset: DatasetName | None = None  # whose columns these are
    columns: dict[Role, ColumnName] = field(default_factory=dict)  # what a column is; more than `dataset` and common names say
    constants: dict[Constant, str] = field(default_factory=dict)  # the same for all rows
    files: ColumnName | None = (
        None  # the column with the list of a repository's files, where a row is one: `content: files.content`
    )
    mismatch: Literal["drop", "keep"] | None = (
        None  # a row whose content is not what its ids say; none: as `dataset`, else drop
    )
    names: Literal["marked", "unique"] = "marked"  # whether (repository, path) of two files of the table may be equal
    records: Annotated[str, OneOf("kind of record", _kinds)] = CODE  # the kind of its records
    contents: Place | None = (
        None  # where a table has only ids: the store of the contents named by `blob_id`, as of the kind swh
    )
    requests: AtOnce = 16  # so many requests to the content store at a time, in each worker
    requests_per_second: Positive | None = (
        None  # at most so many requests to the content store, in each worker process; null: no limit
    )
    misses: Place | None = (
        None  # the folder that lists for later runs what a remote store does not have; null: known for one run
    )
    ask_again: AtLeast0 = 0  # another number asks the store again: repositories that lost contents are read once more

    def __post_init__(self) -> None:
        """Raise ValueError for a constant that its column cannot hold, and for ids without a store."""
        if self._dataset.stored and self.contents is None:
            raise ValueError(f"dataset={self.dataset} has ids and no contents; give contents, such as contents={PUBLIC}")
        for role, constant in self.constants.items():
            try:
                value(role, constant)
            except WrongType as error:
                raise ValueError(f"constants.{role}={constant!r}: {error}") from None

    @property
    def gives(self) -> tuple[str, ...]:  # type: ignore[override]
        """The kind of its records."""
        return (self.records,)

    def places(self) -> tuple[str, ...]:
        """Return the place and the contents, where they are of this machine."""
        return tuple(place for place in (self.place, self.contents) if place and "://" not in place)

    def inventory(self) -> list[Repository]:
        """Return the plan, and the files that are no tables, or are not matched. Raises OSError where the place cannot be listed."""
        root, files = tables_plan.listing(self.place)
        if asking := self._asking:
            asking.refuse_absent()
            store(asking).forget()
        every = [(name, found, self._unread(name, found)) for name, found in sorted(files.items())]
        wanted = [(name, found) for name, found, why in every if not why]
        many = 1 if "://" not in self.place else 32
        found_names = typos.names_of(root, [name for name, _ in wanted], many)
        typos.refuse(self.place, self._columns, cast(Mapping[str, str], self.columns), found_names)
        asked = at_once(lambda item: self._units(root, *item), wanted, many)
        units = [unit for planned in asked for unit in planned]
        made, seen = list[Repository](), dict[str, int]()
        for (unit, span), both in zip(units, tables_plan.shared([span for _, span in units]), strict=True):
            name = unique(unit.name, seen)
            place = dict(unit.place)
            if span is not None and self.names == "marked":
                place |= {"span": str(span), "shared": str(both or ""), "mark": recipe.digest(name)[:8]}
            state = asking.state() if asking else ""
            made.append(
                replace(unit, name=name, place=place, fingerprint=self._fingerprint(place, unit.fingerprint), state=state)
            )
        for file, found, why in every:
            if why:
                name = unique(label(os.fsencode(file))[0][1:], seen)
                made.append(Repository(name, {"root": root, "file": file}, found.size, found.state, left_out=why))
        return sorted(made, key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return the records of some rows, in the order of the table."""
        found = self._entries(repository, limits.max_file_bytes)
        if self._asking is None:
            return Snapshot(), cast(Iterator[Entry], found)
        return Snapshot(), filled(store(self._asking), found, limits.max_file_bytes)

    def take_counts(self) -> dict[str, int]:
        """Return what the content store was asked."""
        return store(self._asking).take_counts() if self._asking else {}

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the unit has now."""
        return self._fingerprint(repository.place, tables_plan.state(repository.place))

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files the rows have: by the footer of Parquet, or the list column; of other formats, by reading."""
        if self._unread(repository.place["file"]) == "not_a_table":
            return Counted(1, True, "ls")
        found, exact, small = 0, True, replace(self._columns, required=frozenset()).without("content")
        for row in self._rows(repository, small, limits.max_file_bytes):
            exact = exact and row.number is not None
            found += sum(1 for _ in row.files) if isinstance(row, Row) else row.number is not None
        return Counted(found, exact, "a reader of its format")

    @property
    def _dataset(self) -> Dataset:
        return DATASETS[self.dataset] if self.dataset else Dataset({})

    @cached_property
    def _columns(self) -> Columns:
        given: dict[str, str] = {**self._dataset.columns, **cast(Mapping[str, str], self.columns)}
        names: dict[str, Sequence[str]] = {**WELL_KNOWN, **{role: (name,) for role, name in given.items()}}
        stored = self.contents is not None
        required = {"blob_id" if stored else "content", *given} - ({*self._dataset.optional} - {*self.columns})
        columns = Columns(names, frozenset(required), self.files or self._dataset.files, stored)
        return columns.without(*self.constants, *(("content",) if stored else ()))

    @property
    def _asking(self) -> Asking | None:
        if self.contents is None:
            return None
        return Asking(self.contents, self.requests, self.requests_per_second, self.misses, self.ask_again)

    @cached_property
    def _keep(self) -> bool:
        return (self.mismatch or self._dataset.mismatch) == "keep"

    # ---- planning

    def _units(self, root: str, file: str, found: Found) -> list[tuple[Repository, Span | None]]:
        """Return what a file is read in, each with the range of its repositories: None where it has none of its own."""
        kind, codec = reader.form(file)
        stem = file.rpartition(".")[0]
        name = label(os.fsencode(stem.rpartition(".")[0] if codec else stem))[0][1:]
        whole = Repository(name, {"root": root, "file": file}, found.size, found.state)
        only = self.constants.get("repo_name")
        span = Span(*[str(only).encode()] * 2) if only is not None else ALL
        if kind != "parquet":
            return [(whole, span)]
        try:
            with tables_plan.opened(whole.place) as opened:
                pieces = tables_plan.pieces(opened, self._columns)
        except DAMAGE as error:
            damaged(error)
            return [(whole, None)]  # reading it says what is wrong
        many = len(pieces) > 1
        return [
            (
                replace(
                    whole,
                    name=f"{whole.name}/{k:05d}" if many else whole.name,
                    place={**whole.place, **piece.extent},
                    size_bytes=piece.size,
                ),
                span if only is not None else piece.span,
            )
            for k, piece in enumerate(pieces)
        ] or [(whole, None)]

    def _unread(self, file: str, found: Found | None = None) -> str:
        """Return why a file is not read, or nothing."""
        if found and found.reason:
            return found.reason
        if not reader.form(file)[0]:
            return "not_a_table"
        if self.match:
            return "" if any(fnmatchcase(file, p) for p in self.match) else "not_matched"
        # `datasets` leaves JSON files beside a table that say what it is.
        return "not_a_table" if file.lower().removesuffix(".gz").removesuffix(".zst").endswith(".json") else ""

    def _fingerprint(self, place: Mapping[str, str], state: str) -> str:
        of = {name: said for name, said in place.items() if name != "root"}
        columns = {role: list(names) for role, names in self._columns.names.items()}
        required = sorted(self._columns.required)
        return recipe.digest([state, of, columns, required, self._columns.files, self.constants, self._keep, self.records])

    # ---- reading

    def _rows(self, unit: Repository, columns: Columns, most: int) -> Iterator[Row | Bad]:
        place = unit.place
        return reader.read(lambda: tables_plan.opened(place), place["file"], columns, most, *tables_plan.extent(place))

    def _entries(self, unit: Repository, most: int) -> Iterator[Entry | Due]:
        mark, constants = Mark.of(unit.place), cast(Mapping[str, Any], self.constants)
        for row in self._rows(unit, self._columns, most):
            at = b"" if row.number is None else b"%d" % row.number
            if isinstance(row, Bad):
                yield Entry(at, None, row.reason, row.detail, row.size, self.records)
            elif not self._columns.files:
                yield self._entry(unit, mark, {**row.values, **constants}, at)
            else:
                yield from self._repository(unit, mark, row, constants)

    def _repository(self, unit: Repository, mark: Mark, row: Row, constants: Mapping[str, Any]) -> Iterator[Entry | Due]:
        """Yield the files of a row that is a repository; of those with one path and one content, the first is read."""
        try:
            own = {role: value(role, found) for role, found in {**row.values, **constants}.items()}
        except WrongType as error:
            yield Entry(
                b"%d" % row.number, None, "wrong_type", f"{error}; {sum(1 for _ in row.files):,} files", 0, self.records
            )
            return
        before = dict[bytes, str]()
        for k, file in enumerate(row.files, start=1):
            made = self._entry(unit, mark, {**own, **file}, b"%d/%d" % (row.number, k), own)
            entry, found = (made.entry, made.wanted.sha1) if isinstance(made, Due) else (made, "")
            if entry.data is not None:
                known, found = entry.path in before, found or swhid.blob_id(entry.data)
                if before.setdefault(entry.path, found) == found and known:
                    made = replace(entry, data=None, reason="same_file_again", size=len(entry.data), facts={})
            yield made

    def _entry(
        self, unit: Repository, mark: Mark, found: Mapping[str, Any], number: bytes, known: Collection[str] = ()
    ) -> Entry | Due:
        """Return the entry of one file; `number` is its place in the table, of `known` roles the values are checked."""
        content, name, path = found.get("content"), None, number
        size = content.size if isinstance(content, TooLarge) else len(content) if isinstance(content, bytes | str) else 0
        try:
            name = value("repo_name", found.get("repo_name")) or None
            if given := (value("path", found.get("path")) or b"").removeprefix(b"/"):
                path = mark(name, given)
            elif name is not None:
                path = b"%s/%s" % (os.fsencode(unit.name), number)
            said = {role: v if role in known else value(role, v) for role, v in found.items() if role not in NAMES_AND_TEXT}
            data = None if isinstance(content, TooLarge) else value("content", content)
        except WrongType as error:
            return Entry(path, None, "wrong_type", str(error), size, self.records, repo_name=name)
        facts = {role: said[role] for role in FACTS if said.get(role) is not None}
        if self.contents is not None:
            return due(Entry(path, b"", kind=self.records, repo_name=name, facts=facts), said)
        if data is None:
            reason = "too_large" if size else "no_content"
            return Entry(path, None, reason, said.get("reason"), size, self.records, repo_name=name)
        for role, id_of in (("content_id", swhid.content_id), ("blob_id", swhid.blob_id)):
            if not self._keep and (stated := said.get(role)) and stated.lower() != (real := id_of(data)):
                why = f"{role} is {stated:.100}, and that of the content {real}"
                return Entry(path, None, "wrong_id", why, size, self.records, repo_name=name)
        return Entry(path, data, kind=self.records, repo_name=name, facts=facts)
