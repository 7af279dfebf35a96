"""What is read together: all that fits, the first always, little padding, and no long look at a long queue."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from starmill.model.waiting import FEW, PADDED, PASSED, together


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 20))
def test_little_of_what_is_read_is_padding(drawn: list[tuple[int, int]], most: int) -> None:
    prompts = [[token] * length for length, token in drawn]
    taken = together(prompts, most)
    read = {tuple(prompts[at]) for at in taken}
    assert taken[0] == 0 and taken == sorted({*taken}) and len(taken) <= most
    assert len(read) * max(map(len, read)) <= PADDED * sum(map(len, read)) + FEW or len(read) == 1
    if len(taken) < most:
        last = (at for at, prompt in enumerate(prompts) if tuple(prompt) in read)
        assert {*last} <= {*taken} | {*range(max(taken))}, "equal prompts behind all others go too"


def test_prompts_of_one_length_go_in_order() -> None:
    assert together([[at] * 50 for at in range(9)], 4) == [0, 1, 2, 3]
    assert together([[7, 8]] * 5, 16) == [0, 1, 2, 3, 4]


def test_of_a_long_queue_the_beginning_is_looked_at() -> None:
    seen = count()
    assert together(([0] * (10_000 if next(seen) else 10) for _ in range(10**6)), 8) == [0]
    assert next(seen) == PASSED + 2
