"""YAML's traps: double keys, alias bombs, knots, tags, dates and numbers."""

import pytest

from starmill.core import values

BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "^key 'a' is there twice, in line 1 and in line 3; keep one$"),
        ("s:\n  t: {}\n  u:\n    - k: 1\n      k: 1\n", r"^key 's\.u\[0\]\.k' is there twice, in line 4 and in line 5"),
        ("{a: 1, a: 2}", "key 'a' is there twice"),
        (BOMB, r"aliases \(\*\) expand to more than 10,000"),
        (
            BOMB.replace("[x]", "{x: 1}").replace("[*", "{<<: [*").replace("]\n", "]}\n").replace("[x]}", "[x]"),
            "expand to more",
        ),
        ("a: &a [*a]", "is inside itself"),
        ("a: &a {b: *a}", r"'a\.b' is inside itself"),
        ("[" * 2000, "more than 50 brackets"),
        ("- " * 2000, "nested too deep"),
        ("a: [" + "1," * 20_000, "more than 10,000 values"),
        ("a: 0x" + "f" * 50_000, "line 1: .a. is a number of 50,002 characters"),
        ("#" * 500_000, "a recipe has at most 400,000"),
        ("a: !!set {b, c}", "'a' is tagged !!set"),
        ("a: !!python/object:os.system x", "is tagged !!python"),
        ("a: !!bool x", "does not fit its value"),
        ("a: [", "not readable as YAML"),
        ("a: !!int x", "invalid literal"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        values.parse(text)


@pytest.mark.parametrize("text", ["3e-4", "3E-4", "3.e-4", "+3e-4", ".3e-3", "3.0e-4", "0.0003"])
def test_numbers_as_people_write_them(text: str) -> None:
    assert values.parse(f"a: {text}") == {"a": 3e-4}


def test_what_is_no_number_or_date_stays_text() -> None:
    given = {
        "a: '3e-4'": "3e-4",
        "a: 2026-01-01": "2026-01-01",
        "a: e4": "e4",
        "a: 1e": "1e",
        "a: 3e-4x": "3e-4x",
        "a: 010": "010",
        "a: 1:30": "1:30",
    }
    assert {text: values.parse(text)["a"] for text in given} == given
    assert values.parse("a: 12") == {"a": 12} and values.parse("") is None


def test_aliases_and_merges_work() -> None:
    assert values.parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
    }
