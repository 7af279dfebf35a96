"""Instruction data: JSONL or Parquet, a conversation a row, in the forms that TRL and the published sets use.

| columns | what they are |
|---|---|
| `messages` | a list of `{role, content}`; every turn of the assistant is to be learned |
| `prompt`, `completion` | two such lists, of which the second is to be learned; or two texts, which no template goes around |
| `instruction`, `response` | two texts: a turn of the user and one of the assistant |

A row that is none of these is dropped with a reason, never guessed.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, one_line

ROLES = ("system", "user", "assistant")
MOST_TURNS = 256  # each turn of the assistant is rendered with all turns before it
SUFFIXES = (".jsonl", ".parquet")


@dataclass(frozen=True)
class Turn:
    """What one side says."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """Turns, of which those of the assistant from number `first` on are to be learned; `is_plain`: two texts without a template.

    >>> conversation({"instruction": "Add 1 to x.", "response": "x += 1"}).turns[1].content
    'x += 1'
    """

    turns: tuple[Turn, ...]
    first: int = 0
    is_plain: bool = False


def conversation(row: Mapping[str, Any]) -> Conversation | str:
    """Return the conversation of a row, or the reason why it is none."""
    if "messages" in row:
        found: Any = (turns_of(row["messages"]), 0)
    elif "prompt" in row and "completion" in row:
        before, after = row["prompt"], row["completion"]
        if isinstance(before, str) and isinstance(after, str):
            plain = (Turn("user", before), Turn("assistant", after))
            return Conversation(plain, 1, True) if after else "no_response"
        first, second = turns_of(before), turns_of(after)
        found = (first + second if first and second else (), len(first))
    elif "instruction" in row and "response" in row:
        texts = (row["instruction"], row["response"])
        found = (turns_of([{"role": r, "content": c} for r, c in zip(ROLES[1:], texts, strict=True)]), 0)
    else:
        return "no_conversation"
    turns, start = found
    if not turns:
        return "no_conversation"
    if len(turns) > MOST_TURNS:
        return "too_many_turns"
    if not any(turn.role == "assistant" and turn.content.strip() for turn in turns[start:]):
        return "no_response"
    return Conversation(turns, start)


def turns_of(value: Any) -> tuple[Turn, ...]:
    """Return the turns of a list of messages; none for what is no such list."""
    if not isinstance(value, list) or not value:
        return ()
    made = []
    for message in value:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
        if role not in ROLES or not isinstance(content, str):
            return ()
        made.append(Turn(role, content))
    return tuple(made)


def files(workspace: Workspace, folder: str) -> list[str]:
    """Return the files of a folder of the workspace that hold rows, sorted. Raises InputError where there are none."""
    try:
        found = sorted(name for name in workspace.files(folder) if name.endswith(SUFFIXES))
    except (FileNotFoundError, NotADirectoryError):
        found = []
    if not found:
        raise InputError(f"{workspace.path(folder)}: no .jsonl or .parquet in it; put the conversations there, one a row")
    return [f"{folder}/{name}" for name in found]


def rows(name: str, data: bytes) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Yield (`file:number`, row) of a file's bytes, or the reason why a line is no row. Raises InputError for a damaged Parquet file."""
    if name.endswith(".parquet"):
        try:
            number = 0
            for batch in pq.ParquetFile(io.BytesIO(data)).iter_batches(1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{name}:{number}", row
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{name}: no readable Parquet ({one_line(error)}); write it again") from None
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield f"{name}:{number}", row if isinstance(row, dict) else "no_json_object"
