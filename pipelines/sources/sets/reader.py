"""Small sets: tables and text files of problems with their answers, each row a text of its own, made as texts.py says.

A repository of the plan is a file of the set. The repository of a record is the set, its path `/<file>/<number of the row>`.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Literal, NamedTuple

import pyarrow as pa

from starmill.core import recipe
from starmill.core.errors import NotThere
from starmill.core.names import Place, Words
from starmill.pipelines.sources.lines import lines
from starmill.pipelines.sources.sets import tasks
from starmill.pipelines.sources.sets import tasks as sets_tasks
from starmill.pipelines.sources.sets.texts import SETS, SetName, SmallSet, Unusable
from starmill.pipelines.sources.sets.texts import Row as Values
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot, label, unique
from starmill.pipelines.sources.tables import plan as tables_plan
from starmill.pipelines.sources.tables import rows as tables_rows
from starmill.pipelines.sources.tables import typos
from starmill.pipelines.sources.tables.columns import Bad, Columns, Row
from starmill.pipelines.sources.tables.lines import CHUNK, DAMAGE, Open, damaged
from starmill.pipelines.sources.tables.plan import Found

HELD = 64 << 20  # bytes of rows that wait for others of their text; then all that wait become texts, and others begin


@dataclass(frozen=True, kw_only=True)
class Sets(Options):
    """A set whose rows have several columns that are one text, as APPS, CodeContests or GSM8K; or two lines of a file, as Mathematics."""

    takes_files: ClassVar[bool] = True
    kind: Literal["set"] = "set"  # always given
    dataset: SetName  # which set it is: how a row becomes a text
    place: Place  # a file, folder or URL: hf://datasets/OWNER/NAME, s3://, gs://
    match: tuple[str, ...] = ()  # patterns of the files that are read (fnmatch), below `place`; none: all by their suffixes
    repo_name: Words | None = None  # the repository of its records; none: the owner and name of the set

    @property
    def gives(self) -> tuple[str, ...]:  # type: ignore[override]
        """The kind of its records."""
        return (self._set.kind,)

    def places(self) -> tuple[str, ...]:
        """Return the place, where it is of this machine."""
        return () if "://" in self.place else (self.place,)

    def inventory(self) -> list[Repository]:
        """Return the plan, and the files that are not of the set, or are not matched. Raises OSError as `plan` does, UsageError.

        A column that no file has is refused, as of a table.
        """
        root, files = tables_plan.listing(self.place)
        files = sets_tasks.grouped(files) if self._set.form == "tasks" else files
        if self._set.form == "table":
            wanted = [file for file, found in sorted(files.items()) if not self._unread(file, found)]
            found_names = typos.names_of(root, wanted, 1 if "://" not in self.place else 32)
            typos.refuse(self.place, self._columns, {}, found_names, self.dataset)
        made, seen = list[Repository](), dict[str, int]()
        for file, found in sorted(files.items(), key=lambda item: (self._unread(*item), item[0])):
            why = self._unread(file, found)
            stem = unique(label(os.fsencode(file if why else self._stem(file)))[0][1:], seen)
            place = {"root": root, "file": file, "stem": stem}
            state = self._fingerprint(found.state)
            made.append(Repository(f"{self._name}/{stem}", place, found.size, state, left_out=why))
        return sorted(made, key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return the texts of a file, in the order of its rows."""
        return Snapshot(), self._entries(repository, limits.max_file_bytes)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the file has now."""
        state = tasks.state if self._set.form == "tasks" else tables_plan.state
        return self._fingerprint(state(repository.place))

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many texts the rows are, by reading them; a file that is not of the set is one."""
        if not self._is_read(repository.place["file"]):
            return Counted(1, True, "ls")
        bare = Limits(max_file_bytes=limits.max_file_bytes)
        return Counted(sum(1 for entry in self.read(repository, bare)[1] if entry.path), True, "a reader of its format")

    @property
    def _set(self) -> SmallSet:
        return SETS[self.dataset]

    @property
    def _columns(self) -> Columns:
        return Columns(self._set.columns, frozenset(self._set.columns) - self._set.optional)

    @property
    def _name(self) -> str:
        return label(os.fsencode(self.repo_name or self._set.hub))[0][1:]

    def _stem(self, file: str) -> str:
        """Return the name of a file without its suffixes, of a task that of its folder."""
        if self._set.form == "tasks":
            return file.rpartition("/")[0]
        stem = file.rpartition(".")[0]
        return stem.rpartition(".")[0] if tables_rows.form(file)[1] else stem

    def _is_read(self, file: str) -> bool:
        if self._set.form == "tasks":
            return tasks.is_task(file)
        return file.lower().endswith(".txt") if self._set.form == "lines" else bool(tables_rows.form(file)[0])

    def _unread(self, file: str, found: Found) -> str:
        """Return why a file is not read, or nothing."""
        if found.reason or not self._is_read(file):
            return found.reason or "not_of_the_set"
        if self.match:
            return "" if any(fnmatchcase(file, p) for p in self.match) else "not_matched"
        # A JSON file beside a table says what it is.
        return "not_of_the_set" if file.lower().endswith(".json") else ""

    def _fingerprint(self, state: str) -> str:
        return recipe.digest([state, self.dataset, self._name])

    # ---- reading

    def _entries(self, unit: Repository, most: int) -> Iterator[Entry]:
        made, name, file = self._set, self._name.encode(), unit.place["stem"].encode()
        rows = self._rows(unit, most)
        for found in _together(rows, made) if made.together else (_made(row, made.text) for row in rows):
            # What stands for several rows is a row of the whole file.
            path, of = (b"", None) if found.number is None else (b"%s/%d" % (file, found.number), name)
            if isinstance(found, Bad):
                yield Entry(path, None, found.reason, found.detail, found.size, made.kind, repo_name=of)
            elif (data := found.text.encode()) and len(data) < most:
                yield Entry(path, data, kind=made.kind, repo_name=of)
            else:
                reason = "too_large" if data else "no_content"
                yield Entry(path, None, reason, size=len(data), kind=made.kind, repo_name=of)

    def _rows(self, unit: Repository, most: int) -> Iterator[Row | Bad]:
        open_, made = functools.partial(tables_plan.opened, unit.place), self._set
        if made.form == "tasks":
            return tasks.rows(unit.place, most)
        if made.form == "lines":
            return _of_lines(open_, tuple(made.columns), most)
        return tables_rows.read(open_, unit.place["file"], self._columns, most)


class Text(NamedTuple):
    """The text of a row, or of several, whose first has the number."""

    number: int
    text: str


def _made(row: Row | Bad, text: Callable[[Values], str]) -> Text | Bad:
    if isinstance(row, Bad):
        return row
    try:
        return Text(row.number, text(row.values))
    except Unusable as error:
        return Bad(row.number, error.reason, str(error))


def _together(rows: Iterable[Row | Bad], made: SmallSet) -> Iterator[Text | Bad]:
    """Yield the texts of rows that belong together, wherever they lie, in the order of their first ones; before them what is no row.

    Where more bytes would wait than HELD, a text ends, and what comes of it later is another.
    """
    held: dict[str, tuple[int, list[Values]]] = {}
    size = 0
    for row in rows:
        alone = _made(row, lambda values: made.text([values]))
        if isinstance(alone, Bad) or isinstance(row, Bad) or made.together is None:
            yield alone
            continue
        held.setdefault(made.together(row.values), (row.number, []))[1].append(row.values)
        size += len(alone.text)
        if size > HELD:
            yield from (Text(number, made.text(values)) for number, values in held.values())
            held, size = {}, 0
    yield from (Text(number, made.text(values)) for number, values in held.values())


def _of_lines(open_: Open, names: Sequence[str], most: int) -> Iterator[Row | Bad]:
    """Yield the rows of a text file that has one line a column; none where lines are left over, since any may be the one too many."""
    try:
        with open_() as file:
            count = _count(_pieces(file))
        if count % len(names):
            yield Bad(None, "odd_lines", f"{count:,} lines are no rows of {len(names)}")
            return
        with open_() as file:
            for number, found in enumerate(_grouped(lines(_pieces(file), most), len(names)), start=1):
                size = sum(size for _, size in found)
                said = [line and line.removesuffix(b"\r") for line, _ in found]
                if None in said:
                    yield Bad(number, "too_large", "a line above the limit", size)
                elif not all(said):
                    yield Bad(number, "empty_line", "", size)
                else:
                    yield Row(number, dict(zip(names, said, strict=True)), ({},))
    except (FileNotFoundError, NotThere) as error:
        yield Bad(None, "missing_file", damaged(error))
    except DAMAGE as error:
        yield Bad(None, "unreadable_file", damaged(error))


def _pieces(file: pa.NativeFile) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK), b"")


def _count(pieces: Iterable[bytes]) -> int:
    """Return the number of lines, of which the last may lack its end."""
    ends, last = 0, b"\n"
    for piece in pieces:
        ends, last = ends + piece.count(b"\n"), piece[-1:]
    return ends + (last != b"\n")


def _grouped(found: Iterable[tuple[bytes | None, int]], count: int) -> Iterator[tuple[tuple[bytes | None, int], ...]]:
    return zip(*[iter(found)] * count, strict=True)
