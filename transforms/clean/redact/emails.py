"""Email addresses: every `@` is found first, and a pattern is tried only around it, so text without one costs nothing.

The shape is that of The Stack's rule (local part, one to ten labels, a top-level domain of letters). Addresses of domains reserved
for examples (RFC 2606), and what only looks like one (git@host:, decorators, npm scopes), are left.
"""

import re
from collections.abc import Iterator

ANCHORS = (rb"[A-Za-z0-9_+-]@[A-Za-z0-9]",)  # one of them matches in each text with a find (scan.py)
LOCAL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_+-])?\Z")
DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?\.){1,10}[A-Za-z]{2,24}(?![A-Za-z0-9_-]|\.[A-Za-z0-9])(?!:[^\s])"
)
# A file name after the @ is a version or an asset (`icon@2x.png`), not a domain.
NOT_A_DOMAIN = frozenset("png jpg jpeg gif svg webp css js ts py json html md txt c h so dll exe zip gz".split())
RESERVED = ("example.com", "example.org", "example.net", "localhost.localdomain")


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each email address, in order."""
    at, before = text.find("@"), 0  # behind the @ or the address before: no other begins there
    while at != -1:
        local = LOCAL.search(text, max(before, at - 64), at)
        domain = DOMAIN.match(text, at + 1) if local else None
        if local and domain and _is_address(text, local.start(), domain.group().lower()):
            yield local.start(), domain.end()
            before = domain.end()
            at = text.find("@", before)
        else:
            before = at + 1
            at = text.find("@", before)


def _is_address(text: str, start: int, domain: str) -> bool:
    before = text[start - 1] if start else " "
    if before in "/@:=" and text[max(0, start - 3) : start] == "://":
        return False  # user information of a URL
    return domain.rsplit(".", 1)[-1] not in NOT_A_DOMAIN and not (
        domain in RESERVED or domain.endswith(tuple(f".{r}" for r in RESERVED))
    )
