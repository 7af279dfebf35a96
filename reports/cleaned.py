"""Which datasets of a workspace `starmill clean` emptied: their manifests are there, and the files that the manifests list are not."""

from collections.abc import Sequence

from starmill.core.dataset import Manifest, StageName, Workspace


def own_files(manifest: Manifest) -> list[tuple[str, int]]:
    """Return the path and the bytes of each file of a dataset's parts, without the rows of `dropped/`."""
    return [(made.path, made.bytes) for part in manifest.parts for made in part.outputs if not made.path.startswith("dropped/")]


def is_cleaned(workspace: Workspace, dataset: str) -> bool:
    """Say whether a complete dataset has none of its files any more."""
    manifest = workspace.manifest(dataset)
    files = own_files(manifest) if manifest else []
    return bool(files) and not any(workspace.exists(path) for path, _ in (files[0], files[-1]))


def first_kept(workspace: Workspace, stages: Sequence[StageName]) -> int:
    """Return which of the stages is the first whose dataset has files: 0 in a workspace that was not cleaned."""
    if not stages or not is_cleaned(workspace, stages[0].dataset):
        return 0
    return next((k for k, stage in enumerate(stages) if not is_cleaned(workspace, stage.dataset)), 0)
