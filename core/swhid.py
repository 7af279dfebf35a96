"""Software Heritage identifiers (SWHID, ISO/IEC 18670) of contents and directories; they are git's own object ids."""

import hashlib
import re
from collections.abc import Iterable

DIRECTORY_MODE = 0o40000
CONTENT = re.compile(r"swh:1:cnt:[0-9a-f]{40}")


def blob_id(data: bytes) -> str:
    """Return the SHA-1 of the bytes: The Stack v2's `blob_id`."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def object_id(kind: str, data: bytes) -> str:
    """Return git's id of an object: kind is blob, tree or commit."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def content_id(data: bytes) -> str:
    """Return git's id of a blob: The Stack v2's `content_id`, the hash in `swh:1:cnt:<hash>`."""
    return object_id("blob", data)


def directory_id(entries: Iterable[tuple[int, bytes, str]]) -> str:
    """Return git's id of a tree from (mode, name, hex id) of its entries, in any order; sorted as git does."""
    ordered = sorted(entries, key=lambda e: e[1] + b"/" if e[0] == DIRECTORY_MODE else e[1])
    return object_id("tree", b"".join(b"%o %s\0" % (mode, name) + bytes.fromhex(hex_id) for mode, name, hex_id in ordered))


def swhid(kind: str, hex_id: str) -> str:
    """Return the identifier of an object; kind is cnt, dir, rev, rel or snp."""
    return f"swh:1:{kind}:{hex_id}"


def is_content(text: str) -> bool:
    """Say whether a text is the identifier of a content, without qualifiers.

    >>> is_content(swhid("cnt", "0" * 40)), is_content(swhid("dir", "0" * 40)), is_content("0" * 40)
    (True, False, False)
    """
    return CONTENT.fullmatch(text) is not None
