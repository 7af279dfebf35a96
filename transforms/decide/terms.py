"""Which licences are permissive: a dated list of identifiers, and expressions of SPDX evaluated by it.

`OR` is a choice, so one permissive side is enough; `AND` means both; `WITH` is one thing: a permissive licence with an exception of the
list. Identifiers that say nothing about the terms (an agreement of contributors, a disclaimer) count for nothing. A list of somebody
else's may be one identifier a line, or Blue Oak Council's `index.json`, whose ratings are its keys.
"""

import difflib
import functools
import json
from importlib import resources

from license_expression import AND, OR, ExpressionError, LicenseWithExceptionSymbol, Licensing

from starmill.transforms.measure.declared import spdx

# Found, but saying nothing about the terms (The Stack v2's list of neutral references).
NEUTRAL = frozenset(
    f"LicenseRef-scancode-{n}"
    for n in (
        "dco-1.1 generic-cla google-cla jetty-ccla-1.1 newton-king-cla generic-exception generic-export-compliance generic-tos "
        "generic-trademark warranty-disclaimer"
    ).split()
)
UNKNOWN_REFERENCE = "LicenseRef-scancode-unknown-license-reference"
OLD = "+"  # GPL-2.0+, as it was written before GPL-2.0-or-later
PLAIN = Licensing()


@functools.lru_cache(maxsize=1)
def permissive_licenses() -> frozenset[str]:
    """Return the identifiers in data/permissive.txt: licences and exceptions."""
    text = resources.files("starmill.transforms.decide").joinpath("data/permissive.txt").read_text("utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))


def listed(text: str) -> frozenset[str]:
    """Return the identifiers of a list: one a line, `#` begins a remark; or Blue Oak Council's ratings as JSON.

    Raises ValueError for JSON of another form, and for a line that is no identifier of SPDX or of ScanCode.
    """
    if text.lstrip().startswith(("{", "[")):
        found = json.loads(text)
        ratings = found.get("ratings", found) if isinstance(found, dict) else found
        try:
            return frozenset(one["id"] for rating in ratings for one in rating["licenses"])
        except (KeyError, TypeError):
            raise ValueError('a list as JSON is Blue Oak Council\'s: [{"name": ..., "licenses": [{"id": ...}]}]') from None
    lines = [line.partition("#")[0].strip() for line in text.split("\n")]
    known = _known()
    for line in (line for line in lines if line and line not in known):
        near = difflib.get_close_matches(line, known, n=1, cutoff=0.0)
        raise ValueError(f"{line!r} is no identifier of a licence; the nearest is {near[0]}")
    return frozenset(line for line in lines if line)


@functools.lru_cache(maxsize=1)
def _known() -> dict[str, None]:
    """Return all identifiers of licences and exceptions, today's and former ones, in the order of the alphabet."""
    symbols = spdx().known_symbols
    return dict.fromkeys(sorted({*symbols, *(alias for symbol in symbols.values() for alias in symbol.aliases)}))


@functools.lru_cache(maxsize=1 << 14)
def is_permissive(expression: str, allowed: frozenset[str]) -> bool | None:
    """Return whether an SPDX expression lets everybody use a text; None where it says nothing about that.

    >>> some = frozenset({"MIT", "Apache-2.0", "LLVM-exception"})
    >>> [is_permissive(e, some) for e in ("MIT OR GPL-2.0-only", "MIT AND GPL-2.0-only", "Apache-2.0 WITH LLVM-exception")]
    [True, False, True]
    """
    try:
        return _value(PLAIN.parse(expression), allowed)
    except (ExpressionError, ValueError, RecursionError):
        return False


@functools.lru_cache(maxsize=1 << 14)
def identifiers(expression: str) -> frozenset[str]:
    """Return the licences that an expression names, without what tells `-only` from `-or-later`; empty where it does not parse."""
    try:
        keys = PLAIN.license_keys(expression)
    except (ExpressionError, ValueError, RecursionError):
        return frozenset()
    return frozenset(key.removesuffix("-only").removesuffix("-or-later").removesuffix(OLD) for key in keys)


def _value(parsed: object, allowed: frozenset[str]) -> bool | None:
    if isinstance(parsed, OR | AND):
        values = [value for one in parsed.args if (value := _value(one, allowed)) is not None]
        if not values:
            return None
        return any(values) if isinstance(parsed, OR) else all(values)
    if isinstance(parsed, LicenseWithExceptionSymbol):
        return parsed.license_symbol.key in allowed and parsed.exception_symbol.key in allowed
    key = str(getattr(parsed, "key", ""))
    return None if key in NEUTRAL else key in allowed
