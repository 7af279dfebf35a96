"""Rows of the forms that TRL takes for preferences, read as TRL reads them, and the reasons for all that is none of them."""

from typing import Any

import pytest

from starmill.core.conversations import Conversation, Turn
from starmill.core.preferences import NONE, Preference, preference

ASKED = {"role": "user", "content": "Add 1."}
GOOD, BAD = ({"role": "assistant", "content": text} for text in ("x += 1", "x"))
TURN = Turn("user", "Add 1.")
PAIR = Preference(*(Conversation((TURN, Turn("assistant", text)), 1) for text in ("x += 1", "x")))
PLAIN = Preference(*(Conversation((TURN, Turn("assistant", text)), 1, True) for text in ("x += 1", "x")))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]}, PAIR),
        ({"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]}, PAIR),
        ({"prompt": "Add 1.", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]}, PAIR),
        ({"prompt": "Add 1.", "chosen": "x += 1", "rejected": "x", "score": 3}, PLAIN),
        ({"prompt": "Add 1.", "chosen": "x"}, NONE),
        ({"chosen": "Add 1. x += 1", "rejected": "Add 1. x"}, NONE),
        ({"prompt": "Add 1.", "chosen": "x", "rejected": ""}, "no_response"),
        ({"prompt": "Add 1.", "chosen": "x", "rejected": "x"}, "equal_responses"),
        ({"prompt": [ASKED], "chosen": [BAD], "rejected": [BAD]}, "equal_responses"),
        ({"prompt": [ASKED], "chosen": [GOOD], "rejected": []}, NONE),
        ({"prompt": [7], "chosen": [GOOD], "rejected": [BAD]}, NONE),
        ({"chosen": [GOOD], "rejected": [BAD]}, NONE),
        ({"prompt": [ASKED], "chosen": [GOOD], "rejected": [ASKED]}, "no_response"),
        ({"chosen": [ASKED, GOOD], "rejected": [ASKED]}, "no_response"),
        ({"prompt": [ASKED, GOOD] * 200, "chosen": [GOOD], "rejected": [BAD]}, "too_many_turns"),
    ],
)
def test_rows(row: dict[str, Any], expected: Preference | str) -> None:
    assert preference(row) == expected


@pytest.mark.slow
def test_the_prompt_is_the_one_that_trl_extracts() -> None:
    trl = pytest.importorskip("trl", reason="NOT RUN: trl, whose prompts are compared, is not here")
    row = {"chosen": [ASKED, BAD, ASKED, GOOD], "rejected": [ASKED, BAD, ASKED, BAD]}
    found = preference(row)
    assert isinstance(found, Preference) and found.chosen.first == len(trl.extract_prompt(row)["prompt"]) == 3
