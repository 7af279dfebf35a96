"""A prompt needs a token, and room behind it."""

import pytest

from starmill.core.errors import UsageError
from starmill.model.prompts import refuse_prompts


def test_prompts() -> None:
    refuse_prompts([[1], [1, 2, 3]], 4)
    with pytest.raises(UsageError, match="a prompt has no tokens"):
        refuse_prompts([[1], []], 4)
    with pytest.raises(UsageError, match="a prompt of 4 tokens leaves no room in max_positions=4"):
        refuse_prompts([[1, 2, 3, 4]], 4)
