"""Guesses are what followed the last tokens before; how many are read is what makes the most tokens per time."""

import random

import pytest

from starmill.model import drafts
from starmill.model.drafts import CHANCES, Lookup, width


def looked_up(tokens: list[int]) -> int | None:
    """The place of the next guess by its definition, read from the front."""
    at = None
    for end in range(1, len(tokens) + 1):
        if at is not None:
            at = at + 1 if tokens[at] == tokens[end - 1] else None
        for span in drafts.SPANS:
            if at is None and end >= span:
                earlier = [e for e in range(span, end) if tokens[e - span : e] == tokens[end - span : end]]
                at = max(earlier, default=None)
    return at


@pytest.mark.parametrize("alphabet", [2, 5, 40])
def test_guesses_follow_what_stood_before(alphabet: int) -> None:
    draws, lookup, tokens, some = random.Random(alphabet), Lookup(), list[int](), 0
    for _ in range(300):
        repeats = len(tokens) > 20 and draws.random() < 0.1
        for token in tokens[3:15] if repeats else [draws.randrange(alphabet)]:
            tokens.append(token)
            lookup.push(token)
        at, guesses = looked_up(tokens), [token for token, _ in lookup.draft(6)]
        some += bool(guesses)
        assert guesses == ([] if at is None else ([*tokens, *guesses])[at : at + 6])
    assert some > 30


def test_a_draft_repeats_what_it_guesses() -> None:
    lookup = Lookup()
    for token in [1, 2, 3] * 2 + [1]:
        lookup.push(token)
    assert [token for token, _ in lookup.draft(8)] == [2, 3, 1, 2, 3, 1, 2, 3]
    assert lookup.draft(0) == [] and Lookup().draft(5) == []


def test_chances_are_of_all_up_to_a_guess_and_learn() -> None:
    lookup = Lookup()
    for token in [1, 2, 3, 4, 5, 6, 7, 1, 2]:
        lookup.push(token)
    first, second = (chance for _, chance in lookup.draft(2))
    assert first == CHANCES[2] and second == pytest.approx(CHANCES[2] * CHANCES[3])
    for token in [3, 50, 1, 2]:  # one right, then one wrong
        lookup.push(token)
    (_, learned), (_, both) = lookup.draft(2)
    assert learned > CHANCES[2] and both / learned < CHANCES[3]


def test_a_text_that_repeats_itself_no_more_soon_has_no_guesses_read_until_it_does() -> None:
    lookup, draws, read = Lookup(), random.Random(1), list[int]()
    for at in range(3000):  # pairs come again, and what follows them does not
        lookup.push(draws.randrange(20))
        if at >= 1500:
            read.append(width([lookup.draft(15)]))
    assert sum(map(bool, read)) < 0.02 * len(read)
    for token in [1, 2, 3, 4] * 20:
        lookup.push(token)
    assert width([lookup.draft(15)]) > 3


def test_so_many_are_read_as_make_the_most_tokens() -> None:
    draws = random.Random(2)
    for _ in range(500):
        rows = [
            [(0, chance) for chance in sorted((draws.random() for _ in range(draws.randrange(16))), reverse=True)]
            for _ in range(draws.randrange(1, 20))
        ]

        def rate(guesses: int, rows: list[list[tuple[int, float]]] = rows) -> float:
            tokens = sum(1 + sum(chance for _, chance in row[:guesses]) for row in rows)
            return float(tokens / (len(rows) * (1 + guesses)) ** drafts.POWER)

        assert rate(width(rows)) == pytest.approx(max(map(rate, range(max(map(len, rows)) + 1))))
