"""Conversations of a workspace to token ids: which of them are responses, and why rows were left out.

Special tokens are those that the template writes. A text that holds one itself could end its turn and begin another: its row is dropped.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tokenizers

from starmill.core import conversations, seeds
from starmill.core.conversations import Conversation, conversation
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.core.preferences import preference
from starmill.core.tokenizer import Tokenizer
from starmill.model.template import Template

NO_ROOM = "no_response_in_sequence_length"


@dataclass(frozen=True, eq=False)
class Examples:
    """Conversations as ids one behind another: those of conversation i are [first[i], first[i + 1]) of `ids` and `answers`.

    `answers` is true for tokens to be learned; `names` are `file:row`.
    """

    names: tuple[str, ...]
    first: np.ndarray
    ids: np.ndarray
    answers: np.ndarray
    shards: tuple[()] = ()

    def __len__(self) -> int:
        """Return how many conversations there are."""
        return len(self.names)

    def of(self, number: int) -> slice:
        """Return where a conversation lies in `ids`."""
        return slice(int(self.first[number]), int(self.first[number + 1]))

    @property
    def tokens(self) -> int:
        """Tokens of all conversations."""
        return len(self.ids)

    def sizes(self, column: str) -> dict[str, int]:
        """Return the tokens of each value of `column`: there are no languages, and all are one kind."""
        return {"conversation": self.tokens} if column == "kind" else {}

    def named(self, number: int) -> list[str]:
        """Return the row that a conversation is."""
        return [self.names[number]]

    def chosen(self, mask: np.ndarray) -> "Examples":
        """Return the conversations where the mask is true."""
        sizes, each = np.diff(self.first), np.repeat(mask, np.diff(self.first))
        first = np.concatenate([[0], np.cumsum(sizes[mask])])
        names = tuple(name for name, kept in zip(self.names, mask, strict=True) if kept)
        return replace(self, names=names, first=first, ids=self.ids[each], answers=self.answers[each])


@dataclass(frozen=True)
class Read:
    """What was read: conversations, how many rows were dropped for each reason, the first of each, and the digest of the files."""

    examples: Examples
    dropped: dict[str, int]
    first: dict[str, str]
    digest: str

    def lines(self) -> list[str]:
        """Return for people what was dropped."""
        return [f"dropped    {count:,} rows: {why}, first {self.first[why]}" for why, count in sorted(self.dropped.items())]


class Encoder:
    """Text with a template's special tokens to ids."""

    def __init__(self, tokenizer: Tokenizer, template: Template, longest: int) -> None:
        """Keep what is needed; `longest` in tokens, what is beyond is cut off."""
        self._fast = tokenizers.Tokenizer.from_str(tokenizer.data.decode())
        self._fast.no_padding()
        self._fast.no_truncation()
        added = self._fast.get_added_tokens_decoder().values()
        special = [re.escape(token.content) for token in added if token.special]
        self._special = re.compile("|".join(special) or r"(?!)")
        self._template, self._longest = template, longest

    def encode(self, found: Conversation) -> tuple[list[int], list[bool]] | str:
        """Return ids and which are to be learned, or the reason why there are none."""
        if any(self._special.search(turn.content) for turn in found.turns):
            return "special_token_in_text"
        try:
            pieces = self._template.pieces(found)
        except InputError:
            return "refused_by_template"
        made = self._fast.encode("".join(text for text, _ in pieces), add_special_tokens=False)
        ends = np.cumsum([len(text) for text, _ in pieces])
        starts = np.array([start for start, _ in made.offsets], int)
        which = np.minimum(np.searchsorted(ends, starts, side="right"), len(pieces) - 1)
        answers = np.array([learned for _, learned in pieces], bool)[which][: self._longest]
        if not answers[1:].any():
            return NO_ROOM
        return made.ids[: self._longest], answers.tolist()


def read(
    workspace: Workspace, folder: str, tokenizer: Tokenizer, template: Template, longest: int, in_pairs: bool = False
) -> Read:
    """Read all conversations of a folder; `in_pairs`: the two of each preference, the chosen one first.

    Raises InputError where none is left, naming the first reasons.
    """
    digest, encoder = hashlib.sha256(tokenizer.data + template.text.encode()), Encoder(tokenizer, template, longest)
    ids: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    names: list[str] = []
    dropped: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name, row in _rows(workspace, folder, digest):
        found: Any = row if isinstance(row, str) else preference(row) if in_pairs else conversation(row)
        each = [found] if isinstance(found, str | Conversation) else [*found]
        made = [one if isinstance(one, str) else encoder.encode(one) for one in each]
        if why := next((one for one in made if isinstance(one, str)), None):
            dropped[why] += 1
            first.setdefault(why, name)
            continue
        for one in made:
            names.append(name)
            ids.append(np.array(one[0], np.int64))
            answers.append(np.array(one[1], bool))
    if not names:
        why = "; ".join(f"{reason}: {count:,} rows, first {first[reason]}" for reason, count in dropped.items()) or "no rows"
        raise InputError(f"{workspace.path(folder)}: no {'pair' if in_pairs else 'conversation'} to learn from ({why})")
    bounds = np.concatenate([[0], np.cumsum([len(one) for one in ids])])
    examples = Examples(tuple(names), bounds, np.concatenate(ids), np.concatenate(answers))
    return Read(examples, dict(dropped), first, digest.hexdigest())


def _rows(workspace: Workspace, folder: str, digest: "hashlib._Hash") -> Iterator[tuple[str, dict | str]]:
    for name in conversations.files(workspace, folder):
        data = workspace.read(name)
        digest.update(hashlib.sha256(data).digest())
        yield from conversations.rows(name, data)


def split(examples: Examples, held_out: float, seed: int, in_pairs: bool = False) -> tuple[Examples, Examples]:
    """Return (training, held-out) conversations, by a hash of each one's ids: equal conversations are on one side.

    Of pairs the prompt's ids are hashed: all pairs of a prompt are on one side.
    """
    mask = np.zeros(len(examples), bool)
    if held_out:
        for one in range(0, len(examples), 1 + in_pairs):
            here = examples.of(one)
            ids = examples.ids[here][: int(examples.answers[here].argmax())] if in_pairs else examples.ids[here]
            held = seeds.uniform(seed, "held_out", hashlib.sha256(ids.tobytes()).digest()) < held_out
            mask[one : one + 1 + in_pairs] = held
    return examples.chosen(~mask), examples.chosen(mask)
