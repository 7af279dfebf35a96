"""`starmill clean`: of a finished workspace, remove what was made before redaction, so that no personal data is left that release took out.

The files of the datasets of all stages before release go (records/, measures/, curated/, signatures/, verdicts/), and ingest's plans. In
the rows of `dropped/`, which say why a record left, the names are redacted as those of dataset/ are. Sidecars and manifests stay:
`status` and `why` tell what was cleaned, and a run that makes the datasets again, with equal bytes, makes no later stage again.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from starmill.core.dataset import LAST_RUN, ParquetPart, StageName, Workspace
from starmill.core.errors import InputError, UsageError
from starmill.pipelines.stages.release import STAGE as RELEASE
from starmill.reports.cleaned import own_files
from starmill.transforms.clean.redact import labels

PLANS = "plans"
# The columns of `dropped/` that a dump filled, or an error that quotes one.
NAMES = ("repo_name", "path", "kept_repo_name", "kept_path", "detail")


@dataclass(frozen=True)
class Emptied:
    """What goes of one dataset."""

    stage: str
    dataset: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Cleaning:
    """What `clean` does to a workspace: the datasets that are emptied, the files that go, and those whose names are redacted."""

    workspace: Workspace
    datasets: tuple[Emptied, ...]
    removed: tuple[str, ...]
    redacted: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Return how much is freed."""
        return sum(d.bytes for d in self.datasets)


def planned(workspace: Workspace) -> Cleaning:
    """Return what is to be removed. Raises InputError for no workspace, UsageError while a stage of the last run is not finished."""
    stages = workspace.last_run().stages
    if not stages:
        raise InputError(f"{workspace.root}: no {LAST_RUN}, so no run has begun here; give the workspace of one")
    before = _before_release(workspace, stages)
    manifests = {stage.name: workspace.manifest(stage.dataset) for stage in stages}
    if unfinished := [name for name, manifest in manifests.items() if manifest is None]:
        raise UsageError(
            f"{workspace.root}: stage {unfinished[0]} is not finished, and needs what `clean` removes; run `starmill run` to its end first"
        )
    # Whatever an early manifest lists, what release and the stages behind it made is not from before redaction.
    later = {stage.dataset for stage in stages[len(before) :]}
    datasets, removed = [], []
    for stage in before:
        manifest = manifests[stage.name]
        files = own_files(manifest) if manifest else []
        there = {
            f"{folder}/{f.name}" for folder in {path.rpartition("/")[0] for path, _ in files} for f in workspace.listing(folder)
        }
        own = [(path, size) for path, size in files if path in there and path.partition("/")[0] not in later]
        if own:
            datasets.append(Emptied(stage.name, stage.dataset, len(own), sum(size for _, size in own)))
            removed += [path for path, _ in own]
    if plans := workspace.listing(PLANS):  # which repositories each part of ingest reads; made anew by every run of it
        datasets.append(Emptied(stages[0].name, PLANS, len(plans), sum(f.size for f in plans)))
        removed += [f"{PLANS}/{f.name}" for f in plans]
    lost = [path for stage in stages for path in workspace.parts(f"dropped/{stage.name}")]
    return Cleaning(workspace, tuple(datasets), tuple(removed), tuple(path for path in lost if _hidden(workspace, path)))


def clean(cleaning: Cleaning) -> None:
    """Do it. What is stopped halfway is finished by the same command."""
    for path in cleaning.redacted:
        hidden = _hidden(cleaning.workspace, path)
        if hidden is not None:
            cleaning.workspace.publish(path, hidden)
    cleaning.workspace.remove_all(cleaning.removed)


def data(cleaning: Cleaning, is_done: bool) -> dict[str, Any]:
    """Return what is or was removed as plain data, for JSON."""
    return {
        "workspace": cleaning.workspace.root,
        "done": is_done,
        "bytes": cleaning.bytes,
        "datasets": [vars(dataset) for dataset in cleaning.datasets],
        "redacted": list(cleaning.redacted),
    }


def lines(cleaning: Cleaning, is_done: bool) -> list[str]:
    """Return it for a person, with what a later run then costs."""
    if not cleaning.removed and not cleaning.redacted:
        return [f"{cleaning.workspace.root}: nothing from before redaction is left"]
    verb = "removed" if is_done else "would remove"
    told = [
        f"{d.dataset + '/':<12} {verb} {d.files:,} files, {d.bytes / 1e6:,.1f} MB (stage {d.stage})" for d in cleaning.datasets
    ]
    if cleaning.redacted:
        told.append(
            f"{'dropped/':<12} {'redacted' if is_done else 'would redact'} the names in {len(cleaning.redacted):,} files"
        )
    stages = ", ".join(dict.fromkeys(d.stage for d in cleaning.datasets))
    if stages:
        told.append(
            f"A later `starmill run` makes {stages} again from the sources; where the bytes come out equal, nothing after them."
        )
    return told


def _before_release(workspace: Workspace, stages: tuple[StageName, ...]) -> tuple[StageName, ...]:
    names = [stage.name for stage in stages]
    if RELEASE.name not in names:
        raise UsageError(
            f"{workspace.root}: the last run had no stage {RELEASE.name}, so nothing is redacted here; run it first"
        )
    return stages[: names.index(RELEASE.name)]


def _hidden(workspace: Workspace, path: str) -> pa.Buffer | None:
    """Return a file of `dropped/` with its names redacted; None where that changes nothing."""
    blocks = list(workspace.blocks(path))
    done = [_with_hidden_names(block) for block in blocks]
    if all(new is old for new, old in zip(done, blocks, strict=True)):
        return None
    part = ParquetPart(blocks[0].schema)
    for block in done:
        part.write(block)
    return part.close()


def _with_hidden_names(block: pa.RecordBatch) -> pa.RecordBatch:
    for name in NAMES:
        if name in block.schema.names:
            said = block.column(name).to_pylist()
            hidden = [text and labels.redacted(text) for text in said]
            if hidden != said:
                at = block.schema.get_field_index(name)
                block = block.set_column(at, block.schema.field(at), pa.array(hidden, block.schema.field(at).type))
    return block
