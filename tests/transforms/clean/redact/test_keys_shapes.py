"""The table of shapes: 2,000 draws of each are found whole; its language; anchors and borders by Python's own patterns."""

import random
import re

import pyarrow as pa
import pytest

from starmill.transforms.clean.redact import Redact, keys, keys_shapes, scan
from starmill.transforms.clean.redact.keys_shapes import TABLE, Shape, anchored, assigned, draw, shapes
from starmill.transforms.clean.redact.redact import DETECTORS

DRAWS = 2000


def drawn(shape: Shape, rng: random.Random, count: int) -> list[tuple[str, str, str]]:
    """Return what stands before a secret, the secret, and what stands behind it."""
    found = []
    word = shape.near.pattern.decode().removeprefix("(?i)").split("|")[0] if shape.near else ""
    for _ in range(count):
        text = draw(shape, rng).decode()
        match = shape.pattern.fullmatch(text.encode())
        assert match, text
        start, end = match.span(1) if shape.pattern.groups else match.span()
        before, after = (
            (f"{word}_token: '", "'") if word else rng.choice((("x = '", "'"), ("- ", ""), ("(", "),"), ("see ", " there")))
        )
        found.append((before + text[:start], text[start:end], text[end:] + after))
    return found


def missed(shape: Shape, count: int) -> list[str]:
    """Return the lines in which not just the whole secret is found."""
    cases = drawn(shape, random.Random(count), count)
    text, wanted = "", {}
    for before, secret, after in cases:
        start = len(text) + len(before)
        text += f"{before}{secret}{after}\n"
        wanted[start, start + len(secret)] = f"{before}{secret}{after}"
    [(_, [hits])] = scan.rows_with_hits(pa.array([text]), [DETECTORS["keys"]])
    found = {*keys.judge(text.encode(), hits)}
    return [line for span, line in wanted.items() if span not in found]


def test_draws_of_each_shape_go_whole() -> None:
    wrong = {shape.pattern.pattern: found for shape in shapes() if (found := missed(shape, 25))}
    assert sum(map(len, wrong.values())) <= 0.01 * 25 * len(shapes()) and all(len(found) <= 3 for found in wrong.values()), (
        wrong
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(0, len(shapes()), 24))
def test_of_two_thousand_draws_of_a_shape_nearly_all_go_whole(number: int) -> None:
    for shape in shapes()[number : number + 24]:
        wrong = missed(shape, DRAWS)
        assert len(wrong) <= 0.02 * DRAWS, (shape.issuer, wrong[:3])


def test_the_table() -> None:
    assert len(shapes()) >= 150 and len({s.pattern.pattern for s in anchored()}) == len(anchored())
    assert {*anchored()} | {*assigned()} == {*shapes()}
    for shape in shapes():
        assert shape.source.startswith(("https://", "gitleaks ")), shape.issuer
        assert shape.near or len(shape.literal) >= 1 or shape.atoms[0].choices, shape.issuer


def test_no_example_stands_in_the_table() -> None:
    assert Redact().redact(TABLE.read_text(), "f")[1] == []


def test_anchors_match_inside_each_match_within_reach() -> None:
    rng = random.Random(5)
    for shape in anchored():
        anchor = re.compile(shape.anchor, re.DOTALL)
        for _ in range(20):
            text = draw(shape, rng)
            match = anchor.search(text)
            assert match and match.end() <= shape.reach <= shape.longest and len(text) <= shape.longest, (shape.issuer, text)
            assert shape.literal in text


def shape_of(pattern: str, **row: str) -> Shape:
    return keys_shapes._shape(issuer="A", source="gitleaks a", pattern=pattern, **row)


def test_the_language_of_patterns() -> None:
    rng = random.Random(1)
    for pattern in (
        r"a\.b[0-9a-f]{2,4}",
        "x(?:a|bc){2}[A-Z-]?",
        "pre=([a-c]{3})",
        "(?:[0-9]{2}-)?end[a-z]{1}",
        r"[\]x]"[:0] + "t",
    ):
        shape, oracle = shape_of(pattern), re.compile(pattern.encode())
        for _ in range(200):
            text = draw(shape, rng)
            assert oracle.fullmatch(text) and shape.pattern.fullmatch(text), (pattern, text)
            cut = text[: rng.randint(0, len(text))]
            assert bool(oracle.fullmatch(cut)) == bool(shape.pattern.fullmatch(cut)), (pattern, cut)
    with pytest.raises(ValueError, match="a bracket stays open"):
        shape_of("a(?:b|c")
    with pytest.raises(ValueError, match="a bracket closes at 1"):
        shape_of("a)b")
    with pytest.raises(KeyError):
        shape_of("a", check="no such check")


def test_a_secret_ends_where_letters_do() -> None:
    shape = shape_of("ab_[a-z]{3,5}")
    assert shape.pattern.search(b"xab_abc") is None and shape.pattern.search(b"ab_abcdef") is None, "longer than the longest"
    assert shape.pattern.search(b"_ab_abc_").group() == b"ab_abc"  # type: ignore[union-attr]
    assert shape.skip == 3 and not shape.mixed and shape_of("ab[A-Za-z]{9}").mixed


def test_rows_without_secrets_are_not_decoded() -> None:
    assert list(Redact().finds(pa.array(["x = 1", "", None]))) == []
