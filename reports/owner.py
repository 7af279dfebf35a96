"""What a release has of one owner of repositories, for people who ask whether their code is in it: `starmill owner`."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.compute as pc

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.core.terminal import escaped

RELEASE = "dataset"


@dataclass(frozen=True)
class Repository:
    """A repository in a release: its files, their bytes in UTF-8, and how many files each licence is on ("" for none found)."""

    name: str
    files: int
    bytes: int
    licenses: dict[str, int]


def repositories(workspace: Workspace, owner: str) -> list[Repository]:
    """Return the repositories of an owner, sorted by name; upper and lower case are one, as on GitHub. Raises InputError without a release.

    Reads a few columns of the release, and no text.
    """
    manifest = workspace.manifest(RELEASE)
    if manifest is None:
        raise InputError(f"{workspace.root}: no {RELEASE}/manifest.json, so no release; run `starmill run` first")
    files, sizes = Counter[str](), Counter[str]()
    licenses: dict[str, Counter[str]] = defaultdict(Counter)
    for path in (o.path for p in manifest.parts for o in p.outputs if o.path.startswith(f"{RELEASE}/")):
        for block in workspace.blocks(path, ["repo_name", "length_bytes", "detected_licenses"]):
            mine = pc.starts_with(block.column("repo_name"), f"{owner.strip('/')}/", ignore_case=True)
            for row in block.filter(pc.fill_null(mine, False)).to_pylist():
                name = row["repo_name"]
                files[name] += 1
                sizes[name] += row["length_bytes"] or 0
                licenses[name].update(row["detected_licenses"] or [""])
    return [Repository(name, files[name], sizes[name], dict(sorted(licenses[name].items()))) for name in sorted(files)]


def request(owner: str, found: list[Repository], release: str) -> str:
    """Return a request to be left out, as a list of opt-outs has it: the owner, and remarks that say what of it is in a release.

    `release` is its digest. Names come from a dump: what does not print in them is escaped, so that each stays a remark.
    """
    files, size = sum(one.files for one in found), sum(one.bytes for one in found)
    return "\n".join(
        (
            "# Please leave what is mine out of the next release, and take it out of this one.",
            f"# Release {release}: {len(found):,} repositories, {files:,} files, {size:,} bytes",
            owner.strip("/"),
            "# Or only some of it: instead of the line above, those of these that are meant, without the #",
            *(f"# {escaped(one.name)}" for one in found),
        )
    )


def lines(owner: str, found: list[Repository]) -> Iterator[str]:
    """Yield what a person reads."""
    for one in found:
        shown = ", ".join(f"{name or 'no licence found'} {count:,}" for name, count in one.licenses.items())
        yield f"{one.name}  {one.files:,} files, {one.bytes / 1e6:,.1f} MB  ({shown})"
    size = sum(one.bytes for one in found)
    files = sum(one.files for one in found)
    yield f"{owner}: {len(found):,} repositories, {files:,} files, {size / 1e6:,.1f} MB in this release"
