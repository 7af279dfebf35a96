"""Questions of Stack Overflow, or of another site of Stack Exchange, each with its answers as one record, from its Posts.xml.

A plan reads each new dump once, into an index that is sorted by question (index.py). The texts are under CC BY-SA, whose
attribution a record's repo_name and path give: `https://<repo_name>/<path>`. Roles of the segments: title (an option), question and answer,
whose name is the person's (username_0 asks, the others follow by their posts' ids), votes, a mark whose name is the score of the post
before it, and the mark selected behind the answer that was accepted.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal
from urllib.parse import quote

from starmill.core import recipe
from starmill.core.errors import InputError, of_a_file
from starmill.core.names import Bytes, Place
from starmill.pipelines.sources.archives.inflate import Stream, opened
from starmill.pipelines.sources.dumps import COMPRESSED, files, most
from starmill.pipelines.sources.gharchive.index import check, without
from starmill.pipelines.sources.gharchive.text import masked
from starmill.pipelines.sources.gharchive.threads import Written
from starmill.pipelines.sources.source import (
    Counted,
    Entry,
    Limits,
    Options,
    Repository,
    Snapshot,
    label,
    unique,
)
from starmill.pipelines.sources.stackexchange import index as indexes
from starmill.pipelines.sources.stackexchange.posts import Post, text

POSTS = re.compile(rf"(?:(?:\A|/)(?P<site>[^/]*)[-/])?Posts\.xml{COMPRESSED}\Z")
LOST = "stackexchange/dumps/"  # how the name of what a dump lost begins: no site's does


@dataclass(frozen=True, kw_only=True)
class StackExchange(Options):
    """Questions with their answers from Stack Exchange's dumps.

    These are `<site>/Posts.xml` or `<site>-Posts.xml`, plain, .gz, .bz2, .xz or .zst; a .7z is to be extracted first.
    """

    kind: Literal["stackexchange"] = "stackexchange"  # always given
    folder: Place  # of dumps, at any depth
    index: Place  # a file of this machine in which the posts are sorted; made where it is missing, and taken up again
    title: bool = False  # whether a question's title is part of its record (StarCoder2: no)
    max_dump_bytes: Bytes = 1 << 40  # bytes of one dump, inflated
    gives: ClassVar[tuple[str, ...]] = ("stackoverflow",)

    def __post_init__(self) -> None:
        """Raise ValueError for an index that cannot be one."""
        check("index", self.index, self.folder)

    def places(self) -> tuple[str, ...]:
        """Return the folder."""
        return (self.folder,)

    def inventory(self) -> list[Repository]:
        """Return the plan, and the files of the folder that are no posts, or cannot be opened."""
        seen, planned = dict[str, int](), list[Repository]()
        looks, states = dict[str, Callable[[], AbstractContextManager[Stream]]](), dict[str, str]()
        dumps = dict[str, str]()
        for found in files(self.folder, POSTS, "not_posts"):
            if why := found.why or _unreadable(found.path):
                planned.append(found._replace(why=why).left_out(seen))
                continue
            # An index holds no name that is not UTF-8.
            name = quote(os.path.relpath(found.path, os.fsencode(os.path.realpath(self.folder))))
            dumps[name] = os.fsdecode(found.path)
            limit = most(found.size, self.max_dump_bytes, Limits.max_inflation)
            # What a dump may inflate to decides what is taken in of it.
            states[name], looks[name] = repr((found.state, self.max_dump_bytes)), partial(_stream, dumps[name], limit)
        os.makedirs(os.path.dirname(os.path.abspath(self.index)), exist_ok=True)
        with indexes.opened(self.index, write=True) as index:
            for name in indexes.prepare(index, states):
                indexes.take(index, name, states[name], looks[name])
            pieces = [*indexes.pieces(index)]
        many = Counter(piece.dump for piece in pieces if piece.piece is not None)
        sites = {name: unique(_site(file), seen) for name, file in dumps.items()}
        for piece in pieces:
            place = {"index": os.path.abspath(self.index), "dump": piece.dump, "site": sites[piece.dump]}
            name = LOST + piece.dump
            if piece.piece is not None:
                place |= {"piece": str(piece.piece)}
                name = sites[piece.dump] + (f"/{piece.piece:05d}" if many[piece.dump] > 1 or piece.piece else "")
            if name != sites[piece.dump]:  # which is unique already
                name = unique(name, seen)
            planned.append(Repository(name, place, piece.bytes, self._fingerprint(piece.digest)))
        return sorted(planned, key=lambda r: r.name)

    def notes(self) -> tuple[str, ...]:
        """Say what the texts' licence asks for."""
        return ("the texts are under CC BY-SA: keep repo_name and path with what is made of them, which name each one's page",)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return questions of a dump, by their ids, or what it lost."""
        return Snapshot(), self._entries(repository.place, limits.max_file_bytes)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the piece has now: a run beside this one may have taken another dump in."""
        place = repository.place
        if "dump" not in place:
            return repository.fingerprint
        try:
            with indexes.opened(place["index"]) as index:
                digest = indexes.digest(index, place["dump"], int(place["piece"]) if "piece" in place else None)
        except (FileNotFoundError, InputError):
            return ""
        return self._fingerprint(digest) if digest else ""

    def _fingerprint(self, digest: str) -> str:
        return recipe.digest([digest, self.title])

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many questions there are."""
        place = repository.place
        if "dump" not in place:
            return Counted(1, True, "find . ! -type d")
        with indexes.opened(place["index"]) as index:
            if "piece" not in place:
                return Counted(
                    sum(1 for _ in indexes.problems(index, place["dump"])), True, "select * from problems in its index"
                )
            found = indexes.count(index, place["dump"], int(place["piece"]))
            return Counted(found, True, "select distinct question from posts in its index")

    def _entries(self, place: Mapping[str, str], max_bytes: int) -> Iterator[Entry]:
        [kind] = self.gives
        try:
            with indexes.opened(place["index"]) as index:
                if "piece" not in place:
                    for number, (row, reason, detail, size) in enumerate(indexes.problems(index, place["dump"])):
                        yield Entry(b"row/%012d/%d" % (row, number) if row else b"", None, reason, detail, size, kind)
                    return
                site = os.fsencode(place["site"])
                for question, posts in indexes.questions(index, place["dump"], int(place["piece"])):
                    yield replace(entry(question, posts, self.title, max_bytes), kind=kind, repo_name=site)
        except (FileNotFoundError, InputError) as error:
            yield without(error, kind)


def entry(number: int, posts: Iterable[Post], title: bool, max_bytes: int) -> Entry:
    """Return the record of a question, or the reason why there is none. Holds four times `max_bytes` of its posts at most."""
    path, size, answers = b"questions/%d" % number, 0, list[Post]()
    question: Post | None = None
    for found in posts:
        size += len(found.body) + len(found.title) + 100
        if size >= 4 * max_bytes:
            continue
        if found.is_question:
            question = found
        else:
            answers.append(found)
    if size >= 4 * max_bytes:
        return Entry(path, None, "too_large", "in characters of its posts", size=size)
    if question is None:
        return Entry(path, None, "no_question", f"{len(answers):,} answers to what is not in the dump", size=size)
    owners = dict.fromkeys(found.owner for found in (question, *answers))
    people = {owner: f"username_{k}" for k, owner in enumerate(owners)}
    names = {found.name.lower(): people[found.owner] for found in (question, *answers) if found.name}
    made = Written()
    if title:
        made.add("title", people[question.owner], masked(" ".join(question.title.split()), names))
    for found in (question, *answers):
        made.add("question" if found is question else "answer", people[found.owner], masked(text(found.body), names))
        made.mark("votes", str(found.score))
        if found.id == question.accepted:
            made.mark("selected", None)
    data = "".join(made.text).encode("utf-8", "replace")
    if len(data) >= max_bytes:
        return Entry(path, None, "too_large", size=len(data))
    return Entry(path, data, segments=made.segments)


@contextmanager
def _stream(file: str, limit: int) -> Iterator[Stream]:
    with opened(file) as stored:
        yield Stream(stored, limit)


def _unreadable(path: bytes) -> str:
    try:
        with opened(os.fsdecode(path)):
            return ""
    except OSError as error:
        of_a_file(error, path)
        return "unreadable"


def _site(file: str) -> str:
    """Return the site of a dump: what is before `-Posts.xml`, or the folder that holds Posts.xml.

    >>> _site("/dumps/stackoverflow.com/Posts.xml"), _site("/dumps/math.stackexchange.com-Posts.xml.gz")
    ('stackoverflow.com', 'math.stackexchange.com')
    """
    found = POSTS.search(file)
    return label(os.fsencode(found["site"] if found and found["site"] else "stackexchange"))[0][1:]
