"""Names and ranges that an option may hold: a type says which, and core/recipe.py refuses any other.

keep: tuple[Language, ...] = ()
rate: Share = 0.5
"""

import difflib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Annotated

import msgspec

# Every number has both ends: what is above is a slip of units or of a finger, and would fill a memory or a day before it fails.
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
ShareBelow1 = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
AtLeast0 = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
AtLeast1 = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Bytes = Annotated[int, msgspec.Meta(ge=1, le=1 << 50)]
BytesAtOnce = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]  # that one column of a block holds
Seconds = Annotated[int, msgspec.Meta(ge=1, le=3600)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[\w.-]{1,100}\Z", description="a name of letters, digits, dots and dashes")]
# No lone surrogates: such a name can neither be printed nor stored.
PRINTABLE = r"^(?=.*\S)[^\x00-\x1f\x7f\ud800-\udfff]{1,4096}\Z"
Words = Annotated[str, msgspec.Meta(pattern=PRINTABLE, description="text: not empty, without control characters")]
Place = Annotated[
    str,
    msgspec.Meta(
        pattern=PRINTABLE,
        description="a file, folder or URL: not empty, without control characters",
    ),
]


@dataclass(frozen=True)
class OneOf:
    """Marks a text as a name out of a list: `Annotated[str, OneOf("language", languages)]`.

    >>> OneOf("language", languages).names()[:2]
    ('1C Enterprise', '2-Dimensional Array')
    """

    noun: str
    names: Callable[[], tuple[str, ...]]


def span(limits: msgspec.Meta) -> str:
    """Return the range of a number in words, or nothing where it has not both ends.

    >>> span(msgspec.Meta(ge=1, le=4096)), span(msgspec.Meta(gt=0, lt=1))
    ('from 1 to 4,096', 'above 0 and below 1')
    """
    low, high = (limits.ge if limits.gt is None else limits.gt), (limits.le if limits.lt is None else limits.lt)
    if low is None or high is None:
        return ""
    ends = [f"{end:,}" if isinstance(end, int) else f"{end:,g}" for end in (low, high)]
    joint = " to " if limits.gt is None and limits.lt is None else " and below " if limits.le is None else " and at most "
    return f"{'above' if limits.ge is None else 'from'} {ends[0]}{joint}{ends[1]}"


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the names that the classifier gives, sorted: linguist's, of the pinned release (transforms/measure/enry/tables.py).

    >>> "Python" in languages(), "python" in languages()
    (True, False)
    """
    return tuple(resources.files("starmill.core").joinpath("data/languages.txt").read_text("utf-8").splitlines())


Language = Annotated[str, OneOf("language", languages)]


def did_you_mean(name: object, names: Iterable[str], cutoff: float = 0.5) -> str:
    """Return `; did you mean 'Python'?` with the name that is nearest, or nothing where none is near; case does not count.

    >>> did_you_mean("pyton", ["Python", "C"])
    "; did you mean 'Python'?"
    """
    table = {n.lower(): n for n in names}
    near = difflib.get_close_matches(str(name).lower(), table, n=1, cutoff=cutoff)
    return f"; did you mean '{table[near[0]]}'?" if near else ""
