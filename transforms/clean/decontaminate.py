"""Decontamination (StarCoder2, section 3.3): a file that holds a benchmark's docstring or solution is removed whole.

Exact substrings after lower-casing and removing white space on both sides, all needles at once by Aho-Corasick. The paper gives no
shortest needle; below `min_chars` a normalised string such as `returnx+y` is anybody's code.
"""

import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import ahocorasick
import pyarrow as pa

from starmill.core.errors import InputError
from starmill.transforms.step import Split, split

MIN_CHARS = 40  # normalised; HumanEval's shortest docstrings that are not generic are longer
QUOTED = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)


@dataclass(frozen=True)
class Needle:
    """One normalised text that must not be trained on, and where it is from (`benchmark task`).

    >>> needles(['{"task_id": "Own/3", "code": "def double(x): return 2 * x"}'], "own.jsonl", min_chars=10)
    (Needle(text='defdouble(x):return2*x', origin='own.jsonl Own/3'),)
    """

    text: str
    origin: str


def normalize(text: str) -> str:
    """Lower-case and remove all white space."""
    return "".join(text.lower().split())


def needles(lines: Iterable[str], benchmark: str, min_chars: int = MIN_CHARS) -> tuple[Needle, ...]:
    """Return the needles of a JSONL benchmark: HumanEval's (prompt, canonical_solution) or MBPP's (text, code, question) keys.

    Of a HumanEval prompt the docstring counts: the second quoted block where there are two. Raises InputError naming file, line and key.
    """
    found: dict[str, Needle] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            task = json.loads(line)
            texts = _texts(task)
        except ValueError as error:
            raise InputError(f"{benchmark}, line {number}: not a benchmark task: {error}") from None
        if not texts:
            raise InputError(f"{benchmark}, line {number}: none of prompt, canonical_solution, text, code, question")
        origin = f"{benchmark.rsplit('/', 1)[-1]} {task.get('task_id', number)}"
        for text in map(normalize, texts):
            if len(text) >= min_chars:
                found.setdefault(text, Needle(text, origin))
    return tuple(found.values())


def _texts(task: object) -> list[str]:
    if not isinstance(task, dict):
        raise ValueError(f"{type(task).__name__} where an object with texts should be")
    found = {
        key: task[key] for key in ("prompt", "canonical_solution", "text", "code", "question") if task.get(key) is not None
    }
    for key, text in found.items():
        if not isinstance(text, str):
            raise ValueError(f"{key} is {json.dumps(text)[:40]} where a text should be")
    prompt = found.pop("prompt", "")
    quoted = [a or b for a, b in QUOTED.findall(prompt)]
    return [text for text in (quoted[min(1, len(quoted) - 1)] if quoted else prompt, *found.values()) if text]


@dataclass(frozen=True)
class Decontaminate:
    """Drops files that hold a needle; the detail names the benchmark and the task.

    The automaton is built on first use, once for a step, and never travels with it to another process.

    >>> hidden = Decontaminate((Needle(normalize("return sorted(set(l))"), "HumanEval/34"),))
    >>> split = hidden(pa.record_batch({"content": ["def f(l):\\n    return sorted( set(l) )", "pass"]}))
    >>> split.reasons, split.details, split.kept.num_rows
    (('contaminated',), ('HumanEval/34',), 1)
    """

    reads: ClassVar[tuple[str, ...]] = ("content",)

    needles: tuple[Needle, ...] = ()
    name: str = "decontaminate"

    def judge(self, text: str) -> str | None:
        """Return where the first needle in `text` is from, or None."""
        if not self.needles:
            return None
        return next((origin for _, origin in self._automaton.iter(normalize(text))), None)

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Decide by the content."""
        if not self.needles:
            return Split(block, block.slice(0, 0), ())
        origins = [self.judge(text) for text in block.column("content").to_pylist()]
        return split(block, ["contaminated" if o else None for o in origins], origins)

    @functools.cached_property  # lies in the instance: a cache by value would hash every needle at every call
    def _automaton(self) -> Any:
        automaton = ahocorasick.Automaton()
        for needle in self.needles:
            automaton.add_word(needle.text, needle.origin)
        automaton.make_automaton()
        return automaton

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels: the options, without the automaton."""
        return {key: value for key, value in vars(self).items() if key != "_automaton"}
