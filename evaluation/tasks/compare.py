"""How EvalPlus (Liu et al. 2023) compares an answer with the canonical solution's: this module's text begins the tests of its tasks.

It is executed where the tests are, so it needs the standard library alone. Where `numpy.allclose` is the rule there, the same bound is
computed here: |out - expected| <= atol + 1e-7 * |expected|, number by number.
"""

import copy
import math
from typing import Any

# Entry points whose answers no equality can judge, with the rule.
SETS = {
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum", "intersection_array",
    "find_dissimilar", "Diff",
}  # fmt: skip
FOUND_OR_NOT = {"check_str", "text_match_three", "text_starta_endb"}  # a match, or None


def close(out: Any, expected: Any, atol: float) -> bool:
    """Say whether two answers are of one type and shape, and their numbers as close as the bound says.

    >>> close([1.0, 2.0], [1.0, 2.0000001], 1e-6), close([1.0], (1.0,), 1e-6), close("1", 1, 1e-6)
    (True, False, False)
    """
    return type(out) is type(expected) and _near(out, expected, atol)


def _near(out: Any, expected: Any, atol: float) -> bool:
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(out, (list, tuple)) and len(out) == len(expected) and all(map(_near, out, expected, [atol] * len(out)))
        )
    if not isinstance(expected, (int, float, complex)) or not isinstance(out, (int, float, complex)):
        return False
    return out == expected or abs(out - expected) <= atol + 1e-7 * abs(expected)


def floats(value: Any) -> bool:
    """Say whether a value is a float, or a list or tuple of nothing but floats.

    >>> floats(1.0), floats((1.0, 2.0)), floats([]), floats([1])
    (True, True, False, False)
    """
    return isinstance(value, float) or (
        isinstance(value, (list, tuple)) and bool(value) and all(isinstance(v, float) for v in value)
    )


def right(name: str, arguments: list[Any], out: Any, expected: Any, atol: float) -> bool:
    """Say whether `out` is a right answer of the function `name`, whose canonical solution answers `expected`."""
    if name == "find_zero":
        return abs(sum(factor * math.pow(out, power) for power, factor in enumerate(arguments[0]))) <= atol
    if name in SETS:
        return set(out) == set(expected)
    if name in FOUND_OR_NOT:
        there = out if isinstance(out, bool) else out is not None
        return there == (expected is not None)
    if name == "surface_Area":
        edge, height = arguments
        if abs(out - round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))) <= atol:
            return True
    if name == "digit_distance_nums":
        a, b = map(str, arguments)
        width = max(len(a), len(b))
        if out == sum(abs(int(x) - int(y)) for x, y in zip(a.zfill(width), b.zfill(width), strict=True)):
            return True
    if out == expected:
        return True
    atol = 1e-6 if atol == 0 and floats(expected) else atol
    return atol != 0 and close(out, expected, atol)


def check_all(name: str, candidate: Any, reference: Any, inputs: list[list[Any]], atol: float) -> None:
    """Raise AssertionError unless the candidate answers each input as the reference does."""
    for number, arguments in enumerate(inputs):
        expected = reference(*copy.deepcopy(arguments))
        out = candidate(*copy.deepcopy(arguments))
        assert right(name, arguments, out, expected, atol), f"input {number}"
