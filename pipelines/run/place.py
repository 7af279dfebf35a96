"""What is checked before anything starts, without Beam: where a workspace may lie, the inputs, and the datasets that a stage needs.

A workspace lies apart from what is read, in a folder or bucket prefix of its own, which a file in it marks.
"""

from dataclasses import replace
from pathlib import Path

from starmill.core import skips
from starmill.core.dataset import LAST_RUN, LastRun, Manifest, Workspace
from starmill.core.errors import InputError, UsageError
from starmill.core.files import is_leftover, refuse_below_file
from starmill.pipelines import stages
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.source import Source

MARK = ".starmill"
MARKED = b"A workspace of starmill: a run removes and replaces files here.\n"
BEFORE = (".lock", ".probe", skips.LIST)  # what a run that was killed early may have left, and a list that was copied here


def check(workspace: Workspace, options: Recipe) -> None:
    """Raise UsageError for a workspace inside an input, or around one, or among files that are not starmill's. Writes nothing."""
    if workspace.is_local:
        refuse_below_file("--workspace", workspace.root)
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


def check_inputs(options: Recipe) -> None:
    """Raise InputError where there is no source, or what one names is not there, or an empty folder."""
    if not options.sources:
        raise InputError(
            "no repositories found without `sources` in the recipe; give --input DIR with git repositories or folders"
        )
    for name, source in options.sources.items():
        if vars(source).get("roots") == ():
            raise InputError(f"sources.{name}.roots: [], so nothing to read; give at least one folder")
        for root in source.places():
            if (source.takes_files and Path(root).is_file()) or (Path(root).is_dir() and any(Path(root).iterdir())):
                continue
            kind = "file or folder" if source.takes_files else "folder"
            empty, fix = "nothing to read", f"give the {kind} that holds the dump"
            if isinstance(source, Folders):  # which is what --input gives
                empty, fix = "no repositories found", "give one that holds repositories, here or with --input"
            what = f"an empty folder, so {empty}" if Path(root).is_dir() else f"no such {kind}"
            raise InputError(f"sources.{name}{_option(source, root)}: {root}: {what}; {fix}")


def _option(source: Source, place: str) -> str:
    """Return the option that holds a place, with a dot before it."""
    held = ((name, value if isinstance(value, tuple) else (value,)) for name, value in vars(source).items())
    return next((f".{name}" for name, places in held if place in places), "")


def complete(workspace: Workspace, dataset: str, wanted_by: str) -> Manifest:
    """Return the manifest of a dataset. Raises UsageError where its stage is not complete."""
    manifest = workspace.manifest(dataset)
    if manifest is None:
        maker = next(name for name in stages.STAGES if stages.load(name).dataset == dataset)
        raise UsageError(
            f"{wanted_by}: {workspace.path(dataset)} has no manifest, so stage {maker} is not complete; run `starmill {maker}` first"
        )
    return manifest


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
