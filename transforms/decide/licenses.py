"""The decision over licences: three rules over what measure found, and The Stack v2's three types as their answer.

- `stack-v2`: the paper's (section 2.1). What GHArchive says of a repository comes first; then ScanCode's identifiers of all files at and
  above a file's folder are one set, in which mentions and choices count like grants.
- `strict`: the Common Pile's. Whatever is found must be permissive, mentions aside, and something must be.
- `starmill`: what a file says of itself decides; else what the nearest folder grants by a text, a notice or a manifest. A manifest that
  names all the licences whose texts lie beside it says how they go together; without one, all of them hold. Where a manifest and a licence
  file beside it are both permissive, what such a file says of a part (`part:` in `license_findings`) is about that part alone, unless
  `parts` is `whole`.

Which finding decided stands in `license_rule`, and for a dropped file in `dropped/`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import schema
from starmill.core.errors import InputError
from starmill.core.names import Place
from starmill.core.storage import named
from starmill.transforms.decide.terms import (
    NEUTRAL,
    UNKNOWN_REFERENCE,
    identifiers,
    is_permissive,
    listed,
    permissive_licenses,
)
from starmill.transforms.measure.grants import A_PARTS, GRANTS, OF_A_PART, TERMS_NAME, WORD_ALONE, folder
from starmill.transforms.step import Split, append, split

Type = Literal["permissive", "no_license", "non_permissive"]
Row = Mapping[str, Any]  # of license_findings
UNASSERTED = "NOASSERTION"  # GitHub saw a licence, and does not know which
ENOUGH = frozenset({"text", "declared", "restriction", "unknown", "unread"})  # beside a notice, these end the look upwards


class Verdict(NamedTuple):
    """A type of The Stack v2, and what it comes from."""

    type: Type
    said: str


@dataclass(frozen=True)
class KeepLicensed:
    """Which licences are trained on. `list`: a file of permissive identifiers, one a line, or Blue Oak Council's index.json."""

    keep: tuple[Type, ...] = ("permissive", "no_license")
    rule: Literal["starmill", "stack-v2", "strict"] = "starmill"  # docs/licenses.md
    parts: Literal["apart", "whole"] = "apart"  # of rule starmill: what a licence file says of a part is about that part alone
    list: Place | None = None  # of permissive licences and exceptions; null: the one that ships
    name: str = "license_type"  # in `dropped/`; leave it

    def step(self) -> "JudgeLicenses":
        """Return the step. Raises NotThere or InputError, naming the file, for a list that cannot be read."""
        if self.list is None:
            return JudgeLicenses(self.keep, self.rule, None, self.parts, self.name)
        with named("curate.licenses.list", self.list, mode="rt", encoding="utf-8") as file:
            try:
                return JudgeLicenses(self.keep, self.rule, tuple(sorted(listed(file.read()))), self.parts, self.name)
            except ValueError as error:
                raise InputError(f"curate.licenses.list: {self.list}: {error}") from None


@dataclass(frozen=True)
class Numbered:
    """A column of lists whose distinct values are made Python's once: `of_row` of them, from `starts[row]` on, are a row's."""

    starts: np.ndarray  # int64
    of_row: np.ndarray  # int64
    distinct: Sequence[Any]

    @classmethod
    def of(cls, column: pa.Array) -> "Numbered":
        """Number what stands in a column of lists; null is a list without values."""
        values = column.flatten()
        of_row = np.zeros(len(values), np.int64)
        # Of a struct all fields count: where a finding stands and its score are said with the verdict.
        for one in values.flatten() if pa.types.is_struct(values.type) else [values]:
            coded = one.dictionary_encode("encode")
            of_row = of_row * max(1, len(coded.dictionary)) + coded.indices.to_numpy()
            of_row = pa.array(of_row).dictionary_encode().indices.to_numpy().astype(np.int64)
        first = np.unique(of_row, return_index=True)[1]
        sizes = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        return cls(np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), of_row, values.take(pa.array(first)).to_pylist())

    def key(self, row: int) -> bytes:
        """Return bytes that rows with equal values have, and no others."""
        return self.of_row[self.starts[row] : self.starts[row + 1]].tobytes()

    def values(self, row: int) -> list[Any]:
        """Return a row's values."""
        return [self.distinct[number] for number in self.of_row[self.starts[row] : self.starts[row + 1]]]


@dataclass(frozen=True)
class JudgeLicenses:
    """Adds `license_type` and `license_rule`, and drops files whose type is not among `keep`.

    >>> found = [{"path": "/LICENSE", "expression": "MIT", "how": "text", "score": 100.0, "start_line": 1, "end_line": 20}]
    >>> rows = {"gha_license_id": [None], "detected_licenses": [["MIT"]], "license_findings": [found]}
    >>> kept = JudgeLicenses()(pa.record_batch(rows)).kept
    >>> kept.column("license_type")[0].as_py(), kept.column("license_rule")[0].as_py()
    ('permissive', 'MIT, text in /LICENSE:1, 100 %')
    """

    reads: ClassVar[tuple[str, ...]] = ("gha_license_id", "detected_licenses", "license_findings")
    adds: ClassVar[pa.Schema] = pa.schema([schema.CURATED.field(name) for name in ("license_type", "license_rule")])

    keep: tuple[Type, ...] = ("permissive", "no_license")
    rule: Literal["starmill", "stack-v2", "strict"] = "starmill"
    allowed: tuple[str, ...] | None = None
    parts: Literal["apart", "whole"] = "apart"
    name: str = "license_type"

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Judge each row, and divide the block."""
        allowed = permissive_licenses() if self.allowed is None else frozenset(self.allowed)
        judge, known = RULES[self.rule], dict[tuple[str | None, bytes, bytes], Verdict]()
        detected, findings = Numbered.of(block.column("detected_licenses")), Numbered.of(block.column("license_findings"))
        verdicts: list[Verdict] = []
        for row, gha in enumerate(block.column("gha_license_id").to_pylist()):
            key = (gha, detected.key(row), findings.key(row))  # neighbours have the same
            if key not in known:
                found = findings.values(row)
                if self.parts == "whole" or self.rule != "starmill":
                    found = [_of_the_whole(one) for one in found]
                known[key] = judge(found, gha, set(detected.values(row)), allowed)
            verdicts.append(known[key])
        types = pa.array([verdict.type for verdict in verdicts], pa.string())
        rules = pa.array([verdict.said for verdict in verdicts], pa.string())
        reasons = [None if verdict.type in self.keep else verdict.type for verdict in verdicts]
        return split(append(block, {"license_type": types, "license_rule": rules}), reasons, [v.said for v in verdicts])


def stack_v2(found: Sequence[Row], gha: str | None, detected: set[str], allowed: frozenset[str]) -> Verdict:
    """Return The Stack v2's type, by its order of rules."""
    if gha not in (None, UNASSERTED) or not detected:
        return _of_host(gha, allowed)
    good = detected & allowed
    rest = detected - allowed - NEUTRAL - ({UNKNOWN_REFERENCE} if good else set())
    of = sorted(rest or good)
    where = next((f"; {_where(f)}" for f in found if identifiers(f["expression"]) & identifiers(" AND ".join(of[:1]))), "")
    return Verdict("non_permissive" if rest else "permissive" if good else "no_license", f"{', '.join(of)}{where}")


def strict(found: Sequence[Row], gha: str | None, detected: set[str], allowed: frozenset[str]) -> Verdict:
    """Return permissive only where all that is granted anywhere above is."""
    grants = [one for one in found if one["how"] in GRANTS]
    if (wrong := next((one for one in grants if is_permissive(one["expression"], allowed) is False), None)) is not None:
        return Verdict("non_permissive", _said(wrong))
    good = next((one for one in grants if is_permissive(one["expression"], allowed)), None)
    if good is not None and (gha is None or is_permissive(gha, allowed)):
        return Verdict("permissive", _said(good))
    return _of_host(gha, allowed)


def starmill(found: Sequence[Row], gha: str | None, detected: set[str], allowed: frozenset[str]) -> Verdict:
    """Return what the nearest grants make of a file."""
    own = [one for one in found if one["how"] == "own"]
    if own and (verdict := _together(own, allowed)):
        return verdict
    nearest: list[Row] = []
    place = None
    for one in (one for one in found if _how(one) in GRANTS and one["how"] != "own"):
        # Findings come from the nearest folder up. A readme's word adds to what is above; a text or a manifest ends the look, unless
        # it says nothing about the terms: a disclaimer of a folder takes nothing from the licence above it.
        if place is not None and folder(one["path"]) != place and any(_ends_the_look(near, allowed) for near in nearest):
            break
        place = folder(one["path"])
        nearest.append(one)
    # A repository is under what GitHub saw at its root, unless a folder of it has a text of its own: a readme's word adds to that, too.
    has_its_own = any(folder(near["path"]) and _ends_the_look(near, allowed) for near in nearest)
    if gha not in (None, UNASSERTED) and not has_its_own and not is_permissive(str(gha), allowed):
        return _of_host(gha, allowed)
    return _together(nearest, allowed) or _of_host(gha, allowed)


RULES: dict[str, Callable[[Sequence[Row], str | None, set[str], frozenset[str]], Verdict]] = {
    "starmill": starmill,
    "stack-v2": stack_v2,
    "strict": strict,
}


def _of_host(gha: str | None, allowed: frozenset[str]) -> Verdict:
    """Return what GHArchive alone says of a repository."""
    if gha is None:
        return Verdict("no_license", "nothing found")
    if gha == UNASSERTED:
        return Verdict("non_permissive", "a licence that GHArchive does not know")
    return Verdict("permissive" if is_permissive(gha, allowed) else "non_permissive", f"{gha}, as GHArchive says")


def _together(found: Sequence[Row], allowed: frozenset[str]) -> Verdict | None:
    """Return what several grants mean that hold at once; None where none of them says anything about the terms."""
    grants = [one for one in found if one["how"] != WORD_ALONE] or list(found)
    declared = [one for one in grants if one["how"] == "declared"]
    named_there = frozenset[str]().union(*(identifiers(one["expression"]) for one in declared))
    apart = _agree(grants, declared, allowed)
    grants = [_of_the_whole(one) for one in grants if not (apart and _is_of_a_part(one))]
    # The texts of the licences that a manifest names are what it refers to; a reference beside a grant is one too.
    counted = [one for one in grants if one["how"] in ("declared", "restriction") or not _names(one, named_there)]
    judged = [(value, one) for one in counted if (value := is_permissive(one["expression"], allowed)) is not None]
    known = [(value, one) for value, one in judged if one["expression"] != UNKNOWN_REFERENCE] or judged
    if not known:
        return None
    value, decided = next(((value, one) for value, one in known if not value), known[0])
    return Verdict("permissive" if value else "non_permissive", _said(decided))


def _agree(grants: Sequence[Row], declared: Sequence[Row], allowed: frozenset[str]) -> bool:
    """Return whether a manifest declares what is permissive, and a licence file beside it grants such a licence for the whole."""
    return bool(declared and all(is_permissive(one["expression"], allowed) for one in declared)) and any(
        one["how"] in A_PARTS
        and is_permissive(one["expression"], allowed)
        and TERMS_NAME.fullmatch(one["path"].rpartition("/")[2])
        for one in grants
    )


def _is_of_a_part(one: Row) -> bool:
    return str(one["how"]).startswith(OF_A_PART)


def _of_the_whole(one: Row) -> Row:
    """Return a finding as if it were about the whole, whatever part it is about."""
    return {**one, "how": _how(one)} if _is_of_a_part(one) else one


def _how(one: Row) -> str:
    return str(one["how"]).removeprefix(OF_A_PART)


def _names(one: Row, those: frozenset[str]) -> bool:
    """Return whether a finding names licences, and none but those."""
    found = identifiers(one["expression"])
    return bool(found) and found <= those


def _ends_the_look(one: Row, allowed: frozenset[str]) -> bool:
    return _how(one) in ENOUGH and is_permissive(one["expression"], allowed) is not None


def _said(one: Row) -> str:
    return f"{one['expression']}, {one['how']} {_where(one)}, {one['score']:.0f} %"


def _where(one: Row) -> str:
    return f"in {one['path']}" + (f":{one['start_line']}" if one["start_line"] else "")
