"""How far a workspace is, from what is published in it: so it can be asked from anywhere, of a run on any runner."""

from collections.abc import Iterator
from dataclasses import dataclass

from starmill.core.dataset import STAGES, Workspace, sidecar_path


@dataclass(frozen=True)
class StageStatus:
    """One stage: `published` of `parts` sidecars are there; `seconds_left` is None where nothing tells."""

    stage: str
    published: int
    parts: int
    is_complete: bool
    seconds_left: float | None = None


def measure(workspace: Workspace, parts: int) -> Iterator[StageStatus]:
    """Yield the status of every stage, in order; `parts` are planned where ingest is not complete yet."""
    ingested = workspace.manifest("ingest")
    parts = len(ingested.parts) if ingested else parts
    for stage, folder in STAGES.items():
        names = {*workspace.files(folder)}
        done = [k for k in range(parts) if sidecar_path(stage, k).rpartition("/")[2] in names]
        is_complete = workspace.manifest(stage) is not None
        left = None if is_complete else _seconds_left(workspace, stage, done, parts)
        yield StageStatus(stage, len(done), parts, is_complete, left)


def lines(workspace: Workspace, parts: int) -> list[str]:
    """Return the status for a person."""
    told = []
    for status in measure(workspace, parts):
        line = f"{status.stage:<9} {status.published}/{status.parts} parts"
        if status.is_complete:
            line += ", complete"
        elif status.seconds_left is not None:
            line += f", about {status.seconds_left:,.0f} s to go at the pace so far"
        told.append(line)
    return told


def _seconds_left(workspace: Workspace, stage: str, done: list[int], parts: int) -> float | None:
    """Return what the parts left take at the pace of those published, from the first to the last."""
    times = [t for k in done if (t := workspace.storage.modified(sidecar_path(stage, k))) is not None]
    if len(times) < 2:
        return None
    return (max(times) - min(times)) / (len(times) - 1) * (parts - len(done))
