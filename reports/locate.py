"""From a training token to the file that it came from, and from a file to its tokens: `starmill locate`.

Reads the shards' manifest, one shard's side table and one file's tokens, as ranges of bytes: also from a workspace in a bucket.
 Tokens are counted from 0: in a shard, in a document, or over all shards in the manifest's order.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import seeds, swhid
from starmill.core.dataset import Workspace, part_path
from starmill.core.errors import InputError, UsageError
from starmill.core.tokenizer import Tokenizer
from starmill.reports.query import RAW, Labels, Query, nearest, parse

TOKENIZER = "tokenizer/tokenizer.json"
POSITION = re.compile(r"(\d+):(\d+)(?::(\d+))?")
AROUND = 300  # tokens on each side where a token is in no file, or in a line without end
LINES = 4  # shown on each side of the token
WIDTH = 100  # characters of a line around the token; the rest is cut off
MARKS = ("⟦", "⟧")
P = TypeVar("P", "Place", "FileTokens")

NAMES = ("<repo_name>", "<reponame>", "<filename>", "<gh_stars>")  # with one of which a document begins that says of what it is


@dataclass(frozen=True)
class Place:
    """`count` tokens of one document, from `token` of shard `shard` on, and the file that they came from (None between files).

    `nth` counts over all shards, `document_token` in the document. The file has `file_tokens` tokens from `file_token` of the shard on.
    `line` is the line of the file in the shard, from 1; None in the line with its path.
    """

    shard: int
    token: int
    count: int
    nth: int
    all_tokens: int
    document: int
    document_token: int
    ids: tuple[int, ...]
    text: str
    before: str
    after: str
    repo_name: str
    path: str | None
    language: str | None
    swhid: str | None
    file_token: int | None
    file_tokens: int | None
    line: int | None


@dataclass(frozen=True)
class FileTokens:
    """A file's tokens: [token, token + count) of shard `shard`."""

    shard: int
    token: int
    count: int
    document: int
    repo_name: str
    path: str
    language: str
    swhid: str


class Tokens:
    """The shards of a finished workspace, read by ranges."""

    def __init__(self, workspace: Workspace) -> None:
        """Read the manifest. Raises InputError if the shards are not complete."""
        manifest = workspace.manifest("shards")
        if manifest is None:
            raise InputError(
                f"{workspace.root}: no shards/manifest.json, so the shards are not complete; run `starmill run` first"
            )
        self.workspace = workspace
        self._type = self.tokenizer.dtype.newbyteorder("<")
        self.sizes = {
            p.part: o.bytes // self._type.itemsize for p in manifest.parts for o in p.outputs if o.path.endswith(".bin")
        }
        self.total = sum(self.sizes.values())

    def read(self, shard: int, start: int, end: int) -> np.ndarray:
        """Return the ids [start, end) of a shard."""
        width = self._type.itemsize
        return np.frombuffer(self.workspace.read(part_path("shards", shard, "bin"), width * start, width * end), self._type)

    def table(self, shard: int) -> pa.Table:
        """Return the side table of a shard."""
        return self.workspace.table(part_path("shards", shard, "docs.parquet"))

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The workspace's tokenizer."""
        return Tokenizer.load(self.workspace.read(TOKENIZER), where=self.workspace.path(TOKENIZER))

    def place(self, shard: int, token: int, count: int = 1) -> Place:
        """Return the place of the token at offset `token` of a shard. Raises UsageError for an offset outside the shard."""
        if shard not in self.sizes:
            raise UsageError(f"{shard}: no shard of {self.workspace.root}; it has {_span(list(self.sizes))}")
        if not 0 <= token < self.sizes[shard]:
            raise UsageError(f"{shard}:{token}: shard {shard} has the tokens 0 to {self.sizes[shard] - 1:,}")
        table = self.table(shard)
        number = int(np.searchsorted(table.column("token_start").to_numpy(), token, side="right")) - 1
        (document,) = table.slice(number, 1).to_pylist()
        start, end = document["token_start"], document["token_start"] + document["token_count"]
        inside = token - start
        file = next((f for f in document["files"] if 0 <= inside - f["token_start"] < f["token_count"]), None)
        first, last = max(start, token - AROUND), min(end, token + count + AROUND)
        if file is not None:
            first = start + file["token_start"]
            last = min(first + file["token_count"], token + count + AROUND)
        decode, ids = self.tokenizer.decode, self.read(shard, first, last).tolist()
        before, line = decode(ids[: token - first]), None
        if file is not None:
            # A file's first line is its path where the document begins with its repository's name; StarCoder's is what stands before it.
            named = self.read(shard, start, start + 1)[0] in [
                self.tokenizer.special(token) for token in NAMES if self.tokenizer.has(token)
            ]
            line = before.count("\n") + 1 - int(named) or None
        return Place(
            shard=shard,
            token=token,
            count=count,
            nth=token + sum(size for number, size in self.sizes.items() if number < shard),
            all_tokens=self.total,
            document=number,
            document_token=inside,
            ids=tuple(ids[token - first : token - first + count]),
            text=decode(ids[token - first : token - first + count]),
            before=before[-10 * WIDTH * LINES :],
            after=decode(ids[token - first + count :])[: 10 * WIDTH * LINES],
            repo_name=document["repo_name"],
            path=f"/{file['path'].lstrip('/')}" if file else None,
            language=file["language"] if file else None,
            swhid=swhid.swhid("cnt", file["content_id"]) if file else None,
            file_token=first if file else None,
            file_tokens=file["token_count"] if file else None,
            line=line,
        )

    def nth(self, number: int) -> Place:
        """Return the place of token `number` over all shards. Raises UsageError for a number outside them."""
        left = number
        for shard, size in self.sizes.items():
            if 0 <= left < size:
                return self.place(shard, left)
            left -= size
        raise UsageError(f"--nth {number}: {self.workspace.root} has the tokens 0 to {self.total - 1:,}")

    def find(self, text: str) -> Iterator[Place]:
        """Yield the places of a text in order, shard by shard; the text's tokens are those with a byte of the text."""
        wanted = text.encode()
        if not wanted:
            raise UsageError("--text: give the text to look for")
        sizes = np.array([len(self.tokenizer.decode_bytes([i])) for i in range(self.tokenizer.vocab_size)])
        for shard, size in self.sizes.items():
            ids = self.read(shard, 0, size)
            ends, data, at = np.cumsum(sizes[ids]), self.tokenizer.decode_bytes(ids.tolist()), -1
            while (at := data.find(wanted, at + 1)) >= 0:
                first, last = np.searchsorted(ends, [at, at + len(wanted) - 1], side="right").tolist()
                yield self.place(shard, first, last + 1 - first)


def locate(
    workspace: Workspace, position: str | None = None, nth: int | None = None, text: str | None = None, seed: int = 0
) -> Place:
    """Return the token at `position` (`shard:token` or `shard:document:token`), the `nth` of all, or the first ones that hold `text`.

    Without any of these a token is drawn by `seed`, all equally likely. Raises UsageError for a token that is not there, and
    InputError where no shard has the text.
    """
    tokens = Tokens(workspace)
    if position is not None:
        shard, first, second = numbers(position)
        if second is None:
            return tokens.place(shard, first)
        if shard not in tokens.sizes:
            return tokens.place(shard, 0)  # raises that error
        table = tokens.table(shard)
        if first >= table.num_rows or second >= table.column("token_count")[first].as_py():
            raise UsageError(
                f"{position}: shard {shard} has {table.num_rows:,} documents, and the token must be in one of them"
            )
        return tokens.place(shard, table.column("token_start")[first].as_py() + second)
    if text is not None:
        found = next(tokens.find(text), None)
        if found is None:
            raise InputError(f"--text {text!r}: not in the {tokens.total:,} tokens of {workspace.root}")
        return found
    if not tokens.total:
        raise InputError(f"{workspace.root}: its shards have no tokens")
    return tokens.nth(min(int(seeds.uniform(seed, "locate") * tokens.total), tokens.total - 1) if nth is None else nth)


def shown(found: P, labels: Labels) -> P:
    """Return a place or a file's tokens with its repository and path as a view shows them."""
    return replace(found, **labels.shown({"repo_name": found.repo_name, "path": found.path}))


def is_position(text: str) -> bool:
    """Say whether a text is a token's position, and not a file's name.

    >>> [is_position(text) for text in ("3:1200", "3:0:17", "r:/a.py", "/3:1200")]
    [True, True, False, False]
    """
    return POSITION.fullmatch(text) is not None


def of_file(workspace: Workspace, text: str, labels: Labels = RAW) -> list[FileTokens]:
    """Return the tokens of every file that `text` names: a content's SWHID or id, a path, or repository:path.

    Raises UsageError for another SWHID, and InputError, with the nearest paths, when no token came from such a file.
    """
    query, tokens = parse(text, labels), Tokens(workspace)
    if query.tree is not None:
        raise UsageError(f"{text}: shards know contents only; `starmill why` names the files of a directory or revision")
    rows: list[dict[str, Any]] = []
    for shard in tokens.sizes:
        for block in map(_files, tokens.table(shard).to_batches()):
            rows += ({"shard": shard, **row} for row in block.filter(query.mask(block)).to_pylist())
    if not rows:
        raise InputError(_nothing(workspace, query))
    return [FileTokens(swhid=swhid.swhid("cnt", row.pop("content_id")), **row) for row in query.preferred(rows)]


def spans(workspace: Workspace, files: list[FileTokens]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return [start, end) in their document of the tokens of files, by (shard, document)."""
    tokens, found = Tokens(workspace), dict[tuple[int, int], list[tuple[int, int]]]()
    starts = {shard: tokens.table(shard).column("token_start").to_pylist() for shard in {one.shard for one in files}}
    for one in files:
        start = one.token - starts[one.shard][one.document]
        found.setdefault((one.shard, one.document), []).append((start, start + one.count))
    return found


def lines(place: Place) -> list[str]:
    """Return a place for people: what the token came from, and the lines around it, with the token marked."""
    if place.count == 1:
        title = f"token {place.nth:,} of {place.all_tokens:,}: id {place.ids[0]}, {place.text!r}"
    else:
        title = f"tokens {place.nth:,} to {place.nth + place.count - 1:,} of {place.all_tokens:,}"
    shown = [
        title,
        f"  shard       {part_path('shards', place.shard, 'bin')}, token {place.token:,} (document {place.document:,}, its token "
        f"{place.document_token:,})",
        f"  repository  {place.repo_name}",
    ]
    if place.path is None:
        shown.append("  file        none: the token is between the files of its document")
    else:
        line = "the line with its path" if place.line is None else f"line {place.line:,}"
        shown += [
            f"  file        {place.path}, {line} ({place.language or 'language unknown'}); its tokens {place.file_token:,} to "
            f"{(place.file_token or 0) + (place.file_tokens or 0) - 1:,}",
            f"  SWHID       {place.swhid}",
        ]
    return [*shown, "", *_text(place)]


def file_lines(found: list[FileTokens]) -> list[str]:
    """Return the tokens of files for people."""
    shown = []
    for one in found:
        shown += [
            f"{one.repo_name}:{one.path}  {one.swhid}",
            f"  {part_path('shards', one.shard, 'bin')}, document {one.document:,}, tokens {one.token:,} to "
            f"{one.token + one.count - 1:,} ({one.count:,}, {one.language or 'language unknown'}): starmill locate {one.shard}:{one.token}",
        ]
    return shown


def numbers(position: str) -> tuple[int, int, int | None]:
    """Return the two or three numbers of a position. Raises UsageError for what is none."""
    found = POSITION.fullmatch(position)
    if found is None:
        raise UsageError(f"{position}: not a position; it is shard:token or shard:document:token, each a number from 0")
    shard, first, second = found.groups()
    return int(shard), int(first), None if second is None else int(second)


def _files(documents: pa.RecordBatch) -> pa.RecordBatch:
    """Return a side table's rows, one per file, with the path as in other datasets and the token counted in the shard."""
    files, parents = pc.list_flatten(documents.column("files")), pc.list_parent_indices(documents.column("files"))
    of = documents.select(["document", "token_start", "repo_name"]).take(parents)
    columns = {
        "token": pc.add(of.column("token_start"), files.field("token_start")),
        "count": files.field("token_count"),
        "document": of.column("document"),
        "repo_name": of.column("repo_name"),
        "path": pc.binary_join_element_wise("", pc.utf8_ltrim(files.field("path"), "/"), "/"),
        "language": files.field("language"),
        "content_id": files.field("content_id"),
    }
    return pa.RecordBatch.from_pydict(columns)


def _nothing(workspace: Workspace, query: Query) -> str:
    near = nearest(workspace, query, workspace.parts("dataset"))
    like = f"; the nearest are {', '.join(near)}" if near else ""
    return f"{query.text}: no token of {workspace.root} came from such a file (`starmill why` says why){like}"


def _span(shards: list[int]) -> str:
    return f"{len(shards)}, {min(shards)} to {max(shards)}" if shards else "none"


def _text(place: Place) -> list[str]:
    before, after = place.before.split("\n"), place.after.split("\n")
    first, last = before[-LINES - 1 : -1], after[1 : LINES + 1]
    head, tail = before[-1], after[0]
    if len(head) + len(tail) > WIDTH:
        room = max(WIDTH // 2, WIDTH - len(tail))
        head = f"...{head[-room:]}" if len(head) > room else head
        tail = tail[: max(WIDTH // 2, WIDTH - len(head))]
    middle = f"{head}{MARKS[0]}{place.text}{MARKS[1]}{tail}".split("\n")
    number = (place.line or 0) - len(first)
    shown = []
    for line in (*(f[:WIDTH] for f in first), *middle, *(f[:WIDTH] for f in last)):
        label = str(number) if place.path is not None and number > 0 else ""
        shown.append(f"{label:>7}  {_printable(line)}".rstrip())
        number += 1
    return shown


def _printable(line: str) -> str:
    # One column each: a line with a mark is as wide as it looks.
    return "".join(c if c.isprintable() else "    " if c == "\t" else "\ufffd" for c in line)
