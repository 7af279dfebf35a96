"""Verify: where today's code makes equal parts, the published parts get today's key and need not be made again.

A change of code that changes no byte (a refactoring, a comment in a table, a library's patch release) would remake every part. So a
sample of the parts is made under today's code, beside the workspace. If every output has the same bytes as before, all parts of the
stage whose values and inputs are the same get today's key, and the manifest says which code was compared with which, on what parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from starmill.core import seeds
from starmill.core.dataset import BESIDE, Manifest, Sidecar, Workspace, at_once, sidecar_path
from starmill.core.errors import UsageError
from starmill.core.part import PartRef
from starmill.pipelines import stages
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import again, keys
from starmill.pipelines.run.attribution import DERIVED
from starmill.pipelines.run.place import complete
from starmill.pipelines.run.stages import due, keyed, version_of
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.stages import vocabulary
from starmill.pipelines.stages.ledger import digest_of


@dataclass(frozen=True)
class Overlay(Workspace):
    """A workspace that is read in place and written into another folder: the original stays untouched."""

    into: str = ""

    def publish(self, relative: str, data: bytes | pa.Buffer) -> None:
        """Write a file into the other folder."""
        Workspace(self.into).publish(relative, data)

    def remove(self, relative: str) -> None:
        """Remove nothing."""


@dataclass(frozen=True)
class Verified:
    """Result for a stage: the parts that were made again, those whose bytes differ, and how many parts got today's key."""

    stage: str
    parts: tuple[int, ...]
    differing: tuple[int, ...]
    rekeyed: int

    @property
    def is_equal(self) -> bool:
        """Whether today's code made the same bytes."""
        return not self.differing


def verify(name: str, options: Recipe, runner: Runner, sample: int, quiet: bool = False) -> Verified:
    """Make up to `sample` parts of a complete stage again, drawn by a hash, and give all parts today's key if the bytes are equal.

    Raises UsageError for a sample of no part, for a runner that does not wait, and where the parts were made from other values or
    inputs: there is nothing to compare. Raises StageError.
    """
    if sample < 1:
        raise UsageError(f"verify: --sample {sample}: no part would be compared; give 1 or more")
    if not runner.waits:
        raise UsageError("verify: nobody waits for a job that is only written down; leave --template_location out")
    stage, workspace = stages.load(name), Workspace(options.workspace)
    manifest, refs = complete(workspace, stage.dataset, "verify"), keyed(stage, options, workspace)
    old = {p.part: p for p in manifest.parts}
    same = [r for r in refs if r.part in old and keys.values_of(old[r.part].key) == keys.values_of(r.key)]
    if len(same) < len(refs) or len(refs) != len(old):
        raise UsageError(
            f"verify: {len(refs) - len(same)} of {len(refs)} parts of {stage.dataset}/ are of other values of the recipe, or other "
            f"inputs; run `starmill {name}` to make them"
        )
    stale = [r for r in same if old[r.part].key != r.key]
    if not stale:
        return Verified(name, (), (), 0)
    as_made = [r for r in stale if not old[r.part].made]
    if not as_made or (stage.whole and len(as_made) < len(old)):
        raise UsageError(
            f"verify: records were withdrawn from {name}'s parts, so that no code makes these bytes again; compare in a workspace "
            "from which nothing was withdrawn"
        )
    drawn = same if stage.whole else sorted(as_made, key=lambda r: seeds.uint64(0, "verify", name, r.part))[:sample]
    made = _made(stage.name, options, drawn, runner, quiet)
    differing = tuple(sorted(k for k, sidecar in made.items() if sidecar is None or sidecar.outputs != old[k].outputs))
    if not differing:
        _rekey(workspace, manifest, {r.part: r.key for r in refs}, version_of(stage, options), sorted(made))
    return Verified(name, tuple(sorted(made)), differing, 0 if differing else len(stale))


@dataclass(frozen=True)
class Compared:
    """What is in a workspace against what was published there: files and bytes compared, and a line for each that is not the same."""

    files: int
    bytes: int
    damaged: tuple[str, ...]


def compare(workspace: Workspace) -> Compared:
    """Compare every published file with its sha256. Parts with another one count as not made afterwards, so that a run makes them again."""
    damaged, outputs = [], dict[str, str]()
    size = 0
    for dataset in [*(stage.dataset for stage in workspace.last_run().stages), *DERIVED]:
        numbers = sorted(workspace.published(dataset))
        for part, sidecar in zip(numbers, at_once(partial(workspace.sidecar, dataset), numbers), strict=True):
            if sidecar is None:
                where = workspace.path(sidecar_path(dataset, part))
                damaged.append(f"{where}: damaged; the next `starmill run`, `portrait` or `index` makes its part again")
                continue
            outputs |= {o.path: o.sha256 for o in sidecar.outputs}
            size += sum(o.bytes for o in sidecar.outputs)
    if (known := vocabulary.made(workspace)) is not None:
        outputs |= known["outputs"]
    for (path, wanted), found in zip(
        outputs.items(), at_once(lambda path: digest_of(workspace, path), outputs, 8), strict=True
    ):
        if found != wanted:
            damaged.append(str(workspace.disbelieve(path, found, wanted)))
    return Compared(len(outputs), size, tuple(damaged))


def _made(name: str, options: Recipe, drawn: Sequence[PartRef], runner: Runner, quiet: bool) -> dict[int, Sidecar | None]:
    stage, workspace = stages.load(name), Workspace(options.workspace)
    runner = runner.named(workspace.root, f"verify-{name}")
    runner.make_room()
    place = workspace.root if workspace.is_local else workspace.url
    overlay, beside = Overlay(place, into=f"{place}/{BESIDE}"), Workspace(f"{place}/{BESIDE}")
    try:
        again.run(
            f"verify {name}", drawn, beside, lambda: due(beside, stage, drawn), stage.graph(options, overlay), runner, quiet
        )
        found = {ref: beside.sidecar(stage.dataset, ref.part) for ref in drawn}
    finally:
        workspace.clear(BESIDE)
    return {ref.part: made if made is not None and made.key == ref.key else None for ref, made in found.items()}


def _rekey(workspace: Workspace, manifest: Manifest, wanted: dict[int, str], version: str, compared: Sequence[int]) -> None:
    parts = tuple(replace(p, key=wanted[p.part]) for p in manifest.parts)
    for _ in at_once(workspace.publish_sidecar, parts):
        pass
    evidence = {"code": version, "equal_to": manifest.version, "parts": list(compared), "of": len(parts)}
    stage_key = keys.key(version, [p.key for p in parts])
    verified = (*manifest.verified, evidence)
    workspace.publish_manifest(replace(manifest, key=stage_key, version=version, parts=parts, verified=verified))
