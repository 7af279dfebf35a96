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

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
ShareBelow1 = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
AtLeast0 = Annotated[int, msgspec.Meta(ge=0)]
AtLeast1 = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True)
class OneOf:
    """Marks a text as a name out of a list: `Annotated[str, OneOf("language", languages)]`.

    >>> OneOf("language", languages).names()[:2]
    ('1C Enterprise', '2-Dimensional Array')
    """

    noun: str
    names: Callable[[], tuple[str, ...]]


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the names that the classifier gives, sorted: linguist's, as go-enry has them (transforms/measure/enry/names.py).

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
