"""Where a workspace may lie: apart from what is read, and in a folder or bucket prefix of its own, which a file in it marks."""

from dataclasses import replace
from pathlib import Path

from starmill.core.dataset import LAST_RUN, LastRun, Workspace
from starmill.core.errors import UsageError
from starmill.core.files import is_leftover
from starmill.pipelines.recipe import Recipe

MARK = ".starmill"
MARKED = b"A workspace of starmill: a run removes and replaces files here.\n"
BEFORE = (".lock", ".probe")  # what a run that was killed early may have left


def check(workspace: Workspace, options: Recipe) -> None:
    """Raise UsageError for a workspace inside an input, or around one, or among files that are not starmill's. Writes nothing."""
    here = Path(workspace.root).resolve()
    for name, source in options.sources.items():
        for root in source.places() if workspace.is_local else ():
            there = Path(root).resolve()
            if here.is_relative_to(there) or there.is_relative_to(here):
                where = "is" if here == there else "lies inside" if here.is_relative_to(there) else "is around"
                raise UsageError(
                    f"workspace {str(here)!r} {where} the input {str(there)!r} (source {name}), so that a run would read what it writes, "
                    "and remove what it reads; give --workspace a folder apart from it"
                )
    if foreign := _foreign(workspace):
        some = ", ".join(map(repr, foreign[:3]))
        raise UsageError(
            f"workspace {workspace.root!r} holds files that are not starmill's ({some}; {len(foreign)} in all), among which a run would "
            f"remove and replace its own; give --workspace an empty folder (if a run made this one, put an empty file {MARK} into it)"
        )


def claim(workspace: Workspace) -> None:
    """Mark a workspace as starmill's."""
    if not workspace.exists(MARK) or workspace.read(MARK) != MARKED:
        workspace.publish(MARK, MARKED)


def _foreign(workspace: Workspace) -> list[str]:
    """Return the names of the files and folders in what is no workspace yet."""
    workspace = replace(workspace, patience=min(workspace.patience, 10))  # a bucket without access is told now
    if workspace.exists(MARK) or (workspace.is_local and not Path(workspace.root).is_dir()):
        return []
    found = [name for name in workspace.files("") if name not in BEFORE and not is_leftover(name)]
    # Workspaces that were made before there was a mark have this file.
    return [] if LAST_RUN in found and workspace.load(LAST_RUN, LastRun) is not None else found
