"""What a stage is: parts in, parts out, and what the keys of its parts depend on.

A stage is a value, not a class: `Stage(...)` with a few functions of the recipe and the workspace. Most stages map: one DoFn takes
a part through the whole stage (`of_parts`). A stage imports neither what runs it nor where it runs; so its import closure is the code
that makes its data, and nothing else, and run/keys.py can digest that. Beam, whose import takes a second, is imported where a graph is
built: a wrong recipe is refused before. Imports inside functions count in keys like all others.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from starmill.core import skips
from starmill.core.dataset import Manifest, Sidecar, Workspace
from starmill.core.errors import InputError
from starmill.core.part import PartRef
from starmill.core.skips import Skip

if TYPE_CHECKING:
    import apache_beam as beam

# pipelines/recipe.py: Recipe, which is made of the stages' options, so that no stage can import it.
Options = Any
# Adds a stage's graph to a pipeline; returns the numbers of the parts as they get published.
Build = Callable[["beam.Pipeline", Sequence[PartRef]], "beam.PCollection"]
Work = Callable[[PartRef], Sidecar]
W = TypeVar("W", bound=Work)


def follow(options: Options, workspace: Workspace, inputs: Sequence[Manifest]) -> list[PartRef]:
    """Return one part for each part of the first input; its material is what that part holds in every input."""
    by_part = [{p.part: p.known_as() for p in manifest.parts} for manifest in inputs]
    return [PartRef(p.part, " ".join(digests[p.part] for digests in by_part)) for p in inputs[0].parts]


def nothing(options: Options, workspace: Workspace) -> tuple[()]:
    """Return no material."""
    return ()


def no_kinds(options: Options) -> dict[str, tuple[object, ...]]:
    """Return no steps: the stage treats records of all kinds alike."""
    return {}


def kinds_in(refs: Sequence[PartRef], inputs: Sequence[Manifest]) -> dict[int, tuple[str, ...]]:
    """Return the kinds of the records in each part of the first input."""
    return {part.part: part.kinds for part in inputs[0].parts}


def by_kind(block: pa.RecordBatch, known: Collection[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield each run of rows of one kind with the kind. Raises InputError for a kind that is not known.

    >>> block = pa.record_batch({"kind": ["code", "code", "issue", "code"]})
    >>> [(kind, rows.num_rows) for kind, rows in by_kind(block, ("code", "issue"))]
    [('code', 2), ('issue', 1), ('code', 1)]
    """
    at = 0
    for kind, rows in itertools.groupby(block.column("kind").to_pylist()):
        if kind not in known:
            raise InputError(f"records of kind {kind!r}: no such kind; known are {', '.join(known)}")
        count = len(list(rows))
        yield kind, block.slice(at, count)
        at += count


@dataclass(frozen=True)
class Stage:
    """One stage. `name` is its command's, `dataset` the folder of its sidecars and its manifest, `needs` the datasets that it reads.

    `reads(options)`: the values of the recipe that its parts depend on. `material(options, workspace)`: what else decides bytes and
    is made or checked before the parts (a tokenizer, an earlier release). `steps(options)`: by kind of record, the steps, functions
    and names that make the rows of that kind; the key of a part counts those of its own kinds, with their modules and material.
    `holds(refs, inputs)`: the kinds in each part. `parts(options, workspace, inputs)`: its parts, whose `key` is the material of
    that part alone. `graph(options, workspace)`: the Beam graph over the parts that are due; `sketch`: the same without a look into
    the workspace, for a dry run. `whole`: every part depends on all of every input. `reads_this_machine(options)`: whether its
    input lies on the disk of the machine that starts the run. `listed(ref, skips)`: those of the list of records that took too long
    that a part holds (default: by the rows of its first input). `check(options)` raises for what the recipe names and the stage could
    not use, before any stage begins.
    """

    name: str
    dataset: str
    needs: tuple[str, ...]
    reads: Callable[[Options], tuple[object, ...]]
    graph: Callable[[Options, Workspace], Build]
    sketch: Callable[[Options, Workspace], Build]
    parts: Callable[[Options, Workspace, Sequence[Manifest]], list[PartRef]] = follow
    material: Callable[[Options, Workspace], tuple[object, ...]] = nothing
    steps: Callable[[Options], Mapping[str, tuple[object, ...]]] = no_kinds
    holds: Callable[[Sequence[PartRef], Sequence[Manifest]], Mapping[int, tuple[str, ...]]] = kinds_in
    whole: bool = False
    listed: Callable[[PartRef, Sequence[Skip]], list[Skip]] | None = None
    check: Callable[[Options], object] = lambda options: None
    reads_this_machine: Callable[[Options], bool] = lambda options: False


@dataclass(frozen=True)
class Watched:
    """Makes parts while a process beside this one looks for records that take more than `seconds`; a reference names some to leave out."""

    work: Work
    workspace: Workspace
    seconds: float

    def __call__(self, ref: PartRef) -> Sidecar:
        """Make one part."""
        with skips.making(self.workspace, ref.part, ref.skips, self.seconds):
            return self.work(ref)


def of_parts(
    work: Callable[[Options, Workspace], W], ready: Callable[[W, Sequence[PartRef]], Sequence[PartRef]] = lambda _, due: due
) -> Callable[[Options, Workspace], Build]:
    """Return the graph of a map stage: part references, made `ready` by its work, through one ProcessParts."""

    def graph(options: Options, workspace: Workspace) -> Build:
        from starmill.transforms.beam import ProcessParts, references

        mine = work(options, workspace)
        made = ProcessParts(Watched(mine, workspace, options.max_record_seconds))
        return lambda pipeline, due: pipeline | references(ready(mine, due)) | made

    return graph
