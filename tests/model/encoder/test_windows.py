"""Windows cover every token once, with room on both sides of it, whatever the sizes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.model.encoder.windows import windows


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 5000), st.integers(2, 600), st.data())
def test_each_token_is_decided_once_by_a_window_that_holds_it(tokens: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    found = windows(tokens, size, overlap)
    assert [at for window in found for at in range(window.first, window.last)] == [*range(tokens)]
    for window in found:
        assert 0 <= window.start <= window.first < window.last <= window.end <= tokens
        assert window.end - window.start == min(size, tokens)
        assert window.first == 0 or window.first - window.start >= overlap // 2
        assert window.last == tokens or window.end - window.last >= overlap // 2
    assert len(found) <= tokens // (size - overlap) + 1


def test_an_overlap_as_large_as_the_window_is_refused() -> None:
    import pytest

    with pytest.raises(ValueError, match="overlap=4"):
        windows(10, 4, 4)
