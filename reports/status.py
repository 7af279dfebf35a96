"""The progress of a workspace, read from its manifests and published sidecars: on any machine, for a run on any runner."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from starmill.core.dataset import Workspace
from starmill.reports.cleaned import lost_all


@dataclass(frozen=True)
class StageStatus:
    """One stage: `published` of `parts` sidecars are there; `seconds_left` is None where it cannot be told yet."""

    stage: str
    published: int
    parts: int
    is_complete: bool
    seconds_left: float | None = None
    is_cleaned: bool = False  # its files were removed after the run (starmill clean)


def measure(workspace: Workspace) -> Iterator[StageStatus]:
    """Yield the status of every stage of the last run, in order; none before the first run."""
    last = workspace.last_run()
    for stage in last.stages:
        found = workspace.summary(stage.dataset)
        if found is None:
            published, left = look(workspace, stage.dataset, last.parts)
            yield StageStatus(stage.name, published, last.parts, False, left)
        else:  # no sidecar is taken away, but the manifest is before: none is looked for
            published = min(found.parts, last.parts)
            yield StageStatus(stage.name, published, last.parts, True, None, lost_all(workspace, found))


def look(workspace: Workspace, dataset: str, parts: int) -> tuple[int, float | None]:
    """Return, from one listing, how many of a dataset's `parts` are published, and the seconds that the others will take."""
    times = [when for part, when in workspace.published(dataset).items() if part < parts]
    return len(times), seconds_left([when for when in times if when is not None], parts - len(times))


def seconds_left(times: Sequence[float], missing: int) -> float | None:
    """Return the seconds of the `missing` parts at the pace of those published at `times`; None for fewer than two.

    The pace is a median, so that an interruption does not count; of the newer half of the parts, since workers may have changed; and of
    the time of an eighth of these together, since many workers publish in bursts.
    """
    newer = sorted(times)[-max(16, len(times) // 2) :]
    if len(newer) < 2:
        return None
    together = max(1, len(newer) // 8)
    spans = [late - early for early, late in zip(newer, newer[together:], strict=False)]
    return statistics.median(spans) / together * missing


def to_go(seconds: float) -> str:
    """Return the time left, for people."""
    if seconds < 120:
        return f"about {seconds:.0f} s to go"
    return f"about {seconds / 60:.0f} min to go" if seconds < 7200 else f"about {seconds / 3600:,.1f} h to go"


def data(workspace: Workspace) -> dict[str, Any]:
    """Return the status as plain data, for JSON."""
    return {"workspace": workspace.root, "stages": [asdict(status) for status in measure(workspace)]}


def lines(workspace: Workspace) -> list[str]:
    """Return the status for people."""
    told = []
    for status in measure(workspace):
        line = f"{status.stage:<9} {status.published}/{status.parts} parts"
        if status.is_complete:
            line += ", complete" + ", cleaned" * status.is_cleaned
        elif status.seconds_left is not None:
            line += f", {to_go(status.seconds_left)} at the pace so far"
        told.append(line)
    return told or [f"{workspace.root}: no run has begun here"]
