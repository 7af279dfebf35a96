"""The process in which ScanCode runs: it answers each request, a JSON line, with one JSON line, and ends at the end of its input.

The index is loaded with the garbage collector off and then frozen: 2.5 s of CPU time instead of 6. The first step of approximate matching
compares a text with each of 37,000 rules; here an inverted index counts the common words of all rules at once, and ScanCode's own code
judges those that its own conditions let through. The matches are the same (tests/transforms/measure/test_scancode_child.py).
"""

import functools
import gc
import sys
from collections.abc import Callable
from typing import Any

from starmill.transforms.measure import scancode_quick
from starmill.transforms.measure.matches import KINDS

MOST_MATCHES = 500  # of a text


def shut_out_archives() -> None:
    """Keep ScanCode from loading its archive library, which wants libgomp: a bare machine has none, and texts come as strings."""
    sys.modules["extractcode.archive"] = None  # type: ignore[assignment]


def loaded() -> Callable[..., Any]:
    """Load ScanCode and its index; return its `detect_licenses`. Raises what ScanCode raises, and RuntimeError where it finds nothing."""
    shut_out_archives()
    gc.disable()
    from licensedcode.cache import get_index
    from licensedcode.detection import detect_licenses

    scancode_quick.quicken(get_index())
    # A library that does not fit (pluggy 1.7) starts, and fails on every text.
    if not list(detect_licenses(query_string="SPDX-License-Identifier: MIT", approximate=False)):
        raise RuntimeError("it does not find a licence in `SPDX-License-Identifier: MIT`")
    gc.freeze()
    gc.enable()
    return detect_licenses


def found(detect: Callable[..., Any], licensing: Any, text: str, exact: bool) -> dict[str, Any]:
    """Return the identifiers in a text and its matches, as `matches.Match` has them; `exact` skips approximate matching."""
    licenses: set[str] = set()
    matches: dict[tuple[Any, ...], None] = {}
    for detection in detect(query_string=text, **({"approximate": False} if exact else {})):
        if detection.license_expression_spdx:
            licenses.update(licensing.license_keys(detection.license_expression_spdx))
        for match in detection.matches:
            rule = match.rule
            kind = next((kind for kind in KINDS if getattr(rule, f"is_license_{kind}", False)), "clue")
            said = (match.score(), match.coverage(), match.len(), match.start_line, match.end_line)
            matches[_spdx(rule.license_expression), kind, match.matcher, *map(_plain, said)] = None
    return {"licenses": sorted(licenses), "matches": most_telling(list(matches))}


def most_telling(matches: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return as many matches as an answer has, in their order; of each expression and kind the strongest come first.

    Hundreds of notices of one licence would else leave no place for another one that stands behind them.
    """
    if len(matches) <= MOST_MATCHES:
        return matches
    turns: dict[tuple[Any, ...], int] = {}
    turn_of = {}
    for match in sorted(matches, key=lambda m: (-m[3], -m[5])):  # score, words
        turn_of[match] = turns[match[:3]] = turns.get(match[:3], -1) + 1
    kept = set(sorted(matches, key=lambda match: turn_of[match])[:MOST_MATCHES])
    return [match for match in matches if match in kept]


@functools.lru_cache(maxsize=1 << 15)
def _spdx(expression: str) -> str:
    from licensedcode.cache import build_spdx_license_expression, get_cache

    return str(build_spdx_license_expression(expression, licensing=get_cache().licensing))


def _plain(number: Any) -> float | int:
    return int(number) if float(number).is_integer() else round(float(number), 2)
