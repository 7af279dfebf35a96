"""The reference to a part, as a stage plans it and its workers get it: plain values, so that a recipe can be read without Beam."""

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
