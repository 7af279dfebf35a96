"""Texts and regular expressions in a release: trigrams say which files to read, and RE2 what is in them, in time linear in a text.

Lines are as `grep` has them: `^` and `$` are those of a line. Files come in the order of the release, and a search ends with the last that
was asked for; so it reads as little as it can, and answers the same each time.
"""

import functools
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import re2  # type: ignore[import-untyped]

from starmill.core import swhid
from starmill.core.dataset import Manifest, Workspace, part_path
from starmill.core.errors import InputError, UsageError
from starmill.transforms.attribution import pattern, trigrams
from starmill.transforms.attribution.lookup import Table, Texts
from starmill.transforms.attribution.portrait import RELEASE

LONGEST = 1000  # characters of a pattern
LARGEST = 5000  # steps of RE2's program
LOOKED_UP = 32  # trigrams of a text that are looked up
COUNTED = 1000  # matches of a file
WIDTH = 200  # characters of a line that are shown


@dataclass(frozen=True)
class Asked:
    """A search. `files` are named at most, with `matches` each and `context` lines around; `languages` and `licences` are one of which
    a file has, if any are given. At most `bytes` of text are read.
    """

    pattern: str
    regex: bool = False
    ignore_case: bool = False
    languages: Collection[str] = ()
    licences: Collection[str] = ()
    files: int = 10
    matches: int = 3
    context: int = 2
    bytes: int = 1 << 30


@dataclass(frozen=True)
class Line:
    """A line, counted from 1, as far as it is shown; `cut` where it is longer."""

    number: int
    text: str
    cut: bool


@dataclass(frozen=True)
class Match:
    """What was found: `start` and `end` are characters of the first of its lines as it is shown. Lines around it."""

    line: Line
    start: int
    end: int
    before: tuple[Line, ...]
    after: tuple[Line, ...]


@dataclass(frozen=True)
class File:
    """A file with matches: `count` of them, of which COUNTED are counted at most, and the first ones."""

    repo_name: str
    path: str
    swhid: str
    language: str | None
    license_type: str | None
    licenses: tuple[str, ...]
    count: int
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Found:
    """Files with matches. `candidates` may have some, of which `read` were read, with `bytes` of text; all of them where it is whole."""

    files: tuple[File, ...]
    candidates: int
    read: int
    bytes: int
    whole: bool


class Searcher:
    """Answers for one finished workspace; what it read of it stays for the next search."""

    def __init__(self, workspace: Workspace) -> None:
        """Raise InputError where there are no trigrams, or those of another release."""
        self._workspace, self._texts = workspace, Texts(workspace)
        self._tables  # noqa: B018

    @functools.cached_property
    def _tables(self) -> list[tuple[int, Table]]:
        there, release = self._workspace.manifest(trigrams.DATASET), self._workspace.manifest(RELEASE)
        where = self._workspace.root
        if there is None or release is None:
            raise InputError(f"{where}: no {trigrams.DATASET}/manifest.json; run `starmill index --search` first")
        found = [(p.part, Table(self._workspace, part_path(trigrams.DATASET, p.part))) for p in release.parts]
        if [p.part for p in there.parts] != [p.part for p in release.parts] or not _is_of(release, found):
            raise InputError(f"{where}: its trigrams are those of an earlier release; run `starmill index --search` again")
        return found

    def __call__(self, asked: Asked, stop: Callable[[], bool] = lambda: False) -> Found:
        """Return what of a release matches; `stop` is asked before each file. Raises UsageError for a pattern that is refused."""
        program, need = compiled(asked)
        files, read, size = list[File](), 0, 0
        places = [(part, self._rows(table, need)) for part, table in self._tables]
        whole, candidates = True, sum(len(rows) for _, rows in places)
        for part, row in ((part, int(row)) for part, rows in places for row in rows):
            if len(files) == asked.files or size >= asked.bytes or stop():
                whole = False
                break
            about, data = self._texts.bytes_of(part, row)
            read += 1
            if _is_wanted(asked, about):
                size += len(data)
                if found := _file(asked, program, data, about):
                    files.append(found)
        return Found(tuple(files), candidates, read, size, whole)

    def _rows(self, table: Table, need: pattern.Need | None) -> np.ndarray:
        """Return the rows of a part that may match, sorted, int64."""
        if need is None:
            release = Table(self._workspace, table.path.replace(trigrams.DATASET, RELEASE, 1))
            return np.arange(int(release.ends[-1]) if len(release.ends) else 0)
        held = dict(_held(table, np.array(sorted({one for text in _texts(need) for one in _trigrams(text)}), np.uint64)))
        return _those(need, held)


def _is_of(release: Manifest, tables: list[tuple[int, Table]]) -> bool:
    digests = {p.part: p.digest().encode() for p in release.parts}
    return all((table.footer.metadata or {}).get(trigrams.PART) == digests[part] for part, table in tables)


def compiled(asked: Asked) -> tuple[Any, pattern.Need | None]:
    """Return RE2's program for a search, and what its texts must hold. Raises UsageError for a pattern that is refused."""
    if not 0 < len(asked.pattern) <= LONGEST:
        raise UsageError(f"PATTERN: {len(asked.pattern):,} characters; give 1 to {LONGEST:,}")
    try:
        data = asked.pattern.encode()
    except UnicodeEncodeError:
        raise UsageError("PATTERN: not a text of Unicode; give it in UTF-8") from None
    options = re2.Options()
    options.log_errors = False
    options.literal, options.case_sensitive, options.one_line = not asked.regex, not asked.ignore_case, False
    try:
        program = re2.compile(b"(?m)" + data if asked.regex else data, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        told = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise UsageError(f"PATTERN {asked.pattern!r:.100}: no regular expression of RE2 ({told}); mend it") from None
    if program.programsize > LARGEST:
        raise UsageError(f"PATTERN {asked.pattern!r:.100}: more than {LARGEST:,} steps; give one with fewer repetitions")
    if program.search(b"") is not None:
        raise UsageError(
            f"PATTERN {asked.pattern!r:.100}: matches an empty text, and so every file; give one that needs a character"
        )
    # Python's escapes, because RE2's spell some characters as numbers, of which `needed` says nothing.
    literal = asked.pattern if asked.regex else re.escape(asked.pattern)
    return program, pattern.needed(literal, asked.ignore_case)


def _texts(need: pattern.Need) -> Iterator[str]:
    if isinstance(need, str):
        yield need
    else:
        for one in need.of:
            yield from _texts(one)


def _trigrams(text: str) -> list[int]:
    """Return the trigrams of a text that are looked up: all, or some at equal distances."""
    data = text.encode().lower()  # of bytes, so that of ASCII alone
    step = 1 + (len(data) - 3) // LOOKED_UP
    return [int.from_bytes(data[start : start + 3], "big") for start in range(0, len(data) - 2, step)]


def _held(table: Table, wanted: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the trigrams that a part has, of those that are wanted, each with its rows. A page is read once."""
    firsts, lasts = table.bounds
    for page in np.flatnonzero(np.searchsorted(wanted, lasts, "right") > np.searchsorted(wanted, firsts, "left")).tolist():
        group = table.group(page, trigrams.KEPT.names)
        held = group.column("trigram").to_numpy().astype(np.uint64)
        for at in np.flatnonzero(np.isin(held, wanted)).tolist():
            try:
                rows = trigrams.rows_of(group.column("rows")[at].as_py(), group.column("files")[at].as_py())
            except ValueError as error:
                where = table.workspace.path(table.path)
                raise InputError(f"{where}: damaged ({error}); run `starmill index --search` again") from None
            yield int(held[at]), rows


def _those(need: pattern.Need, held: dict[int, np.ndarray]) -> np.ndarray:
    none, both = np.zeros(0, np.int64), functools.partial(np.intersect1d, assume_unique=True)
    if isinstance(need, str):
        return functools.reduce(both, sorted((held.get(one, none) for one in _trigrams(need)), key=len))
    each = [_those(one, held) for one in need.of]
    return functools.reduce(np.union1d if isinstance(need, pattern.Any) else both, each)


def _is_wanted(asked: Asked, about: dict[str, Any]) -> bool:
    languages, licences = ({one.casefold() for one in names} for names in (asked.languages, asked.licences))
    if languages and (about["language"] or "").casefold() not in languages:
        return False
    has = {one.casefold() for one in (*(about["detected_licenses"] or ()), about["license_type"] or "")}
    return not licences or not licences.isdisjoint(has)


def _file(asked: Asked, program: Any, data: bytes, about: dict[str, Any]) -> File | None:
    count, matches = 0, list[Match]()
    for found in program.finditer(data):
        start, end = found.span()
        if start == end:
            continue
        count += 1
        if len(matches) < asked.matches:
            matches.append(_match(data, start, end, asked.context))
        if count == COUNTED:
            break
    if not count:
        return None
    return File(
        str(about["repo_name"]),
        str(about["path"]),
        swhid.swhid("cnt", str(about["content_id"])),
        about["language"],
        about["license_type"],
        tuple(about["detected_licenses"] or ()),
        count,
        tuple(matches),
    )


def _match(data: bytes, start: int, end: int, context: int) -> Match:
    first, last = data.rfind(b"\n", 0, start) + 1, data.find(b"\n", start)
    last = len(data) if last < 0 else last
    number = data.count(b"\n", 0, start) + 1
    # A long line is shown from a little before what was found.
    begin = max(first, start - WIDTH // 2)
    before = data[begin:start].decode("utf-8", "ignore")[-WIDTH // 4 :] if begin > first else data[begin:start].decode()
    found = data[start : min(end, last)][: 4 * WIDTH].decode("utf-8", "ignore")
    rest = data[min(end, last) : last][: 4 * WIDTH].decode("utf-8", "ignore")
    text = (before + found + rest)[:WIDTH]
    shown = Line(number, text, len(text.encode()) < last - first)
    above, place = list[Line](), first
    while len(above) < context and place:
        ended = place - 1
        place = data.rfind(b"\n", 0, ended) + 1
        above.append(_line(number - len(above) - 1, data, place, ended))
    below, place = list[Line](), last
    while len(below) < context and place + 1 < len(data):
        ended = data.find(b"\n", place + 1)
        ended = len(data) if ended < 0 else ended
        below.append(_line(number + len(below) + 1, data, place + 1, ended))
        place = ended
    return Match(shown, len(before), min(len(before) + len(found), len(text)), tuple(reversed(above)), tuple(below))


def _line(number: int, data: bytes, start: int, end: int) -> Line:
    text = data[start : min(end, start + 4 * WIDTH)].decode("utf-8", "ignore")[:WIDTH]
    return Line(number, text, len(text.encode()) < end - start)


def shown(found: Found, label: Callable[[str], str]) -> Found:
    """Return what was found with its names and lines as a view shows them."""

    def line(one: Line) -> Line:
        return replace(one, text=label(one.text))

    def match(one: Match) -> Match:
        told, before, after = line(one.line), tuple(map(line, one.before)), tuple(map(line, one.after))
        same = told == one.line  # else nobody knows where it is now
        return Match(told, one.start if same else 0, one.end if same else len(told.text), before, after)

    def file(one: File) -> File:
        licenses, matches = tuple(map(label, one.licenses)), tuple(map(match, one.matches))
        return replace(one, repo_name=label(one.repo_name), path=label(one.path), licenses=licenses, matches=matches)

    return replace(found, files=tuple(map(file, found.files)))
