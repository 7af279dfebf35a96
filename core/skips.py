"""Records that a step took too long with: they are left out of it by a list, `skips.json`, and never by a clock.

Another machine might have done with such a record in time, so its time alone may not decide. What decides is the list in the workspace: the
same list gives the same bytes on any machine. It names each record with its content, the step, and why. A part whose records it names
has other keys, so that an entry more or less makes exactly that part again. What is found during a run is noted by part in `skips/`, since
workers share nothing but the workspace; the driver takes the notes into the list.
"""

import hashlib
import itertools
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import watch
from starmill.core.dataset import FORMAT, Workspace, part_number, part_path
from starmill.core.errors import InputError, MachineError

T = TypeVar("T")

LIST, FOLDER = "skips.json", "skips"
IDENTITY = ("kind", "repo_name", "path", "content_id")
NO_RECORD = ("", "", "", "")
SECONDS = 120.0  # that a record may take in a step, where no recipe says
MOST = 8  # records of a part that a run leaves out of a step; more tell of a slow machine or a broken step


class Skip(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """A record that a step of a stage is not asked about. `reason`: why, in the words that `dropped/` repeats.

    >>> Skip("measure", "text", "code", "me/project", "/a.py", "00" * 20, "took an hour").record
    ('code', 'me/project', '/a.py', '0000000000000000000000000000000000000000')
    """

    stage: str
    step: str
    kind: str
    repo_name: str
    path: str
    content_id: str
    reason: str

    @property
    def record(self) -> "Record":
        """What identifies the record."""
        return self.kind, self.repo_name, self.path, self.content_id


class Limit(NamedTuple):
    """Seconds that a record may take, and the recipe's name of them.

    >>> Limit("max_record_seconds", 120.0).reason
    'took longer than max_record_seconds=120'
    """

    name: str
    seconds: float

    @property
    def reason(self) -> str:
        """Why a record that took longer is left out."""
        return f"took longer than {self.name}={self.seconds:g}"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    skips: list[Skip]


@dataclass(frozen=True)
class Notes:
    """What was found about a part: records to leave out, and the (stage, step) to run record by record, to find one."""

    skips: tuple[Skip, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()


def read(workspace: Workspace) -> tuple[Skip, ...]:
    """Return the list. Raises InputError for a damaged one: it decides bytes, so that none is not the same."""
    try:
        found = msgspec.json.decode(workspace.read(LIST), type=_File)
        if found.format != FORMAT:
            raise ValueError(f"format is {found.format}, this reads {FORMAT}")
    except FileNotFoundError:
        return ()
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(
            f"{workspace.path(LIST)}: damaged ({error}), and it decides which records are left out; put a copy of it back, or remove it: "
            "then these records are tried again"
        ) from None
    return tuple(found.skips)


def gather(workspace: Workspace) -> dict[int, Notes]:
    """Take what workers noted into the list; return their notes, by part."""
    names = {n: part_number(n) for n in workspace.files(FOLDER)}
    found = {part: _notes(workspace, part) for name, part in names.items() if part is not None and name.endswith(".json")}
    if new := [skip for notes in found.values() for skip in notes.skips]:
        known = {(s.stage, s.step, s.record): s for s in (*new, *read(workspace))}
        _publish(workspace, LIST, {"skips": sorted(known.values())})
        for part, notes in found.items():
            _publish(workspace, part_path(FOLDER, part, "json"), {"skips": [], "rows": notes.rows})
    return found


def main() -> None:
    """Note what a process is stuck at, as it told (Desk.tell), on the standard input: a record to leave out, or a step to run by record."""
    at = msgspec.json.decode(sys.stdin.buffer.read())
    workspace, part, notes = Workspace(at["place"]), at["part"], _notes(Workspace(at["place"]), at["part"])
    skips, rows = list(notes.skips), list(notes.rows)
    if at["rows"] == 1:
        kind, repo_name, path, content_id = at["first"]
        skips.append(Skip(at["stage"], at["step"], kind, repo_name, path, content_id, at["reason"]))
    else:
        rows.append((at["stage"], at["step"]))
    _publish(workspace, part_path(FOLDER, part, "json"), {"skips": skips, "rows": rows})


def held(workspace: Workspace, relative: str, skips: Sequence[Skip]) -> list[Skip]:
    """Return those whose records are rows of a Parquet file, of which only matching row groups are read."""
    names = [("repo_name", "in", {s.repo_name for s in skips}), ("path", "in", {s.path for s in skips})]
    with workspace.open(relative) as file:
        rows = pq.read_table(file, columns=list(IDENTITY), filters=names)
    records = {tuple(value or "" for value in row.values()) for row in rows.select(list(IDENTITY)).to_pylist()}
    return sorted(s for s in skips if s.record in records)


def key(of_part: str, skips: Iterable[Skip]) -> str:
    """Return a part's key, `<values>.<code>`, with the records that are left out of it among its values.

    >>> key("abc-123.code", ())
    'abc.code'
    """
    values, dot, code = of_part.partition(".")
    text = msgspec.json.encode(sorted(skips))
    return f"{values.partition('-')[0]}{f'-{hashlib.sha256(text).hexdigest()[:16]}' if text != b'[]' else ''}{dot}{code}"


def packed(skips: Sequence[Skip]) -> str:
    """Return the records to leave out of a part, for its reference."""
    return msgspec.json.encode(skips).decode() if skips else ""


Record = tuple[str, str, str, str]  # the values of IDENTITY


class At(NamedTuple):
    """What a thread is at: so many records, from the first to the last; none where a step is at work on no record in particular."""

    stage: str
    step: str
    rows: int
    first: Record
    last: Record
    limit: Limit | None


@dataclass
class Desk:
    """A part, or a group of what many parts hold, that a thread makes: what is left out of it, and what the thread is at."""

    workspace: Workspace
    part: int
    limit: Limit | None
    skips: list[Skip]
    rows: set[tuple[str, str]]
    slot: int
    planned: int  # how many of `skips` were on the list
    of: str  # `part 7`, in words
    now: list[At] = field(default_factory=list)

    @contextmanager
    def at(self, what: At) -> Iterator[None]:
        """Tell that a step is at these records in the block; without a limit the step ends that itself, by `give_up`."""
        self.now.append(what)
        self.tell()
        try:
            yield
        finally:
            self.now.pop()
            self.tell()

    def tell(self) -> None:
        """Publish what the thread is at: for the process beside this one (core/watch.py)."""
        if not self.now:
            watch.tell(self.slot, b"")
            return
        at = self.now[-1]
        limit = None if at.rows > 1 and at[:2] in self.rows else at.limit
        told = {
            **{"number": next(_numbers), "place": self.workspace.url, "of": self.of, "part": self.part},
            **at._asdict(),
            **{"limit": limit and limit.seconds, "reason": limit and limit.reason},
        }
        watch.tell(self.slot, msgspec.json.encode(told))


_here, _numbers = threading.local(), itertools.count()


def _desk() -> Desk | None:
    return getattr(_here, "desk", None)


@contextmanager
def making(workspace: Workspace, part: int, planned: str, seconds: float) -> Iterator[None]:
    """Make a part in the block, without the records of its reference, and without what an earlier try was stuck at."""
    notes = _notes(workspace, part)
    skips = msgspec.json.decode(planned, type=list[Skip]) if planned else []
    limit = Limit("max_record_seconds", seconds)
    desk = _here.desk = Desk(
        workspace, part, limit, [*skips, *notes.skips], set(notes.rows), watch.take(), len(skips), f"part {part}"
    )
    try:
        yield
    finally:
        _here.desk = None
        watch.give(desk.slot)


@contextmanager
def naming(workspace: Workspace, stage: str, step: str, of: str) -> Iterator[Desk]:
    """Tell that a step is at work on `part 7` or `group 3` in the block: while it is slow it is named, and its records as `at` says.

    Nothing is ended and nothing left out. Gives what `at` needs to be told in another thread.
    """
    outer = _desk()  # of a step that hands this one what it found
    desk = _here.desk = Desk(workspace, 0, None, [], set(), watch.take(), 0, of)
    try:
        with desk.at(At(stage, step, 0, NO_RECORD, NO_RECORD, None)):
            yield desk
    finally:
        _here.desk = outer
        watch.give(desk.slot)


def at(stage: str, step: str, block: pa.RecordBatch | pa.Table, desk: Desk | None = None) -> AbstractContextManager[None]:
    """Tell that a step is at these records in the block."""
    desk, rows = desk or _desk(), block.num_rows
    if desk is None or not rows:
        return nullcontext()
    return desk.at(At(stage, step, rows, _record(block, 0), _record(block, rows - 1), desk.limit))


def each(stage: str, step: str, block: pa.RecordBatch) -> Iterator[int]:
    """Yield the number of each row, and tell that a step is at that record."""
    desk = _desk()
    columns = [block.column(n).to_pylist() if n in block.schema.names else [""] * block.num_rows for n in IDENTITY]
    for row, (kind, repo_name, path, content_id) in enumerate(zip(*columns, strict=True)):
        record = kind or "", repo_name or "", path or "", content_id or ""
        with desk.at(At(stage, step, 1, record, record, desk.limit)) if desk else nullcontext():
            yield row


def pieces(stage: str, step: str, block: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield a block, or each of its rows where the step is to run record by record, and tell that the step is at that."""
    size = 1 if one_by_one(stage, step) else max(1, block.num_rows)
    for first in range(0, block.num_rows, size):
        some = block.slice(first, size)
        with at(stage, step, some):
            yield some


def during(stage: str, step: str, whole: Record, seconds: float, rows: Iterator[T]) -> Iterator[T]:
    """Yield what the reader of a repository gives, and tell that it is at this one, which `whole` stands for, with its limit."""
    desk, limit = _desk(), Limit("max_repository_seconds", seconds)
    with desk.at(At(stage, step, 1, whole, whole, limit)) if desk else nullcontext():
        yield from rows


def reason_of(stage: str, step: str, whole: Record) -> str | None:
    """Return why a record is left out of a step, or None."""
    desk = _desk()
    return next((s.reason for s in desk.skips if (s.stage, s.step, s.record) == (stage, step, whole)), None) if desk else None


def go_on() -> None:
    """Tell that the step at work is done with some of its block: its time begins again."""
    if (desk := _desk()) is not None:
        desk.tell()


def one_by_one(stage: str, step: str) -> bool:
    """Say whether a step is to run record by record: with a whole block it took too long."""
    desk = _desk()
    return desk is not None and (stage, step) in desk.rows


def divide(stage: str, step: str, block: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch | None, list[str]]:
    """Return the rows that a step is asked about, and those that are left out, with the reason of each."""
    desk = _desk()
    reasons = {s.record: s.reason for s in desk.skips if (s.stage, s.step) == (stage, step)} if desk and desk.skips else {}
    if not reasons:
        return block, None, []
    said = [reasons.get(_record(block, row)) for row in range(block.num_rows)]
    left = pa.array([reason is None for reason in said], pa.bool_())
    gone = pa.array([reason is not None for reason in said], pa.bool_())
    return block.filter(left), block.filter(gone), [reason for reason in said if reason is not None]


@contextmanager
def with_own_limit(record: pa.RecordBatch) -> Iterator[float]:
    """Tell that the step at work is at one record, in the block; gives the seconds after which it must end that itself, and `give_up`."""
    desk = _desk()
    if desk is None or desk.limit is None:
        yield SECONDS
        return
    first = _record(record, 0)
    with desk.at(At(*desk.now[-1][:2], 1, first, first, None)):
        yield desk.limit.seconds


def give_up(record: pa.RecordBatch) -> None:
    """Leave a record out of the step at work from now on. Raises MachineError where no part is made, and where these are too many."""
    desk, first = _desk(), _record(record, 0)
    if desk is None or desk.limit is None:
        raise MachineError(f"{first[1]}:{first[2]}: {Limit('max_record_seconds', SECONDS).reason}")
    stage, step = desk.now[-1][:2]
    if len(desk.skips) - desk.planned >= MOST:
        raise MachineError(too_many(stage, desk.part))
    desk.skips.append(Skip(stage, step, *first, desk.limit.reason))
    notes = {"skips": desk.skips[desk.planned :], "rows": sorted(desk.rows)}
    _publish(desk.workspace, part_path(FOLDER, desk.part, "json"), notes)


def key_now(of_part: str, stage: str) -> str:
    """Return the key of the part that this thread makes, with what was left out since it was planned."""
    desk = _desk()
    return of_part if desk is None or not desk.skips else key(of_part, {s for s in desk.skips if s.stage == stage})


def too_many(stage: str, part: int) -> str:
    """Return the words on a part with more records than MOST that took too long."""
    return (
        f"{stage}: more than {MOST} records of part {part} took longer than max_record_seconds, so that the machine is slow, or a step "
        "broken: give the run fewer --workers, or raise max_record_seconds; the same command leaves out the next ones"
    )


def _record(block: pa.RecordBatch | pa.Table, row: int) -> Record:
    names = block.schema.names
    kind, repo_name, path, content_id = ((block.column(n)[row].as_py() or "") if n in names else "" for n in IDENTITY)
    return kind, repo_name, path, content_id


def _notes(workspace: Workspace, part: int) -> Notes:
    return workspace.load(part_path(FOLDER, part, "json"), Notes) or Notes()


def _publish(workspace: Workspace, relative: str, values: dict[str, Any]) -> None:
    workspace.publish(relative, msgspec.json.format(msgspec.json.encode({"format": FORMAT, **values}), indent=1) + b"\n")


if __name__ == "__main__":
    main()
