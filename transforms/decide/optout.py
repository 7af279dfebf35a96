"""Opting out (StarCoder2, section 3.5): what somebody does not want to be trained on is dropped, by lists that are dated.

A list has a line for each wish, in one of two forms, which may stand in one file:

    someone                                 an owner: all repositories, commits, issues and pull requests of repositories of that name
    someone/project                         a repository; `github:1234` names one by GitHub's number, which outlasts a change of its name
    someone/project:/src/old                a file of a repository, or a folder with all below it
    someone/project#17                      an issue or a pull request
    someone/project@<40 digits>             a commit
    swh:1:cnt:<40 digits>                   a content, wherever it lies; also dir, rev and snp
    https://github.com/someone/project/issues/17      the same as URLs: of an owner, a repository, an issue, a pull, a commit, a file
    {"someone": ["all", "Commits", "GitHub issue", "someone/project"]}      The Stack's form, as the-stack-v2's get_opt_outs reads it

Owners and repositories are compared as GitHub does: case does not count. A login that took part in a thread of others is not known any
more, because the sources mask it; an owner's threads are.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

import pyarrow as pa

from starmill.core.errors import InputError
from starmill.transforms.step import Split, split

PART = r"[^\s/:#@{}]{1,200}"
OWNER = re.compile(PART)
REPOSITORY = re.compile(rf"{PART}(?:/{PART}){{1,20}}")
WISH = re.compile(
    rf"(?P<repository>{REPOSITORY.pattern})(?::/?(?P<path>[^\x00-\x1f]+)|#(?P<thread>\d{{1,18}})|@(?P<commit>[0-9a-fA-F]{{40}}))"
)
NUMBER = re.compile(r"github:(\d{1,18})")
SWHID = re.compile(r"swh:1:(cnt|dir|rev|snp):[0-9a-f]{40}")
URL = re.compile(r"https?://(?:www\.)?[\w.-]+/(?P<rest>[^\s?#]+?)(?:\.git)?/?")
BELOW = re.compile(
    rf"(?P<repository>{PART}/{PART})/(?:(?:issues|pull)/(?P<thread>\d{{1,18}})|commit/(?P<commit>[0-9a-fA-F]{{40}})|(?:blob|tree)/[^/]+/(?P<path>.+))"
)
EVERYTHING, COMMITS, ISSUES = "all", "Commits", "GitHub issue"  # words of The Stack's form


@dataclass(frozen=True)
class Wishes:
    """What lists name, sorted and without repetition; names in lower case, but for paths.

    >>> wishes(["# of a test", "Someone", '{"other": ["Commits", "other/Tool"]}', "a/b:/src"], "list.txt")
    Wishes(owners=('someone',), commit_owners=('other',), repositories=('other/tool',), paths=(('a/b', 'src'),))
    """

    owners: tuple[str, ...] = ()
    commit_owners: tuple[str, ...] = ()
    thread_owners: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    paths: tuple[tuple[str, str], ...] = ()
    threads: tuple[tuple[str, str], ...] = ()
    commits: tuple[tuple[str, str], ...] = ()
    swhids: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(len(getattr(self, one.name)) for one in fields(self))

    def __repr__(self) -> str:
        """Show what is not empty."""
        said = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if getattr(self, one.name))
        return f"Wishes({', '.join(said)})"


@dataclass(frozen=True)
class Origin:
    """A list as it was read: its date, the sha256 of its bytes, and how many wishes it has."""

    date: str
    sha256: str
    wishes: int


def wishes(lines: Iterable[str], where: str) -> Wishes:
    """Return what a list names. Raises InputError with the file, the line and the value of a line that is not understood."""
    found: dict[str, set[Any]] = {one.name: set() for one in fields(Wishes)}
    for number, line in enumerate(lines, 1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        try:
            for kind, value in _of_stack(said) if said.startswith("{") else [_of_line(said)]:
                found[kind].add(value)
        except ValueError as error:
            raise InputError(
                f"{where}, line {number}: {said!r:.200}: {error}; a line is an owner, owner/name, owner/name:/path, owner/name#number, "
                "owner/name@commit, github:number, a SWHID, a URL of GitHub, or The Stack's JSON"
            ) from None
    return Wishes(**{kind: tuple(sorted(values)) for kind, values in found.items()})


def joined(several: Iterable[Wishes]) -> Wishes:
    """Return what any of several lists names."""
    all_of = list(several)
    return Wishes(**{f.name: tuple(sorted({v for one in all_of for v in getattr(one, f.name)})) for f in fields(Wishes)})


def _of_line(said: str) -> tuple[str, Any]:
    if found := URL.fullmatch(said):
        rest = unquote(found["rest"])
        below = BELOW.fullmatch(rest)
        if below is None and not REPOSITORY.fullmatch(rest) and not OWNER.fullmatch(rest):
            raise ValueError("a URL of nothing that a list may name")
        if below is None and rest.count("/") > 1:
            raise ValueError("a URL of a page of a repository that is no issue, pull request, commit or file")
        return _wish(below) if below is not None else _of_line(rest)
    if found := NUMBER.fullmatch(said):
        return "numbers", int(found[1])
    if SWHID.fullmatch(said.lower()):
        return "swhids", said.lower()
    if found := WISH.fullmatch(said):
        return _wish(found)
    if REPOSITORY.fullmatch(said):
        return "repositories", said.lower()
    if OWNER.fullmatch(said):
        return "owners", said.lower()
    raise ValueError("not understood")


def _wish(found: re.Match[str]) -> tuple[str, Any]:
    repository = found["repository"].lower()
    if found["thread"]:
        return "threads", (repository, str(int(found["thread"])))
    if found["commit"]:
        return "commits", (repository, found["commit"].lower())
    path = found["path"].strip("/")
    if not path:
        raise ValueError("no path behind the colon")
    return "paths", (repository, path)


def _of_stack(said: str) -> Iterator[tuple[str, Any]]:
    try:
        users = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {type(error).__name__}") from None
    for user, named in users.items():
        if not OWNER.fullmatch(user):
            raise ValueError(f"{user!r:.100} is no name of a user")
        if named is None:  # a table of such rows has every user in every row
            continue
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            raise ValueError(f"of {user!r:.100}: not a list of names")
        words = {EVERYTHING: "owners", COMMITS: "commit_owners", ISSUES: "thread_owners"}
        for one in named:
            if one in words:
                yield words[one], user.lower()
            elif REPOSITORY.fullmatch(one):
                yield "repositories", one.lower()
            elif OWNER.fullmatch(one):
                yield "repositories", f"{user}/{one}".lower()
            else:
                raise ValueError(f"of {user!r:.100}: {one!r:.100} is no repository")


@dataclass(frozen=True)
class OptOut:
    """Drops the records that lists name; the detail has the dates of the lists, and not who asked.

    `records`: whether each record is a thread (an issue, a pull request) or a commit, whose number or hash ends its path.

    >>> step = OptOut(wishes(["someone", "a/b#17"], "list"), (Origin("2026-11-20", "0" * 64, 2),), records="threads")
    >>> rows = [("A/B", "/issues/17"), ("A/B", "/issues/1"), ("Someone/x", "/issues/1")]
    >>> columns = {name: [row[i] for row in rows] for i, name in enumerate(("repo_name", "path"))}
    >>> step(pa.record_batch(columns | {name: pa.nulls(3) for name in OptOut.reads[2:]})).reasons
    ('opted_out_thread', 'opted_out_owner')
    """

    reads: ClassVar[tuple[str, ...]] = (
        "repo_name",
        "path",
        "github_id",
        "content_id",
        "directory_id",
        "revision_id",
        "snapshot_id",
        "parent",
    )

    named: Wishes = Wishes()
    lists: tuple[Origin, ...] = ()
    records: Literal["files", "threads", "commits"] = "files"
    name: str = "opt_out"

    def material(self) -> tuple[str, ...]:
        """Return the digests of the lists."""
        return tuple(one.sha256 for one in self.lists)

    def told(self) -> dict[str, list[str]]:
        """Return what a card may tell: when the lists are of, and how long they are. Who asked is nobody's business."""
        return {"opted_out": [f"list of {o.date} with {o.wishes:,} wishes (sha256 {o.sha256[:12]})" for o in self.lists]}

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Divide a block."""
        if not len(self.named):
            return Split(block, block.slice(0, 0), ())
        reasons = self.reasons(block)
        dates = ", ".join(sorted({one.date for one in self.lists}))
        return split(block, reasons, [f"lists of {dates}" if reason and dates else None for reason in reasons])

    def reasons(self, block: pa.RecordBatch) -> list[str | None]:
        """Return for each row why the lists name it, or None. Of `reads`, a column that the block has not is known of no row."""
        names, sets = block.schema.names, self._sets
        columns = (block.column(c).to_pylist() if c in names else [None] * block.num_rows for c in self.reads)
        return [self._judge(sets, *row) for row in zip(*columns, strict=True)]

    def _judge(
        self, sets: Mapping[str, frozenset[Any]], repo_name: str | None, path: str | None, number: int | None, *ids: str | None
    ) -> str | None:
        repository, place = (repo_name or "").lower(), path or ""
        owner = repository.partition("/")[0]
        if owner in sets["owners"]:
            return "opted_out_owner"
        if self.records == "commits" and owner in sets["commit_owners"]:
            return "opted_out_commits"
        if self.records == "threads" and owner in sets["thread_owners"]:
            return "opted_out_threads"
        if repository in sets["repositories"] or (number is not None and number in sets["numbers"]):
            return "opted_out_repository"
        content, directory, revision, snapshot, parent = ids
        own = place.rpartition("/")[2].lower()
        if sets["swhids"] and not sets["swhids"].isdisjoint(
            (f"swh:1:cnt:{content}", f"swh:1:dir:{directory}", f"swh:1:rev:{revision}", f"swh:1:snp:{snapshot}", parent or "")
            + ((f"swh:1:rev:{own}",) if self.records == "commits" else ())
        ):
            return "opted_out_swhid"
        if self.records == "commits" and (repository, own) in sets["commits"]:
            return "opted_out_commit"
        if self.records == "threads" and (repository, own) in sets["threads"]:
            return "opted_out_thread"
        below, depth = self._paths.get(repository, (frozenset(), 0))
        parts = place.lstrip("/").split("/", depth) if depth else []
        if any("/".join(parts[:n]) in below for n in range(1, min(len(parts), depth) + 1)):
            return "opted_out_path"
        return None

    @functools.cached_property  # lies in the instance: a step that is compared by value is not hashed for it
    def _sets(self) -> Mapping[str, frozenset[Any]]:
        return {one.name: frozenset(getattr(self.named, one.name)) for one in fields(self.named)}

    @functools.cached_property
    def _paths(self) -> Mapping[str, tuple[frozenset[str], int]]:
        # Of each repository the paths, and how many names the longest has: a path is cut no further.
        found: dict[str, set[str]] = {}
        for repository, path in self.named.paths:
            found.setdefault(repository, set()).add(path)
        return {r: (frozenset(paths), max(p.count("/") + 1 for p in paths)) for r, paths in found.items()}

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels: the options, without the sets."""
        return {one.name: vars(self)[one.name] for one in fields(self)}


def digest_of(data: bytes) -> str:
    """Return the sha256 of a list's bytes."""
    return hashlib.sha256(data).hexdigest()
