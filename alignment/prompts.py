"""Prompts: templates and examples are files (data/, or a folder that the recipe names), and what is drawn depends on seed and id alone.
Each language but Python has examples of its own, and two templates that name the language.

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

from starmill.alignment.languages import LANGUAGES, PYTHON
from starmill.core import seeds
from starmill.core.errors import InputError
from starmill.core.files import read_small

SHIPPED = Path(__file__).resolve().parent / "data"
STAGES = ("judge", "concepts", "instruct", "respond")  # those that ask
NAMING = ("judge", "respond")  # whose template of other languages than Python names the language
SHOT = ("code", "concepts", "category", "language", "difficulty", "instruction")
JUDGED = ("code", "reason", "answer")
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
        return _filled(self.head, asked) + "".join(made)


def _filled(text: str, values: Mapping[str, Any]) -> str:
    return FIELD.sub(lambda found: str(values[found[1]]), text)


@dataclass(frozen=True)
class Prompts:
    """The templates and examples of a folder; `digest` tells them from others. Raises InputError, naming file, line and fix."""

    folder: Path = SHIPPED
    languages: tuple[str, ...] = (PYTHON,)

    @functools.cached_property
    def digest(self) -> str:
        """What tells these files from others."""
        h = hashlib.sha256()
        others = [f"shots-{LANGUAGES[name].fence}.jsonl" for name in self._others]
        more = [f"{stage}-languages.txt" for stage in NAMING] if others else []
        for name in (*(f"{stage}.txt" for stage in STAGES), "shots.jsonl", "judgements.jsonl", *more, *others):
            h.update(hashlib.sha256(self._bytes(name)).digest())
        return h.hexdigest()[:16]

    @property
    def _others(self) -> list[str]:
        return sorted(name for name in self.languages if name != PYTHON)

    @functools.cached_property
    def templates(self) -> dict[str, Template]:
        """The template of each stage that asks, and those that name a language, by `<stage>-languages`."""
        naming = [f"{stage}-languages" for stage in NAMING] if self._others else []
        return {name: self._template(name) for name in (*STAGES, *naming)}

    @functools.cached_property
    def shots(self) -> list[dict[str, Any]]:
        """Examples in Python: code, concepts, category, language, difficulty, instruction, and of some a response."""
        return self._rows("shots.jsonl", SHOT)

    @functools.cached_property
    def judgements(self) -> list[dict[str, Any]]:
        """Examples of judged functions in Python: code, reason, answer."""
        return self._rows("judgements.jsonl", JUDGED)

    @functools.cached_property
    def of_languages(self) -> dict[str, list[dict[str, Any]]]:
        """Examples in each other language, with all that those in Python have."""
        files = {name: f"shots-{LANGUAGES[name].fence}.jsonl" for name in self._others}
        return {name: self._rows(file, (*SHOT, "reason", "answer")) for name, file in files.items()}

    def examples(self, stage: str, language: str) -> list[list[dict[str, Any]]]:
        """Return examples of a stage in a language, and behind them those in Python where they do too: of all stages but the last."""
        python = self.judgements if stage == "judge" else self.shots
        groups = [python] if language == PYTHON else [self.of_languages[language], *([python] if stage != "respond" else [])]
        if stage == "respond":
            return [[one for one in rows if one.get("response")] for rows in groups]
        return groups

    def prompt(self, stage: str, count: int, seed: int, name: str, asked: Mapping[str, Any], language: str = PYTHON) -> str:
        """Return the prompt of a stage with `count` examples, drawn by `seed` and the name of what is asked; its language's first."""
        drawn = []
        for known in (groups := self.examples(stage, language)):
            order = sorted(range(len(known)), key=lambda at: seeds.hashed(seed, "shots", stage, name, at))
            fence = LANGUAGES[language if known is groups[0] else PYTHON].fence
            drawn += [{"fence": fence, **known[at]} for at in order]
        self.refuse_more(stage, count, language)
        row = LANGUAGES[language]
        template = self.templates[f"{stage}-languages" if language != PYTHON and stage in NAMING else stage]
        return template.filled(drawn[:count], {"language": row.name, "fence": row.fence, "tests": row.tests, **asked})

    def refuse_more(self, stage: str, count: int, language: str) -> None:
        """Raise InputError where a stage wants more examples of a language than there are."""
        if count > (there := sum(map(len, self.examples(stage, language)))):
            of = "" if language == PYTHON else f" in {language}"
            raise InputError(
                f"{self.folder}: {there} examples{of} for {stage}, and shots={count}; write more of them, or ask for less"
            )

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

    def _template(self, name: str) -> Template:
        stage = name.removesuffix("-languages")
        _, *found = PART.split(self._text(f"{name}.txt"))
        parts = dict(zip(found[::2], found[1::2], strict=True))
        if set(parts) != {"head", "example", "query"} or len(found) != 6:
            raise InputError(
                f"{self.folder / name}.txt: not one each of `=== head`, `=== example`, `=== query`; begin from {SHIPPED}/{name}.txt"
            )
        known = {
            "judge": {"code", "reason", "answer"},
            "concepts": {"code", "concepts"},
            "instruct": {"category", "language", "concepts", "difficulty", "instruction"},
            "respond": {"instruction", "response"},
        }[stage] | {"number"}
        told = {"language", "fence", "tests"} if name != stage else set()
        answer = {"judge": {"reason", "answer"}, "concepts": {"concepts"}, "instruct": {"instruction"}, "respond": {"response"}}
        for part, text in parts.items():
            allowed = (known - (answer[stage] if part == "query" else set()) if part != "head" else set()) | told
            if unknown := sorted({*FIELD.findall(text)} - allowed):
                raise InputError(
                    f"{self.folder / name}.txt: {{{{{unknown[0]}}}}} in {part}; there may be {', '.join(sorted(allowed)) or 'no fields'}"
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
