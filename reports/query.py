"""Names of files that a person gives to a view: a SWHID, the hash of a content or blob, a path, or `repository:path`.

A SWHID may have qualifiers (ISO/IEC 18670, section 6): `path` and `origin` tell apart the files of one content.
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from posixpath import basename, normpath
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import hashes
from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.core.schema import PLACEHOLDER
from starmill.core.swhid import swhid

HASH = re.compile(r"[0-9a-fA-F]{40}")
SWHID = re.compile(r"swh:1:(cnt|dir|rev|rel|snp):([0-9a-f]{40})")
# The columns of a file with the ids of other objects; releases have none.
TREES = {"dir": "directory_id", "rev": "revision_id", "snp": "snapshot_id"}
ROWS_COMPARED = 100_000  # to compare names where nothing matched: a second or two
PARTS_COMPARED = 256  # a part takes a millisecond or two, however few its rows


@dataclass(frozen=True)
class Labels:
    """How a view calls repositories and paths: `shown` takes plain data as it is stored; `aliases` are a name's in all datasets.

    `dataset/` and `shards/` have names without personal data, the datasets before them as in the dump (transforms/clean/redact/labels.py).
    """

    shown: Callable[[Any], Any] = lambda data: data
    aliases: Callable[[str], Collection[str]] = lambda name: (name,)


RAW = Labels()


@dataclass(frozen=True)
class Query:
    """One way to name files. `hash` is of a content or a blob; `tree` is (column, hash); `places` are (repository or None, path).

    >>> parse("./a.py").places
    ((None, '/a.py'),)
    >>> parse("pypi/x:a.py").places
    ((None, '/pypi/x:a.py'), ('pypi/x', '/a.py'))
    >>> parse("swh:1:cnt:" + "A" * 40 + ";path=/a%3Bb.py").preferred_path
    '/a;b.py'
    """

    text: str
    hash: str | None = None
    tree: tuple[str, str] | None = None
    places: tuple[tuple[str | None, str], ...] = ()
    preferred_path: str | None = None
    preferred_origin: str | None = None
    labels: Labels = RAW

    def mask(self, block: pa.RecordBatch) -> pa.BooleanArray:
        """Return which rows the query names: of the columns repo_name and path, or content_id and blob_id (where there), or the tree's.

        Of a content these are the texts that were rewritten from it too, where there is a column parent.
        """
        if self.tree is not None:
            column, wanted = self.tree
            return pc.is_in(block.column(column), strings([wanted]))
        if self.hash is not None:
            named = {"content_id": self.hash, "blob_id": self.hash, "parent": swhid("cnt", self.hash)}
            here = [(block.column(name), value) for name, value in named.items() if name in block.schema.names]
            found = [pc.is_in(column, strings([value])) for column, value in here]
        else:
            found = [self._here(block, repository, path) for repository, path in self.places]
        mask = found[0]
        for more in found[1:]:
            mask = pc.or_(mask, more)
        return mask

    def names(self) -> list[tuple[str, ...]] | None:
        """Return what files are found by (core/hashes.py), one of the tuples with all its names; None where no name is known.

        >>> parse("pypi/x:a.py").names()
        [('/pypi/x:a.py',), ('in pypi/x', '/a.py')]
        """
        if self.tree is not None:
            return [self.tree[1:]]
        if self.hash is not None:
            return [(self.hash,), (swhid("cnt", self.hash),)]
        found: list[tuple[str, ...]] = []
        for repository, path in self.places:
            known = [] if PLACEHOLDER.search(path) else [sorted(self.labels.aliases(path))]
            if repository is not None and not PLACEHOLDER.search(repository):
                known.insert(0, [hashes.repository(name) for name in sorted(self.labels.aliases(repository))])
            if not known:
                return None
            found += itertools.product(*known)
        return found

    def preferred(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows that the qualifiers name; all rows where the qualifiers name none."""
        origins = self.labels.aliases((self.preferred_origin or "").removesuffix(".git"))
        paths = self.labels.aliases(self.preferred_path or "")
        for wanted, given in (
            (self.preferred_path, lambda row: row["path"] in paths),
            (self.preferred_origin, lambda row: any(f"/{o}".endswith(f"/{row['repo_name']}") for o in origins)),
        ):
            if wanted:
                rows = [row for row in rows if given(row)] or rows
        return rows

    def _here(self, block: pa.RecordBatch, repository: str | None, path: str) -> pa.BooleanArray:
        here = self._called(block.column("path"), path)
        return here if repository is None else pc.and_(here, self._called(block.column("repo_name"), repository))

    def _called(self, names: pa.Array, wanted: str) -> pa.BooleanArray:
        here = pc.is_in(names, strings(self.labels.aliases(wanted)))
        if PLACEHOLDER.search(wanted) is None:
            return here
        # As a view shows it: whatever it stands for is looked for.
        around = ".+".join(map(re.escape, PLACEHOLDER.sub("\0", wanted).split("\0")))
        like = pc.fill_null(pc.match_substring_regex(names, f"(?s)^{around}$"), False).to_pylist()
        called = [maybe and wanted in self.labels.aliases(name) for maybe, name in zip(like, names.to_pylist(), strict=True)]
        return pc.or_(here, pa.array(called, pa.bool_()))


def exactly(repository: str, path: str, labels: Labels = RAW) -> Query:
    """Return the query of one file."""
    return Query(f"{repository}:{path}", places=((repository, path),), labels=labels)


def parse(text: str, labels: Labels = RAW) -> Query:
    """Return the query of a text. Raises UsageError for an ill-formed SWHID, or one of an object that no workspace has."""
    if text[:4].lower() == "swh:":
        core, *qualifiers = text.split(";")
        matched = SWHID.fullmatch(core.lower())
        if matched is None:
            raise UsageError(
                f"{core}: not a SWHID; it is swh:1:cnt:<40 hexadecimal digits>, and a path that looks so begins with /"
            )
        kind, digest = matched.groups()
        given = {name: unquote(value) for name, _, value in (q.partition("=") for q in qualifiers)}
        preferred = (given.get("path"), given.get("origin"))
        if kind == "cnt":
            return Query(text, digest, None, (), *preferred, labels)
        if kind not in TREES:
            raise UsageError(f"{core}: a workspace knows no releases; give the SWHID of its revision, or of a content")
        return Query(text, None, (TREES[kind], digest), (), *preferred, labels)
    if HASH.fullmatch(text):
        return Query(text, text.lower())
    # A path or a repository's name (a URL) may hold a colon: all readings are places.
    cuts = [at for at, letter in enumerate(text) if letter == ":" and text[:at] and text[at + 1 :].strip("/")]
    places = ((None, _absolute(text)), *((text[:at], _absolute(text[at + 1 :])) for at in cuts))
    return Query(text, places=places, labels=labels)


def nearest(workspace: Workspace, query: Query, parts: Iterable[str], most: int = 3) -> list[str]:
    """Return `repository:path`, as shown, of the files whose names are most like the query's, best first; none for a hash.

    Looks at the first ROWS_COMPARED rows of the first PARTS_COMPARED of the Parquet files `parts` only.
    """
    if not query.places:
        return []
    wanted, left = query.places[-1][1], ROWS_COMPARED
    named: dict[str, list[str]] = {}
    for part in filter(workspace.exists, itertools.islice(parts, PARTS_COMPARED)):
        for block in workspace.blocks(part, ["repo_name", "path"]):
            for row in block.slice(0, left).to_pylist():
                named.setdefault(basename(row["path"]).lower(), []).append(f"{row['repo_name']}:{row['path']}")
            left -= min(left, block.num_rows)
        if not left:
            break
    close = get_close_matches(basename(wanted).lower(), named, most, 0.7)
    like = SequenceMatcher(b=query.text)

    def unlike(name: str) -> float:
        like.set_seq1(name)
        return -like.ratio()

    found = [name for one in close for name in sorted(named[one][:1000], key=unlike)[:most]]
    return [query.labels.shown(name) for name in found[:most]]


def strings(values: Collection[str]) -> pa.Array:
    """Return an array of strings. What Arrow makes of Python's values itself imports pandas where there is one: a fifth of a second."""
    data = [value.encode("utf-8", "surrogatepass") for value in values]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(data), pa.py_buffer(ends), pa.py_buffer(b"".join(data)))


def _absolute(path: str) -> str:
    return normpath("/" + path.lstrip("/"))
