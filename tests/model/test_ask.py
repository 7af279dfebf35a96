"""Values of a request, and what ends its row."""

import pytest

from starmill.core.errors import UsageError
from starmill.model.ask import Ask, Row


@pytest.mark.parametrize("ask", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_k": -1}, {"max_new_tokens": 0}])
def test_values_out_of_range_are_refused(ask: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="need"):
        Ask([1], **{"max_new_tokens": 4, **ask})  # type: ignore[arg-type]


def test_a_row_ends() -> None:
    row = Row(0, Ask([1], 9, stop_ids=frozenset({7}), stopped=lambda new: new[-2:] == [3, 4]), limit=4)
    assert [row.ends(token) for token in (3, 3, 7)] == [False, False, True] and row.new == [3, 3]
    assert row.ends(4) and row.new == [3, 3, 4], "a stop"
    assert row.ends(5), "the limit"


def test_a_draft_goes_on_from_the_prompt_and_ends_before_the_limit() -> None:
    row = Row(0, Ask([1, 2, 3, 4, 5, 6, 1, 2], 9), limit=5)
    row.new.append(3)
    assert [token for token, _ in row.draft(9)] == [4, 5, 6], "and one more token is drawn behind them"
    assert not row.ends(4) and [token for token, _ in row.draft(9)] == [5, 6]
    assert not row.ends(9) and row.draft(9) == []
