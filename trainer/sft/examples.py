"""Conversations of a workspace to token ids: which of them are responses, and why rows were left out.

Special tokens are those that the template writes. A text that holds one itself could end its turn and begin another: its row is dropped.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import tokenizers

from starmill.core import conversations, seeds
from starmill.core.conversations import Conversation
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
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


def read(workspace: Workspace, folder: str, tokenizer: Tokenizer, template: Template, longest: int) -> Read:
    """Read all conversations of a folder. Raises InputError where none is left, naming the first reasons."""
    digest, encoder = hashlib.sha256(tokenizer.data + template.text.encode()), Encoder(tokenizer, template, longest)
    ids: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    names: list[str] = []
    dropped: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name, row in _rows(workspace, folder, digest):
        found = row if isinstance(row, str) else conversations.conversation(row)
        made = found if isinstance(found, str) else encoder.encode(found)
        if isinstance(made, str):
            dropped[made] += 1
            first.setdefault(made, name)
            continue
        names.append(name)
        ids.append(np.array(made[0], np.int64))
        answers.append(np.array(made[1], bool))
    if not names:
        why = "; ".join(f"{reason}: {count:,} rows, first {first[reason]}" for reason, count in dropped.items()) or "no rows"
        raise InputError(f"{workspace.path(folder)}: no conversation to learn from ({why})")
    bounds = np.concatenate([[0], np.cumsum([len(one) for one in ids])])
    examples = Examples(tuple(names), bounds, np.concatenate(ids), np.concatenate(answers))
    return Read(examples, dict(dropped), first, digest.hexdigest())


def _rows(workspace: Workspace, folder: str, digest: "hashlib._Hash") -> Iterator[tuple[str, dict | str]]:
    for name in conversations.files(workspace, folder):
        data = workspace.read(name)
        digest.update(hashlib.sha256(data).digest())
        yield from conversations.rows(name, data)


def split(examples: Examples, held_out: float, seed: int) -> tuple[Examples, Examples]:
    """Return (training, held-out) conversations, by a hash of each one's ids: equal conversations are on one side."""
    mask = np.zeros(len(examples), bool)
    if held_out:
        parts: Iterable[bytes] = (examples.ids[examples.of(i)].tobytes() for i in range(len(examples)))
        mask = np.array([seeds.uniform(seed, "held_out", hashlib.sha256(part).digest()) < held_out for part in parts], bool)
    return examples.chosen(~mask), examples.chosen(mask)
