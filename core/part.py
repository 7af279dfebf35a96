"""What a part is, from its reference, which a stage plans and workers get, to what its sidecar and its manifest say: plain values."""

import hashlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple


class PartRef(NamedTuple):
    """One unit of work: the part's number, the key that its sidecar must carry, what the work needs to know of it, and which records
    steps leave out (core/skips.py).

    >>> PartRef(3, "key")._replace(plan="pages").plan
    'pages'
    """

    part: int
    key: str
    plan: str = ""
    skips: str = ""


@dataclass(frozen=True)
class Tokens:
    """Documents of one kind in a shard, and tokens of one language in them; `epoch`: the tokens, times the weights of their documents.

    A document counts in its own language, as do its tokens that are of no file.
    """

    kind: str
    language: str
    documents: int
    tokens: int
    epoch: float


@dataclass(frozen=True)
class Output:
    """One published file: `path` is relative to the workspace, `rows` is null where rows mean nothing."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True)
class Count:
    """Files and bytes (UTF-8) that one step of a stage kept (`reason` empty) or dropped, of one kind and in one language."""

    step: str
    reason: str
    language: str
    files: int
    bytes: int
    kind: str = ""  # where a row has none: what left before ingest knew it

    @property
    def is_error(self) -> bool:
        """Whether these rows made a step raise."""
        return self.reason.startswith("error:")


@dataclass(frozen=True)
class Sidecar:
    """One finished part of a `dataset`. `lineage` maps each input's path to its sha256, ingest's each damaged repository to the state that
    it had. `kinds`: of the records in it, sorted; a next stage's key counts what treats these. `tokens`: what a shard holds. `made`: the
    digest of the part as its stage made it, where records were withdrawn from it since.
    """

    stage: str
    dataset: str
    part: int
    key: str
    outputs: tuple[Output, ...]
    counts: tuple[Count, ...] = ()
    lineage: dict[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    tokens: tuple[Tokens, ...] = ()
    made: str = ""

    @property
    def errors(self) -> int:
        """The rows that ended as errors of a step. A part that has some is made again by the next run."""
        return sum(c.files for c in self.counts if c.is_error)

    def is_of(self, dataset: str, part: int) -> bool:
        """Whether this describes that part, by files of that part inside the workspace."""
        paths = [PurePosixPath(o.path) for o in self.outputs]
        inside = (not p.is_absolute() and ".." not in p.parts and part_number(p.name) == part for p in paths)
        return (self.dataset, self.part) == (dataset, part) and all(inside)

    def digest(self) -> str:
        """Return the sha256 over the digests of the outputs: equal data has equal digests, whatever made it."""
        return hashlib.sha256("".join(f"{o.path} {o.sha256}\n" for o in self.outputs).encode()).hexdigest()

    def known_as(self) -> str:
        """Return the digest that keys of the stages behind it count: what is withdrawn makes no part due."""
        return self.made or self.digest()


@dataclass(frozen=True)
class Manifest:
    """The last file of a stage: all its parts, and one digest over them. `verified`: the codes that were seen to make these bytes."""

    stage: str
    dataset: str
    key: str
    digest: str
    version: str
    parts: tuple[Sidecar, ...]
    verified: tuple[dict[str, Any], ...] = ()

    def known_as(self) -> str:
        """Return the digest that keys count: of the parts as stages made them."""
        return hashlib.sha256("".join(part.known_as() for part in self.parts).encode()).hexdigest()


def part_number(name: str) -> int | None:
    """Return the number of the part that a file's name belongs to: 7 for `part-00007.json`; None for what is no part's."""
    number = name.removeprefix("part-").partition(".")[0]
    return int(number) if name.startswith("part-") and number.isdecimal() else None
