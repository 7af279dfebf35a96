"""Prompts: templates and examples are files (data/, or a folder that the recipe names), and what is drawn depends on seed and id alone.

A template has three parts, each below a line `=== head`, `=== example` or `=== query`; `{{name}}` stands for a field of an example or of
what is asked, `{{number}}` for the place in the prompt. Whatever stands in a field is text, and never a template.
"""

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starmill.core import seeds
from starmill.core.errors import InputError
from starmill.core.files import read_small

SHIPPED = Path(__file__).resolve().parent / "data"
STAGES = ("judge", "concepts", "instruct", "respond")  # those that ask
STOP = "## Example"  # where the next example would begin
DIFFICULTIES = ("easy", "medium", "hard")
PART = re.compile(r"^=== (head|example|query)\n", re.MULTILINE)
FIELD = re.compile(r"\{\{(\w+)\}\}")
MAX_BYTES = 16 << 20  # of a file


@dataclass(frozen=True)
class Template:
    """The parts of a prompt."""

    head: str
    example: str
    query: str

    def filled(self, examples: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> str:
        """Return a prompt.

        >>> Template("Add.\\n", "{{a}}+1={{b}}\\n", "{{a}}+1=").filled([{"a": 1, "b": 2}], {"a": "{{b}}"})
        'Add.\\n1+1=2\\n{{b}}+1='
        """
        blocks = [(self.example, one) for one in examples] + [(self.query, asked)]
        made = (_filled(text, {**one, "number": number}) for number, (text, one) in enumerate(blocks, 1))
        return self.head + "".join(made)


def _filled(text: str, values: Mapping[str, Any]) -> str:
    return FIELD.sub(lambda found: str(values[found[1]]), text)


@dataclass(frozen=True)
class Prompts:
    """The templates and examples of a folder; `digest` tells them from others. Raises InputError, naming file, line and fix."""

    folder: Path = SHIPPED

    @functools.cached_property
    def digest(self) -> str:
        """What tells these files from others."""
        h = hashlib.sha256()
        for name in (*(f"{stage}.txt" for stage in STAGES), "shots.jsonl", "judgements.jsonl"):
            h.update(hashlib.sha256(self._bytes(name)).digest())
        return h.hexdigest()[:16]

    @functools.cached_property
    def templates(self) -> dict[str, Template]:
        """The template of each stage that asks."""
        return {stage: self._template(stage) for stage in STAGES}

    @functools.cached_property
    def shots(self) -> list[dict[str, Any]]:
        """Examples: code, concepts, category, language, difficulty, instruction, and of some a response."""
        return self._rows("shots.jsonl", ("code", "concepts", "category", "language", "difficulty", "instruction"))

    @functools.cached_property
    def judgements(self) -> list[dict[str, Any]]:
        """Examples of judged functions: code, reason, answer."""
        return self._rows("judgements.jsonl", ("code", "reason", "answer"))

    def prompt(self, stage: str, count: int, seed: int, name: str, asked: Mapping[str, Any]) -> str:
        """Return the prompt of a stage with `count` examples, drawn by `seed` and the name of what is asked."""
        known = self.judgements if stage == "judge" else self.shots
        if stage == "respond":
            known = [one for one in known if one.get("response")]
        if count > len(known):
            raise InputError(
                f"{self.folder}: {len(known)} examples for {stage}, and shots={count}; write more of them, or ask for less"
            )
        order = sorted(range(len(known)), key=lambda at: seeds.hashed(seed, "shots", stage, name, at))
        return self.templates[stage].filled([known[at] for at in order[:count]], asked)

    def _bytes(self, name: str) -> bytes:
        try:
            return read_small(self.folder / name, MAX_BYTES)
        except FileNotFoundError:
            raise InputError(f"{self.folder / name}: not there; copy the files of {SHIPPED}, and change them") from None

    def _text(self, name: str) -> str:
        try:
            return self._bytes(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{self.folder / name}: not UTF-8 (byte {error.start:,}); save it as UTF-8") from None

    def _template(self, stage: str) -> Template:
        _, *found = PART.split(self._text(f"{stage}.txt"))
        parts = dict(zip(found[::2], found[1::2], strict=True))
        if set(parts) != {"head", "example", "query"} or len(found) != 6:
            raise InputError(
                f"{self.folder / stage}.txt: not one each of `=== head`, `=== example`, `=== query`; begin from {SHIPPED}/{stage}.txt"
            )
        known = {
            "judge": {"code", "reason", "answer"},
            "concepts": {"code", "concepts"},
            "instruct": {"category", "language", "concepts", "difficulty", "instruction"},
            "respond": {"instruction", "response"},
        }[stage] | {"number"}
        answer = {"judge": {"reason", "answer"}, "concepts": {"concepts"}, "instruct": {"instruction"}, "respond": {"response"}}
        for part, text in parts.items():
            allowed = known - (answer[stage] if part == "query" else set()) if part != "head" else set()
            if unknown := sorted({*FIELD.findall(text)} - allowed):
                raise InputError(
                    f"{self.folder / stage}.txt: {{{{{unknown[0]}}}}} in {part}; there may be {', '.join(sorted(allowed)) or 'no fields'}"
                )
        return Template(parts["head"], parts["example"], parts["query"].removesuffix("\n"))

    def _rows(self, name: str, fields: tuple[str, ...]) -> list[dict[str, Any]]:
        rows = []
        for number, line in enumerate(self._text(name).split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or not all(isinstance(row.get(field), str) for field in fields):
                raise InputError(
                    f"{self.folder / name}: line {number} is no object with the texts {', '.join(fields)}; mend the line"
                )
            rows.append(row)
        return rows


def difficulty(seed: int, name: str) -> str:
    """Return the difficulty that is asked for, each with the same probability."""
    return DIFFICULTIES[seeds.uint64(seed, "difficulty", name) % len(DIFFICULTIES)]
