"""The recipe that ships has CommitPackFT's values, and its form is known by one key."""

import pytest

from starmill.alignment.commits.recipe import CommitsRecipe
from starmill.alignment.recipe import load
from starmill.core.recipe import RecipeError


def test_the_values_of_commitpackft() -> None:
    wanted = load("commitpackft", [])
    assert isinstance(wanted, CommitsRecipe)
    rules = wanted.rules
    assert (rules.min_tokens, rules.max_tokens) == (50, 768)
    # More than 10 and fewer than 1,000 characters, more than 4 and fewer than 1,000 words.
    assert (rules.min_chars, rules.max_chars, rules.min_words, rules.max_words) == (11, 999, 5, 999) and rules.capitalized


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("response=files", "response"),
        ("rules.max_words=2", "nothing is between"),
        ("rules.languages=[python]", "did you mean 'Python'"),
        ("model=a", "unknown key 'model'"),
    ],
)
def test_what_is_refused(override: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load("commitpackft", [override])
