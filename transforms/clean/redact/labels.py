"""Labels (repositories, paths, branches): the personal data in them is replaced as in texts, and two labels stay two.

`/contact-jane@corp.io.py` becomes `/<EMAIL-243f9278e524>.py`. The digits are of the SHA-256 of what was there: the same value has the same
label in every part, dataset and view, and two values have two. In a document, where no one has to be told from another, a renderer
writes the sentinel `<EMAIL>` for it (render/pieces.py). Redacting twice changes nothing more.
"""

import functools
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from starmill.core.schema import PLACEHOLDER
from starmill.transforms.clean.redact import addresses, emails, keys, scan

WORD = re.compile(r"[^/\s]+")  # no address goes over its ends
PASSES = 8  # a key may end where an address begins, which only the next pass finds
# One of their anchors matches inside of each label in which anything is found, once `_` is read as a space for addresses.
DETECTORS = (
    scan.Detector("EMAIL", emails.find, lambda: emails.ANCHORS),
    scan.Detector("IP_ADDRESS", addresses.find, lambda: addresses.ANCHORS),
    scan.Detector("KEY", keys.find, keys.anchors),
)
SUFFIXES = 3  # that a name of a file may have behind an address: `jane@corp.io.test.js`


def redacted(label: str, emails: bool = True, ip_addresses: bool = True, keys: bool = True) -> str:
    """Return a label without the personal data of these kinds.

    >>> redacted("/contact-jane@corp.io.py"), redacted("/lib/heapq.py")
    ('/<EMAIL-243f9278e524>.py', '/lib/heapq.py')
    """
    wanted = {"EMAIL": emails, "IP_ADDRESS": ip_addresses, "KEY": keys}
    for _ in range(PASSES):
        pieces, read = [], 0
        for start, end, kind in sorted(_finds(label), key=lambda find: (find[0], -find[1], find[2])):
            if start >= read and wanted[kind]:
                digest = hashlib.sha256(label[start:end].encode("utf-8", "surrogatepass")).hexdigest()
                pieces += [label[read:start], f"<{kind}-{digest[:12]}>"]
                read = end
        if not pieces:
            break
        label = "".join([*pieces, label[read:]])
    return label


@functools.lru_cache(maxsize=1 << 12)
def cleaned(label: str, **wanted: bool) -> str:
    """Return `redacted` of a label from a dump: what only looks like a placeholder there is no longer one.

    >>> cleaned("/<EMAIL-243f9278e524>.py")
    '/(EMAIL-243f9278e524).py'
    """
    return redacted(PLACEHOLDER.sub(r"(\1-\2)", label), **wanted)


def all_cleaned(labels: Sequence[str | None], **wanted: bool) -> list[str | None]:
    """Return `cleaned` of each label; those in which no detector can find anything, most of them, are not read one by one.

    >>> all_cleaned(["/lib/heapq.py", None, "/contact-jane@corp.io.py"])
    ['/lib/heapq.py', None, '/<EMAIL-243f9278e524>.py']
    """
    distinct = [label for label in dict.fromkeys(labels) if label]
    if scan.HAS_HYPERSCAN:
        both = pa.array([*distinct, *(label.replace("_", " ") for label in distinct)], pa.large_string())
        hit = {row % len(distinct) for row, _ in scan.rows_with_hits(both, DETECTORS)}
        distinct = [label for row, label in enumerate(distinct) if row in hit or PLACEHOLDER.search(label)]
    changed = {label: cleaned(label, **wanted) for label in distinct}
    return [label and changed.get(label, label) for label in labels]


def aliases(label: str) -> set[str]:
    """Return all that a label may be called in a dataset, whatever a recipe says is redacted."""
    kinds = ("emails", "ip_addresses", "keys")
    chosen = (dict(zip(kinds, wanted, strict=True)) for wanted in itertools.product((True, False), repeat=len(kinds)))
    return {label, redacted(label), *(cleaned(label, **wanted) for wanted in chosen)}


def hidden(value: Any) -> Any:
    """Return plain data (mappings, sequences, texts) with each text redacted, for a view.

    >>> hidden({"files": [{"path": "/jane@corp.io", "rows": 2}]})
    {'files': [{'path': '/<EMAIL-3f550adfd0ae>', 'rows': 2}]}
    """
    if isinstance(value, dict):
        return {name: hidden(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(inside) for inside in value]
    return redacted(value) if isinstance(value, str) else value


def _finds(label: str) -> Iterator[tuple[int, int, str]]:
    """Yield the (start, end) and the kind of what the rules for texts find in a label; its extension is no part of an address."""
    mails: list[tuple[int, int]] = []
    for word in (found for found in WORD.finditer(label) if "@" in found.group()):
        (start, end), suffix = word.span(), ""
        ends: dict[int, int] = {}
        for _ in range(1 + SUFFIXES):
            for first, last in emails.find(label[start:end]):
                if start + first not in ends or emails.is_extension(suffix):
                    ends[start + first] = start + last
            if (dot := label.rfind(".", start, end)) == -1:
                break
            suffix, end = label[dot + 1 : end], dot
        mails += ends.items()
    # What a text's rules find for what stands before a word alone, as `//` of a comment.
    mails += [(a, b) for a, b in emails.find(label) if all(b <= start or end <= a for start, end in mails)]
    yield from ((*span, "EMAIL") for span in mails)
    yield from ((*span, "IP_ADDRESS") for span in addresses.find(label.replace("_", " ")))
    yield from ((start, end, "KEY") for start, end in keys.find(label))
