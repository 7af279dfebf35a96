"""Contents of a table that has only ids: each is fetched from Software Heritage's store, and is what its ids say, or a row says why not.

The Stack v2 is such a table. Its rows state an encoding too; a content is decoded by this program's own rule all the same, which is that
of The Stack v2's released code (encoding.py): the same bytes give the same text whatever table names them, and no table's word can make
another text of them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from starmill.pipelines.sources.source import Entry
from starmill.pipelines.sources.swh.contents import ContentStore, NoContent, Wanted, fetched

ROWS = 1024  # whose contents are asked for in their order
TYPICAL = 10_000  # bytes of a file, by which a plan estimates what no table of ids says
SHA1 = re.compile(r"[0-9a-f]{40}")


class Due(NamedTuple):
    """An entry without its content yet, and what to ask for."""

    entry: Entry
    wanted: Wanted


def due(entry: Entry, said: Mapping[str, Any]) -> Due | Entry:
    """Return what to ask for an entry whose row says these ids, or the entry with the reason why it cannot be asked."""
    ids = {role: (said.get(role) or "").lower() for role in ("blob_id", "content_id")}
    if not ids["blob_id"]:
        return replace(entry, data=None, reason="no_content", detail=said.get("reason") or "no blob_id", facts={})
    for role, text in ids.items():
        if text and not SHA1.fullmatch(text):  # it would be part of a URL
            return replace(entry, data=None, reason="wrong_id", detail=f"{role} is {text[:100]!r}, no SHA-1", facts={})
    return Due(entry, Wanted(ids["blob_id"], ids["content_id"], None))


def filled(of: ContentStore, found: Iterable[Entry | Due], most: int) -> Iterator[Entry]:
    """Yield entries in their order, those that were due with their contents of less than `most` bytes. Raises StorageError."""
    rest = iter(found)
    while some := list(islice(rest, ROWS)):
        given = fetched(of, [one.wanted if isinstance(one, Due) else None for one in some], most)
        for one, data in zip(some, given, strict=True):
            if isinstance(one, Entry):
                yield one
            elif isinstance(data, NoContent):
                size = most if data.reason == "too_large" else 0
                yield replace(one.entry, data=None, reason=data.reason, detail=str(data), size=size, facts={})
            else:
                yield replace(one.entry, data=data)
