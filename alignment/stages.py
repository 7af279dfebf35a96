"""What each stage makes of the rows before it: rows that are kept, and rows that are dropped with a reason. Nothing is written here.

judge -> concepts -> instruct -> respond -> verify -> select. A row's `name` is a digest of its seed, whatever its file and place.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from starmill.alignment import read, select
from starmill.alignment.ask import Wanted
from starmill.alignment.languages import PYTHON
from starmill.alignment.parts import LINEAGE, Made, Row
from starmill.alignment.prompts import Prompts, difficulty
from starmill.alignment.read import Reason, Response
from starmill.alignment.recipe import AlignRecipe, Asked
from starmill.alignment.verify import verified
from starmill.evaluation.run.generate import Reply
from starmill.evaluation.run.score import Judges

CATEGORY = "code generation (function implementation)"
Ask = Callable[[str, Sequence[Wanted], Asked], Mapping[tuple[str, int], Reply]]


def seeds_of(name: str, data: bytes, known: set[str], languages: Sequence[str] = (PYTHON,)) -> Made:
    """Return the seeds of a file in these languages; `known` are the names of those in other files, and gets these."""
    made = Made()
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("seed"), str) or not row["seed"].strip():
            made.drop(Reason("not_a_seed"), place=place)
            continue
        lineage = {field: row.get(field) for field in LINEAGE}
        material = json.dumps([row["seed"], lineage], sort_keys=True)
        digest = hashlib.sha256(material.encode("utf-8", "surrogatepass")).hexdigest()[:20]
        language = row.get("language")
        if language not in languages:
            made.drop(Reason("not_verified_here", str(language)[:60]), name=digest, place=place)
        elif digest in known:
            made.drop(Reason("repeated_seed"), name=digest, place=place)
        else:
            known.add(digest)
            made.kept.append({"name": digest, "seed": row["seed"], "language": language, **lineage})
    return made


@dataclass(frozen=True)
class Stages:
    """The stages of a recipe; `ask` answers a stage's requests."""

    recipe: AlignRecipe
    prompts: Prompts
    ask: Ask

    def wanted(self, stage: str, how: Asked, rows: Iterable[Row]) -> list[Wanted]:
        """Return the requests of a stage that asks."""
        return [
            Wanted(
                row["name"],
                number,
                self.prompts.prompt(stage, how.shots, self.recipe.seed, f"{row['name']}/{number}", fields, row["language"]),
            )
            for row in rows
            for fields in (self.fields(stage, row),)
            for number in range(getattr(how, "samples", 1))
        ]

    def fields(self, stage: str, row: Row) -> Row:
        """Return what a prompt of a stage says of a row."""
        if stage in ("judge", "concepts"):
            return {"code": row["seed"].strip("\n")}
        if stage == "instruct":
            drawn = difficulty(self.recipe.seed, row["name"])
            return {
                "category": CATEGORY,
                "language": row["language"],
                "concepts": ", ".join(row["concepts"]),
                "difficulty": drawn,
            }
        return {"instruction": row["instruction"]}

    def judge(self, made: Made) -> Made:
        """Keep the seeds of which the model says yes."""
        if (how := self.recipe.judge) is None:
            return made
        kept, made.kept = made.kept, []
        for row, reply in self._answered("judge", how, kept):
            if why := read.unusable(reply if reply.ended != "length" else Reply(reply.text, reply.refused)):
                made.drop(why, name=row["name"])
            elif read.says_yes(reply.text):
                made.kept.append(row)
            else:
                made.drop(Reason("judged_no"), name=row["name"])
        return made

    def concepts(self, rows: Sequence[Row]) -> Made:
        """Add the concepts of each seed."""
        made = Made()
        for row, reply in self._answered("concepts", self.recipe.concepts, rows):
            found = read.unusable(reply) or read.concepts(reply.text)
            if isinstance(found, Reason):
                made.drop(found, name=row["name"])
            else:
                made.kept.append({**row, "concepts": found})
        return made

    def instruct(self, rows: Sequence[Row]) -> Made:
        """Add an instruction to each."""
        made = Made()
        for row, reply in self._answered("instruct", self.recipe.instruct, rows):
            found = read.unusable(reply) or read.instruction(reply.text, row["language"])
            if isinstance(found, Reason):
                made.drop(found, name=row["name"])
            else:
                drawn = difficulty(self.recipe.seed, row["name"])
                made.kept.append({**row, "category": CATEGORY, "difficulty": drawn, "instruction": found})
        return made

    def respond(self, rows: Sequence[Row]) -> Made:
        """Return the responses to each instruction that have their sections, and tests that are executed."""
        made = Made()
        for row, number, reply in self._all_answered("respond", self.recipe.respond, rows):
            found = read.unusable(reply) or read.response(reply.text, row["language"])
            of = self._named(row["language"])
            if isinstance(found, Reason):
                made.drop(found, name=row["name"], number=number, **of)
            else:
                made.kept.append({"name": row["name"], "number": number, **of, "response": reply.text})
        return made

    def verify(self, rows: Sequence[Row], judge: Judges) -> Made:
        """Keep the responses whose tests pass; those that fail are dropped, with their texts: they make preferences."""
        made = Made()
        found = [_response(row) for row in rows]
        for row, why in zip(rows, verified(judge, found, self.recipe.verify), strict=True):
            if why is None:
                made.kept.append(row)
            else:
                made.drop(why, **row)
        return made

    def select(
        self,
        rows: Sequence[Row],
        passed: Sequence[Row],
        failed: Sequence[Row],
        contaminated: Callable[[str], str | None],
        model: Row,
    ) -> tuple[Made, list[Row]]:
        """Return instructions with their lineage, in the order of the seeds, and preferences; `rows` are the instructions."""
        known, how, seed = {row["name"]: row for row in rows}, self.recipe.select, self.recipe.seed
        candidates = [
            select.Candidate(row["name"], row["number"], known[row["name"]]["instruction"], _response(row), row["response"])
            for row in passed
        ]
        made, chosen = Made(), {}
        for one, came in select.selected(candidates, how, seed, contaminated):
            if isinstance(came, Reason):
                made.drop(came, name=one.name, number=one.number, **self._named(known[one.name]["language"]))
            else:
                chosen[one.name] = came
        ranks = {name: at for at, name in enumerate(known)}
        made.dropped.sort(key=lambda row: (ranks[row["name"]], row["number"]))
        wrong: dict[str, Row] = {}
        for row in failed:
            if row["reason"] != "flaky":  # which passes now and then
                wrong.setdefault(row["name"], row)
        pairs = []
        for name, row in known.items():
            if (pair := chosen.get(name)) is None:
                continue
            made.kept.append(
                {
                    "instruction": pair.instruction,
                    "response": pair.response,
                    "name": name,
                    "number": pair.candidate.number,
                    "concepts": row["concepts"],
                    "difficulty": row["difficulty"],
                    **self._named(row["language"]),
                    "seed": row["seed"],
                    **{field: row[field] for field in LINEAGE},
                    **model,
                }
            )
            if name in wrong:
                pairs.append(select.preference(pair, _response(wrong[name]), wrong[name]["number"], seed, how))
        return made, [one for one in pairs if one["chosen"] != one["rejected"]]

    def _named(self, language: str) -> Row:
        """Return what rows of responses and pairs say of their language: nothing where all are of Python."""
        return {} if self.recipe.languages == (PYTHON,) else {"language": language}

    def _answered(self, stage: str, how: Asked, rows: Sequence[Row]) -> Iterator[tuple[Row, Reply]]:
        return ((row, reply) for row, _, reply in self._all_answered(stage, how, rows))

    def _all_answered(self, stage: str, how: Asked, rows: Sequence[Row]) -> Iterator[tuple[Row, int, Reply]]:
        found = self.ask(stage, self.wanted(stage, how, rows), how)
        for row in rows:
            for number in range(getattr(how, "samples", 1)):
                yield row, number, found[row["name"], number]


def _response(row: Row) -> Response:
    found = read.response(row["response"], row.get("language", PYTHON))
    assert isinstance(found, Response)
    return found
