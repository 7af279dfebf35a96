"""Preference data: JSONL or Parquet, two responses to one prompt a row, of which one is preferred, in the forms that TRL takes.

| columns | what they are |
|---|---|
| `prompt`, `chosen`, `rejected` | three lists of `{role, content}`; or three texts, which no template goes around |
| `chosen`, `rejected` | two such lists, which begin alike, with the prompt (a text `prompt` beside them is not read) |

A row that is none of these is dropped with a reason, never guessed.
"""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from starmill.core.conversations import MOST_TURNS, Conversation, Turn, turns_of

NONE = "no_preference"


class Preference(NamedTuple):
    """Two conversations that begin alike; both say from which turn on the response is.

    >>> preference({"prompt": "1 + 1 = ", "chosen": "2", "rejected": "3"}).rejected.turns[1].content
    '3'
    """

    chosen: Conversation
    rejected: Conversation


def preference(row: Mapping[str, Any]) -> Preference | str:
    """Return the two responses of a row, or the reason why there are none."""
    if "chosen" not in row or "rejected" not in row:
        return NONE
    texts = tuple(row.get(name) for name in ("prompt", "chosen", "rejected"))
    if all(isinstance(text, str) for text in texts):
        asked, good, bad = (str(text) for text in texts)
        if not good or not bad:
            return "no_response"
        if good == bad:
            return "equal_responses"
        return Preference(*(Conversation((Turn("user", asked), Turn("assistant", told)), 1, True) for told in (good, bad)))
    chosen, rejected = turns_of(row["chosen"]), turns_of(row["rejected"])
    if not chosen or not rejected:
        return NONE
    if chosen == rejected:
        return "equal_responses"
    if isinstance(row.get("prompt"), list):
        before = turns_of(row["prompt"])
        chosen, rejected, first = (*before, *chosen), (*before, *rejected), len(before)
    else:
        first = len([*takewhile(lambda both: both[0] == both[1], zip(chosen, rejected, strict=False))])
    if not first:
        return NONE
    if max(len(chosen), len(rejected)) > MOST_TURNS:
        return "too_many_turns"
    for told in (chosen, rejected):
        if not any(turn.role == "assistant" and turn.content.strip() for turn in told[first:]):
            return "no_response"
    return Preference(Conversation(chosen, first), Conversation(rejected, first))
