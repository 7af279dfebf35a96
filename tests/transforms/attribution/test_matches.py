"""What two texts share, against a search without any hash; edited stretches are joined."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.attribution.matches import regions
from starmill.transforms.attribution.squash import Squashed

CODE = "".join(f"value_{i} = compute({i}, factor={i * i})  # é漢\n" for i in range(60))


def longest_at(asked: str, text: str, at: int) -> int:
    """Return how many characters from `at` on stand somewhere in a text."""
    size = 0
    while at + size < len(asked) and asked[at : at + size + 1] in text:
        size += 1
    return size


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1500), st.integers(1, 200)), max_size=6), st.text("xy é", max_size=60))
def test_stretches_are_equal_maximal_and_complete(cuts: list[tuple[bool, int, int]], other: str) -> None:
    asked = Squashed.of("".join(CODE[a : a + n] if ours else other for ours, a, n in cuts))
    text = Squashed.of(CODE)
    mine, whole = bytes(asked.data), bytes(text.data)
    exact = [r for r in regions(asked, text) if r.similarity == 1 and mine[r.start : r.end] == whole[r.file_start : r.file_end]]
    covered = set()
    for r in exact:
        mine[r.start : r.end].decode()  # whole characters
        assert len(mine[r.start : r.end].decode()) >= 50
        left, right = (
            (mine[r.start - 1 : r.end], whole[r.file_start - 1 : r.file_end]) if r.start and r.file_start else (b"a", b"b")
        )
        assert left != right or r.start == 0, "it could not begin earlier"
        covered |= {*range(r.start, r.end)}
    said = mine.decode()
    for at in range(len(said) - 49):
        if said[at : at + 50] in whole.decode():
            start, end = len(said[:at].encode()), len(said[: at + 50].encode())
            assert {*range(start, end)} <= covered


def test_edits_join_what_they_part() -> None:
    edited = CODE[:300] + "X" + CODE[301:420] + CODE[423:700]
    asked, text = Squashed.of(edited), Squashed.of(CODE)
    joined = [r for r in regions(asked, text) if r.similarity < 1]
    assert len(joined) == 1 and joined[0].end - joined[0].start == len(asked.data)
    longer = joined[0].file_end - joined[0].file_start
    assert round((1 - joined[0].similarity) * longer) == 4, "one letter changed, three taken out"


def test_a_text_without_anything_in_common_has_no_region() -> None:
    assert regions(Squashed.of("y" * 500), Squashed.of(CODE)) == regions(Squashed.of(""), Squashed.of(CODE)) == []
    assert regions(Squashed.of(CODE), Squashed.of("short")) == []


@pytest.mark.parametrize("text", ["0" * 200_000, "ab" * 100_000, "0, " * 70_000], ids=["zeros", "pairs", "lists"])
def test_what_repeats_itself_takes_linear_time(text: str) -> None:
    # A quadratic loop would take hours.
    found = regions(Squashed.of(text), Squashed.of(text[1:] + "z" + text))
    assert found[0].end - found[0].start >= len(text) - 60
