"""Posts of Stack Exchange's dumps sorted by question: a file of SQLite, which is a sort through storage in bounded memory.

Answers follow their question anywhere in a dump. A dump is taken in whole or not at all, and once. Questions are read in pieces by their
ids, whatever the dump: a newer dump of a site changes the pieces in which something changed.
"""

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from starmill.pipelines.sources import tags
from starmill.pipelines.sources.archives.inflate import Stream
from starmill.pipelines.sources.dumps import Chunks
from starmill.pipelines.sources.gharchive import index as gharchive_index
from starmill.pipelines.sources.source import Entry
from starmill.pipelines.sources.stackexchange import posts as stackexchange_posts
from starmill.pipelines.sources.stackexchange.posts import Post

TABLES = """
CREATE TABLE made (by TEXT);
CREATE TABLE dumps (dump INTEGER PRIMARY KEY, name TEXT UNIQUE, state TEXT, problems TEXT, bytes INTEGER);
CREATE TABLE problems (dump INTEGER, row INTEGER, reason TEXT, detail TEXT, size INTEGER);
CREATE TABLE posts (dump INTEGER, question INTEGER, id INTEGER, data BLOB);
CREATE INDEX by_question ON posts (dump, question, id);
CREATE TABLE pieces (dump INTEGER, piece INTEGER, bytes INTEGER, digest TEXT, PRIMARY KEY (dump, piece)) WITHOUT ROWID
"""
MOST_KINDS = 100  # of posts that are neither questions nor answers, told by their number; there are eight
PIECE_IDS = 100_000  # of questions that are read together: about 100 MB of Stack Overflow
MAX_ROW = 16 << 20  # bytes of a row; Stack Overflow lets nobody write more than 30,000 characters
BATCH_ROWS, BATCH_BYTES = 20_000, 32 << 20
opened = gharchive_index.opened
POST = msgspec.msgpack.Decoder(Post)
encode = msgspec.msgpack.encode


class Piece(NamedTuple):
    """Questions of a dump that are read together; None: what the dump lost."""

    dump: str
    piece: int | None
    bytes: int
    digest: str


def made_by() -> str:
    """Return the digest of the code that makes rows."""
    files = (stackexchange_posts.__file__, tags.__file__, __file__)
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


def prepare(index: sqlite3.Connection, states: dict[str, str]) -> list[str]:
    """Make the tables, forget dumps that have gone or changed; return those to be read, of `states` by name. Raises InputError."""
    gharchive_index.claim(index, made_by(), TABLES)
    for dump, name, state in index.execute("SELECT dump, name, state FROM dumps").fetchall():
        if states.get(name) != state:
            for table in ("dumps", "problems", "posts", "pieces"):
                index.execute(f"DELETE FROM {table} WHERE dump=?", (dump,))
    known = {name for (name,) in index.execute("SELECT name FROM dumps")}
    index.execute("COMMIT")
    return sorted(states.keys() - known)


def take(index: sqlite3.Connection, name: str, state: str, look: Callable[[], AbstractContextManager[Stream]]) -> None:
    """Take a dump in; `look` opens it anew. Of a stream whose own checksum does not agree nothing is believed."""
    upto: int | None = None
    said: Entry | None = None
    while True:
        index.execute("BEGIN IMMEDIATE")
        try:
            if index.execute("SELECT 1 FROM dumps WHERE name=?", (name,)).fetchone():  # another run was faster
                index.execute("COMMIT")
                return
            number = index.execute("INSERT INTO dumps (name, state) VALUES (?, ?)", (name, state)).lastrowid
            with look() as stream:
                chunks = Chunks(stream, upto)
                _insert(index, int(number or 0), chunks, said)
            if not stream.broken:
                index.execute("COMMIT")
                return
            index.execute("ROLLBACK")
            upto, said = stream.believed, chunks.problem
        except BaseException:
            if index.in_transaction:
                index.execute("ROLLBACK")
            raise


def _insert(index: sqlite3.Connection, dump: int, chunks: Chunks, said: Entry | None) -> None:
    others, digest = Counter[str](), hashlib.sha256()
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    rows: list[tuple[int, int, int, bytes]] = []
    held = total = count = lost = 0
    is_posts = is_whole = False

    def problem(row: int, reason: str, detail: str | None, size: int) -> None:
        nonlocal lost
        lost += 1
        digest.update(repr((row, reason, detail, size)).encode())
        index.execute("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", (dump, row, reason, detail, size))

    def flush() -> None:
        nonlocal held
        index.executemany("INSERT INTO posts VALUES (?, ?, ?, ?)", rows)
        rows.clear()
        held = 0

    for piece, size in tags.pieces(chunks, MAX_ROW):
        total += size
        if piece is None:
            count += 1
            problem(count, "row_too_long", f"more than {MAX_ROW:,} bytes", size)
        elif piece.startswith((b"posts>", b"posts ")):
            is_posts = True
        elif piece.startswith(b"/posts>"):
            is_whole = True
        elif piece.startswith(b"!"):
            problem(count, "markup_declaration", "nothing that a dump declares is used", size)
        elif piece.startswith((b"row ", b"row\t", b"row\r", b"row\n")):
            count += 1
            try:
                post = stackexchange_posts.post(piece)
            except tags.Malformed as error:
                problem(count, "malformed_row", str(error), size)
                continue
            if isinstance(post, str):
                others[post if post in others or len(others) < MOST_KINDS else "..."] += 1
                continue
            data = encode(post)
            of = sums[post.question // PIECE_IDS]
            of[0] += len(data)
            of[1] += int.from_bytes(hashlib.sha256(data).digest())
            rows.append((dump, post.question, post.id, data))
            held += len(data)
            if held > BATCH_BYTES or len(rows) > BATCH_ROWS:
                flush()
    flush()
    for kind in sorted(others):
        problem(0, "other_post", f"{others[kind]:,} posts of type {kind!r}, neither question nor answer", 0)
    if found := chunks.problem or said:
        problem(0, str(found.reason), found.detail, 0)
    elif not is_posts:
        problem(0, "not_posts", "there is no <posts> in it" if total else "it is empty", total)
    elif not is_whole:
        problem(0, "truncated_dump", f"it has no end; {count:,} rows are read", 0)
    made = ((dump, piece, size, f"{of % (1 << 256):064x}") for piece, (size, of) in sums.items())
    index.executemany("INSERT INTO pieces VALUES (?, ?, ?, ?)", made)
    index.execute("UPDATE dumps SET problems=?, bytes=? WHERE dump=?", (digest.hexdigest() if lost else "", total, dump))


def pieces(index: sqlite3.Connection) -> Iterator[Piece]:
    """Yield what there is to read of each dump, by name: its pieces in order, then what it lost."""
    for dump, name, size, problems in index.execute("SELECT dump, name, bytes, problems FROM dumps ORDER BY name").fetchall():
        of = index.execute("SELECT piece, bytes, digest FROM pieces WHERE dump=? ORDER BY piece", (dump,))
        yield from (Piece(name, *row) for row in of)
        if problems:
            yield Piece(name, None, size, problems)


def digest(index: sqlite3.Connection, name: str, piece: int | None) -> str:
    """Return the digest of a piece of a dump, or of what the dump lost; nothing where it has gone."""
    lost, of = "SELECT problems FROM dumps WHERE name=?", "SELECT digest FROM pieces WHERE piece=? AND dump="
    asked, values = (lost, (name,)) if piece is None else (f"{of}(SELECT dump FROM dumps WHERE name=?)", (piece, name))
    found = index.execute(asked, values).fetchone()
    return str(found[0]) if found else ""


def problems(index: sqlite3.Connection, name: str) -> Iterator[tuple[int, str, str, int]]:
    """Yield what a dump lost: the row's number or 0, the reason, the detail and the size, by row."""
    of = "SELECT row, reason, detail, size FROM problems WHERE dump=(SELECT dump FROM dumps WHERE name=?) ORDER BY row, reason, detail"
    yield from index.execute(of, (name,))


WHERE = "FROM posts WHERE dump=(SELECT dump FROM dumps WHERE name=?) AND question>=? AND question<?"


def questions(index: sqlite3.Connection, name: str, piece: int) -> Iterator[tuple[int, Iterable[Post]]]:
    """Yield each question of a piece, by id, with the posts that are it and its answers, by id; of two with one id the first by value."""
    rows = index.execute(
        f"SELECT question, id, data {WHERE} ORDER BY question, id, data", (name, piece * PIECE_IDS, (piece + 1) * PIECE_IDS)
    )
    for question, some in groupby(rows, key=lambda row: row[0]):
        yield question, (POST.decode(next(same)[2]) for _, same in groupby(some, key=lambda row: row[1]))


def count(index: sqlite3.Connection, name: str, piece: int) -> int:
    """Return how many questions a piece has."""
    [(found,)] = index.execute(f"SELECT count(DISTINCT question) {WHERE}", (name, piece * PIECE_IDS, (piece + 1) * PIECE_IDS))
    return int(found)
