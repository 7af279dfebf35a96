"""A catalog made in this process, and what two sources of one export say of everything."""

import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from starmill.core.dataset import Manifest, Sidecar, Workspace
from starmill.core.part import PartRef
from starmill.pipelines.run import catalog, keys
from starmill.pipelines.runners import choose
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.sources.source import Limits
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.stages.catalog.exchange import Exchange, Publish, Read
from starmill.pipelines.stages.stage import Stage


def source(dump: Path, place: Path, form: str = "orc") -> SoftwareHeritage:
    """Return the source of a dump whose index or catalog lies at a place."""
    return SoftwareHeritage(export=str(dump / form), contents=str(dump / "content"), catalog=str(place))


def make(of: SoftwareHeritage, buckets: int = 4, workers: int = 1, **options: Any) -> None:
    """Make the catalog of a source."""
    catalog.run(catalog.planned({"heritage": of}, None, buckets, **options), choose((), workers), quiet=True)


def make_until(of: SoftwareHeritage, buckets: int, parts: int) -> None:
    """Make the catalog of a source, and end this process by SIGKILL once it has published so many parts."""
    published, publish = [0], Workspace.publish_sidecar

    def last(self: Workspace, sidecar: Sidecar) -> None:
        publish(self, sidecar)
        published[0] += 1
        if published[0] == parts:
            os.kill(os.getpid(), signal.SIGKILL)

    Workspace.publish_sidecar = last  # type: ignore[method-assign]
    make(of, buckets)


def without_entries(dump: Path, place: Path) -> Path:
    """Return a copy of a dump whose tables lack directory_entry."""
    shutil.copytree(dump, place, ignore=shutil.ignore_patterns("directory_entry"))
    return place


def make_plainly(of: SoftwareHeritage, buckets: int = 1, **options: Any) -> None:
    """Make the catalog of a source without Beam: what is read is grouped in a dictionary, blocks in the worst order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "run_stage", plainly)
        make(of, buckets, **options)


def plainly(
    workspace: Workspace, stage: Stage, refs: Sequence[PartRef], made: Exchange, runner: Runner, version: str, quiet: bool
) -> Manifest:
    """Make a dataset without Beam."""
    groups: dict[int, list[bytes]] = {ref.part: [b""] for ref in refs}
    for numbered in reversed([*enumerate(made.inputs)]):
        for bucket, data in reversed([*Read(made, frozenset(groups)).process(numbered)]):
            groups[bucket].append(data)
    for group in groups.items():
        assert [*Publish(made, {ref.part: ref.key for ref in refs})(group)] == [group[0]]
    return workspace.finish(made.dataset, keys.key(version, [ref.key for ref in refs]), len(refs), version)


def everything(of: SoftwareHeritage, limits: Limits | None = None, unsized: Sequence[str] = ()) -> list[object]:
    """Return all that a source says, without the places of its repositories, and the sizes of those that are `unsized`."""
    said: list[object] = []
    for repository in of.plan():
        snapshot, found = of.read(repository, limits or Limits())
        counted, now = of.count(repository, limits or Limits()), of.fingerprint(repository)
        size = 0 if repository.name in unsized else repository.size_bytes
        said.append((replace(repository, place={}, size_bytes=size), snapshot, [*found], counted, now))
    return said


def files(place: Path) -> dict[str, bytes]:
    """Return every file of a catalog but those that say when it was made."""
    found = sorted(p for p in place.rglob("*") if p.is_file() and p.name != "timings.json")
    return {str(p.relative_to(place)): p.read_bytes() for p in found}
