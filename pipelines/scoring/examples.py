"""Labelled examples: lines of JSON with a text and a label (0 or 1, false or true) or a score (a number), also compressed.

Which examples are held out is a hash of the seed and the text, and they are sorted by such hashes: neither the order of lines or files
nor a copy of a text changes what is fitted, and no text is on both sides.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from starmill.core import seeds
from starmill.core.errors import InputError
from starmill.core.storage import named

TEXTS = ("text", "content")
VALUES = ("label", "score")
LONGEST = 1 << 28  # bytes of a line


@dataclass(frozen=True, order=True)
class Example:
    """A text with what a person or a model made of it; `place`, of a hash, is where it stands among all."""

    place: bytes
    value: float
    text: str
    is_held_out: bool


def read(places: Sequence[str], seed: int, held_out: float) -> tuple[str, list[Example]]:
    """Return what the examples have (label or score) and the examples, in an order that files and lines do not decide.

    Raises NotThere, InputError or MachineError, naming file and line.
    """
    found: list[Example] = []
    of = ""
    for place in places:
        for where, line in _lines(place):
            name, value, text = _parsed(line, where)
            if of and name != of:
                raise InputError(f"{where}: has a {name}, and the lines before have a {of}; give one of them on all lines")
            of = name
            held = seeds.uniform(seed, "score_held_out", text) < held_out
            found.append(Example(seeds.hashed(seed, "score_order", text, size=16), value, text, held))
    if not found:
        raise InputError(f'{", ".join(places)}: no example; give lines such as {{"text": ..., "label": 1}}')
    return of, sorted(found)


def _lines(place: str) -> Iterator[tuple[str, bytes]]:
    with named("EXAMPLES", place, mode="rb", compression="infer") as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise InputError(f"{place}:{number}: a line above {LONGEST:,} bytes; give one example a line")
            if line.strip():
                yield f"{place}:{number}", line


def _parsed(line: bytes, where: str) -> tuple[str, float, str]:
    try:
        row: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); give one example a line") from None
    if not isinstance(row, dict):
        raise InputError(f'{where}: not an object; give a line such as {{"text": ..., "label": 1}}')
    texts, values = ([name for name in names if row.get(name) is not None] for names in (TEXTS, VALUES))
    if len(texts) != 1 or not isinstance(row[texts[0]], str):
        raise InputError(f"{where}: one text is needed, as `text` or `content`; it has {_said(row)}")
    if len(values) != 1:
        raise InputError(f"{where}: one of `label` and `score` is needed; it has {_said(row)}")
    name, value = values[0], row[values[0]]
    if name == "label" and value not in (0, 1):
        raise InputError(
            f"{where}: label={value!r:.50} is none of 0, 1, false and true; a number of another range is a `score`"
        )
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e15:
        raise InputError(f"{where}: score={value!r:.50} is no number from -1e15 to 1e15")
    return name, float(value), row[texts[0]]


def _said(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} ({type(value).__name__})" for name, value in list(row.items())[:5]) or "nothing"
