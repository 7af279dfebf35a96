"""Labelled examples of our own: programs that seeds write, and the same with what makes them worse; and scores that are known."""

import json
from pathlib import Path
from typing import Any

from starmill.core import seeds

WORDS = "count total name value index table line result width column order parse read write limit".split()


def examples(count: int, of: str = "label") -> list[dict[str, Any]]:
    """Programs; good ones have documentation and long names, and their score is how much of both they have."""
    made = []
    for n in range(count):
        draw = seeds.generator(0, "labelled", n)
        share, lines, number, goods = float(draw.uniform()), [], 3 + int(draw.integers(8)), 0
        for f in range(number):
            first, second = (WORDS[int(draw.integers(len(WORDS)))] for _ in range(2))
            good = draw.uniform() < share
            goods += good
            lines += (
                [f"def {first}_{second}({first}):", f'    """Return the {second} of a {first}."""']
                if good
                else [f"def {first[0]}{f}(x):"]
            )
            lines += [f"    return {first if good else 'x'} + {int(draw.integers(99))}", ""]
        value: float | int = int(2 * goods > number) if of == "label" else round(goods / number, 3)
        made.append({"text": "\n".join(lines), of: value})
    return made


def write(place: Path, rows: list[dict[str, Any]]) -> str:
    """Write the lines of JSON; return the place as text."""
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(place)
