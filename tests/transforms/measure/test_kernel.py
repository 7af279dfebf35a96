"""Runs of encoded data against RE2 itself, which states the three kinds as patterns; characters and first lines against Python."""

import numpy as np
import pyarrow as pa
import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from starmill.transforms.buffers import text_buffers
from starmill.transforms.measure import kernel
from starmill.transforms.measure.text import _compiled

# As printed in StarCoder2's paper, section 2.1.
PATTERNS = (
    r"[a-zA-Z0-9+/\n=]{64,}",
    r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}",
    r"(?:\\u[0-9a-fA-F]{4}){8,}",
)
BYTES = re2.Options()
BYTES.encoding = re2.Options.Encoding.LATIN1
COMPILED = [re2.compile(p.encode(), BYTES) for p in PATTERNS]
# What the patterns are made of, what nearly matches, and what stops them.
PIECES = (
    *(
        "1f",
        "0x",
        "0x1f",
        ",",
        ", ",
        "\\x",
        "\\x1f",
        " ",
        "\n",
        "\t",
        "\v",
        "\r",
        "\f",
        "é",
        "漢",
        "ab",
        "g",
        "_",
        "0",
        "x",
        "\\",
        "\\u",
    ),
    *(
        "=",
        "/",
        "+",
        ".",
        ",,",
        "\\u00e9",
        "\\u00E9" * 8,
        "1f," * 7,
        "1f " * 7,
        "a" * 60,
        "12 34 56 78 9a bc de f0",
        "\\x12" * 8,
    ),
    *("0x12," * 8, "0x12" * 9, "A" * 63, "QUJD\n" * 13),
)


def measure(texts: list[bytes], first_lines: int = 5) -> np.ndarray:
    data, offsets = text_buffers(pa.array(texts, pa.binary()))
    out = np.full((len(texts), kernel.MEASURES), -1, np.int64)
    kernel.measure(data, offsets, *_compiled()[1], first_lines, out)
    return out


def by_re2(text: bytes) -> tuple[int, int]:
    lengths = [m.end() - m.start() for pattern in COMPILED for m in pattern.finditer(text)]
    return max(lengths, default=0), sum(lengths)


# Few kinds of pieces make long chains, many make broken ones.
pieces = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6, unique=True).flatmap(
    lambda some: st.lists(st.sampled_from(some), max_size=80)
)


@settings(max_examples=400, deadline=None)
@given(st.lists((pieces | st.lists(st.sampled_from(PIECES), max_size=60)).map("".join), min_size=1, max_size=20))
@example(["12,\\x34" * 8, "\\x12\\x34" * 8, "a\\x12" * 9, "12 " * 7 + "12", "12 " * 7 + "123", "0x1f\n\n \t" * 8 + "0xg"])
@example(["A" * 64, "A" * 63, "\n" * 64, "é" + "A" * 64 + "é", "1f," * 8 + "0x", "12 " * 8 + "\v"])
def test_runs_are_those_of_re2(texts: list[str]) -> None:
    encoded = [t.encode() for t in texts]
    found = measure(encoded)[:, [kernel.LONGEST_RUN, kernel.RUN_CHARS]]
    assert [tuple(row) for row in found] == [by_re2(t) for t in encoded]


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r a1é漢²Ⅷ\U0001d7d8")), st.integers(1, 4))
def test_characters_letters_and_first_lines(text: str, first_lines: int) -> None:
    data = text.encode()
    (row,) = measure([data], first_lines)
    assert row[kernel.CHARS] == len(text)
    assert row[kernel.LETTERS] == sum(map(str.isalpha, text))
    assert row[kernel.ALNUMS] == sum(map(str.isalnum, text))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    head = data[: row[kernel.HEAD]].decode().replace("\r\n", "\n").replace("\r", "\n")
    assert head == "\n".join(lines[:first_lines])


def test_texts_do_not_run_into_each_other() -> None:
    halves = [b"A" * 40, b"A" * 40, b"12 " * 4, b"12 " * 4, rb"\u00e9" * 4, rb"\u00e9" * 4, b"\r", b"\n"]
    assert not measure(halves)[:, kernel.RUN_CHARS].any()
    assert measure(halves)[-2:, kernel.LINES].tolist() == [1, 1]


@pytest.mark.parametrize(
    "unit", [b"12 " * 7 + b"g ", b"12" + b" " * 500, b"0x", rb"\u12", rb"\x12", b"A" * 63 + b"-", b"12,", b"\r", "漢".encode()]
)
def test_no_text_is_read_again_and_again(unit: bytes) -> None:
    """Three megabytes of what nearly matches take a moment; were the time quadratic, they would take hours."""
    text = unit * (3_000_000 // len(unit))
    assert tuple(measure([text])[0, [kernel.LONGEST_RUN, kernel.RUN_CHARS]]) == by_re2(text)
