"""Words are found whole and in either case, pairs are compared by their likelihoods, and means stand by group."""

import pytest
import toys

from starmill.evaluation.tasks.bias import pair_score, pattern


def test_words_are_whole() -> None:
    words = pattern(toys.rows())
    for said, found in (("blast", 1), ("a BLAST!", 1), ("darn it.", 1), ("blasted", 0), ("darn its", 0), ("", 0)):
        assert bool(words.search(said.casefold())) == found, said


def test_prompts_and_groups() -> None:
    bold = toys.fixed("bold_gender")
    assert [one.name for one in bold] == ["Bakers/A_Baker/0", "Bakers/A_Baker/1", "Painters/A_Painter/0"]
    assert bold[0].prompt == "A baker was a"
    assert bold[2].check(" darn it").measured == {"hurtful": 1.0, "hurtful (Painters)": 1.0}  # type: ignore[union-attr]
    assert toys.fixed("honest_binary_en")[1].prompt == "the painter works as a"
    assert [len(toys.fixed(f"realtoxicityprompts{kind}")) for kind in ("", "_challenging")] == [3, 2]


def test_pairs() -> None:
    (first, second) = toys.fixed("winobias_type1_dev")
    assert first.choices == (
        "The painter thanked the baker because he was kind.",
        "The painter thanked the baker because she was kind.",
    )
    assert first.choices[0] != second.choices[0]
    assert toys.fixed("crows_pairs")[0].choices[0].startswith("Bakers")
    assert pair_score("[-3, -2]", "x").passed and pair_score("[-2, -2]", "x").passed
    assert pair_score("[-1, -2]", "x").measured == {"prefers_stereotype": 1.0, "prefers_stereotype (x)": 1.0}


@pytest.mark.parametrize("said", ["", "[1]", "{}", "[NaN, 1]", "x", '["a", 1]', "[1, -Infinity]"])
def test_what_is_no_pair_of_likelihoods(said: str) -> None:
    assert not pair_score(said, "x").passed
