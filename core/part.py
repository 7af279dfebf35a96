"""The reference to a part, as a stage plans it and its workers get it, and what a shard is said to hold: plain values without Beam."""

from dataclasses import dataclass
from typing import NamedTuple


class PartRef(NamedTuple):
    """One unit of work: the part's number, the key that its sidecar must carry, what the work needs to know of it, and which records
    steps leave out (core/skips.py).

    >>> PartRef(3, "key")._replace(plan="pages").plan
    'pages'
    """

    part: int
    key: str
    plan: str = ""
    skips: str = ""


@dataclass(frozen=True)
class Tokens:
    """Documents of one kind in a shard, and tokens of one language in them; `epoch`: the tokens, times the weights of their documents.

    A document counts in its own language, as do its tokens that are of no file.
    """

    kind: str
    language: str
    documents: int
    tokens: int
    epoch: float
