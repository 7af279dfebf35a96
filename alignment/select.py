"""Chooses among what passed: one response an instruction, names and texts that differ, no near duplicates, nothing of a benchmark."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from starmill.alignment import invoked, trim
from starmill.alignment.languages import LANGUAGES
from starmill.alignment.read import Reason, Response, parsed
from starmill.alignment.recipe import Select
from starmill.core import seeds
from starmill.transforms.dedup import minhash


@dataclass(frozen=True)
class Candidate:
    """A response that passed, with the name and the text of its instruction."""

    name: str
    number: int
    instruction: str
    found: Response
    text: str  # the whole answer


@dataclass(frozen=True)
class Chosen:
    """A pair as it is learned, of a candidate."""

    candidate: Candidate
    instruction: str
    response: str


def selected(
    candidates: Sequence[Candidate], how: Select, seed: int, contaminated: Callable[[str], str | None]
) -> Iterator[tuple[Candidate, Chosen | Reason]]:
    """Yield what comes of each candidate, in a drawn order. Of an instruction the first that nothing speaks against is chosen.

    `contaminated` says what of a benchmark is in a text.
    """
    order = sorted(candidates, key=lambda one: (seeds.hashed(seed, "select", one.name, one.number), one.name, one.number))
    chosen: set[str] = set()
    instructions: dict[str, str] = {}
    responses: set[str] = set()
    names: set[tuple[str, ...]] = set()
    near = Near(how.near) if how.near is not None else None
    for one in order:
        asked, told = squeezed(one.instruction), squeezed(one.text)
        called = _names(one.found)
        if one.name in chosen:
            yield one, Reason("another_response")
        elif instructions.get(asked, one.name) != one.name:
            yield one, Reason("same_instruction")
        elif told in responses:
            yield one, Reason("same_response")
        elif how.same_names and called and called in names:
            yield one, Reason("same_names", ", ".join(called)[:200])
        elif said := trim.unfinished(one.found):
            yield one, Reason("unfinished", said)
        else:
            instruction, response = trim.trimmed(one.instruction, one.found, one.name, seed, how)
            whole = f"{instruction}\n{response}\n"
            if (held := contaminated(f"{whole}{one.found.program}")) is not None:
                yield one, Reason("contaminated", held)
            elif near is not None and (kept := near.of(f"{one.instruction}\n{one.found.code}", one.name)):
                yield one, Reason("near_duplicate", kept)
            else:
                chosen.add(one.name)
                instructions[asked] = one.name
                responses.add(told)
                names.add(called)
                yield one, Chosen(one, instruction, response)


class Near:
    """Texts that were kept; a text joins them unless its Jaccard similarity with one is at least the threshold.

    >>> near = Near(0.7)
    >>> text = " ".join(f"word{i}" for i in range(40))
    >>> near.of(text, "a"), near.of(text + " more", "b"), near.of("a few words of another text", "c")
    ('', 'a', '')
    """

    def __init__(self, threshold: float) -> None:
        """Signatures and bands are those of deduplication."""
        self.options = minhash.MinHash(threshold=threshold, bands=None, rows=None)
        self.kept: list[tuple[str, np.ndarray]] = []
        self._buckets: dict[tuple[int, bytes], list[int]] = {}

    def of(self, text: str, name: str) -> str:
        """Return the name of a kept text that this one is near to, or keep it and return nothing."""
        [signature] = minhash.signatures(pa.array([text]), self.options).to_pylist()
        if signature is None:
            return ""  # a few words are near to nothing
        shingles = minhash.shingles(text.encode("utf-8", "replace"), self.options.shingle_words)
        bands, rows = self.options.banding
        width = rows * self.options.dtype.itemsize
        bucketed = [(band, signature[band * width : (band + 1) * width]) for band in range(bands)]
        for at in sorted({at for bucket in bucketed for at in self._buckets.get(bucket, ())}):
            other, theirs = self.kept[at]
            shared = len(np.intersect1d(shingles, theirs, assume_unique=True))
            if shared >= self.options.threshold * (len(shingles) + len(theirs) - shared):
                return other
        for bucket in bucketed:
            self._buckets.setdefault(bucket, []).append(len(self.kept))
        self.kept.append((name, shingles))
        return ""


def preference(chosen: Chosen, failed: Response, number: int, seed: int, how: Select) -> dict[str, Any]:
    """Return a pair for preference tuning: what passed and what failed, both with the same sections."""
    one = chosen.candidate
    rejected = trim.answered(one.instruction, failed, *trim.sections(one.name, seed, how), how.comments)
    return {
        "prompt": [{"role": "user", "content": chosen.instruction}],
        "chosen": [{"role": "assistant", "content": chosen.response}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "name": one.name,
        "numbers": [one.number, number],
    }


def _names(found: Response) -> tuple[str, ...]:
    """Return how the functions and types of a response's first block are called."""
    if (syntax := LANGUAGES[found.language].syntax) is not None:
        return syntax.names(found.first)
    tree = parsed(found.first)
    return invoked.functions(tree) if tree is not None else ()


def squeezed(text: str) -> str:
    """Return a text without white space."""
    return "".join(text.split())
