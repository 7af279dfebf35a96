"""Which datasets of a workspace `starmill clean` emptied: their manifests are there, and the files that the manifests list are not."""

from collections.abc import Sequence

from starmill.core.dataset import Manifest, StageName, Workspace
from starmill.core.summary import Summary


def own_files(manifest: Manifest) -> list[tuple[str, int]]:
    """Return the path and the bytes of each file of a dataset's parts, without the rows of `dropped/`."""
    return [(made.path, made.bytes) for part in manifest.parts for made in part.outputs if not made.path.startswith("dropped/")]


def is_cleaned(workspace: Workspace, dataset: str) -> bool:
    """Say whether a complete dataset has none of its files any more."""
    found = workspace.summary(dataset)
    return found is not None and lost_all(workspace, found)


def lost_all(workspace: Workspace, found: Summary) -> bool:
    """Say whether a dataset has none of the files any more that its manifest lists: neither the first nor the last."""
    return bool(found.ends) and not any(workspace.exists(path) for path in found.ends)


def first_kept(workspace: Workspace, stages: Sequence[StageName]) -> int:
    """Return which of the stages is the first whose dataset has files: 0 in a workspace that was not cleaned."""
    if not stages or not is_cleaned(workspace, stages[0].dataset):
        return 0
    return next((k for k, stage in enumerate(stages) if not is_cleaned(workspace, stage.dataset)), 0)
