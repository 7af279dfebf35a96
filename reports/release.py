"""A release in one folder, and whether all of it is there: `starmill assemble`.

    data/           what `starmill publish` writes: Parquet, data card, Croissant, SWHIDs, notices
    model/          what `starmill export` wrote: weights, tokenizer, model card
    attribution/    portrait and fingerprints of the dataset, and trigrams where they were made
    licenses/       the text of each licence that was found, and a table of them
    GOVERNANCE.md   the rules that it was made by, and how to be left out (reports/governance.py)
    release.json    every file with its size and sha256; written last

A file whose bytes are there already is not written again, so that a stopped release goes on. Nothing here depends on time or machine.
"""

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starmill.core import __version__
from starmill.core.dataset import Manifest, Workspace
from starmill.core.errors import InputError, UsageError
from starmill.core.files import TEMPORARY, refuse_links, replacing, write

LIST = "release.json"
LARGEST = 1 << 30  # bytes of the list
DATA = "data"  # where `publish` writes
INDEXES = {"portrait": "starmill portrait", "fingerprints": "starmill index"}  # that a release must have, and what makes them
MAY_HAVE = ("trigrams",)
PIECE = 1 << 20  # bytes that are copied at once
SHA256 = re.compile(r"[0-9a-f]{64}")
# What a release is made of: a file, or a folder with files, and what makes it.
PIECES = {
    "data": ("data/data/", "starmill publish"),
    "data card": ("data/README.md", "starmill publish"),
    "Croissant": ("data/croissant.json", "starmill publish"),
    "SWHIDs": ("data/swhids/", "starmill publish"),
    "notices": ("data/notices/", "starmill publish, without --no-notices"),
    "model card": ("model/README.md", "starmill export"),
    "weights": ("model/model.safetensors", "starmill export"),
    "tokenizer": ("model/tokenizer.json", "starmill export"),
    "portrait": ("attribution/portrait/", INDEXES["portrait"]),
    "fingerprints": ("attribution/fingerprints/", INDEXES["fingerprints"]),
    "licence texts": ("licenses/README.md", "starmill assemble"),
    "governance card": ("GOVERNANCE.md", "starmill assemble"),
}


@dataclass(frozen=True)
class File:
    """A file of a release."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Checked:
    """What is wrong with a folder: pieces that no file makes, files that are absent, changed, or that the list does not know."""

    release: str  # name and version
    files: int
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.absent or self.changed or self.unknown)


def indexes(workspace: Workspace) -> dict[str, Manifest]:
    """Return the manifests of what answers for a dataset. Raises UsageError where a needed one is absent."""
    found = {}
    for name in (*INDEXES, *MAY_HAVE):
        manifest = workspace.manifest(name)
        if manifest is None and name in INDEXES:
            raise UsageError(f"{workspace.root}: no {name}/manifest.json; run `{INDEXES[name]} {workspace.root}` first")
        if manifest is not None:
            found[name] = manifest
    return found


def refuse_foreign(to: Path) -> None:
    """Raise UsageError for a folder with files and without a release, InputError for one with a link, which would lead out of it."""
    if to.is_dir() and any(to.iterdir()) and not (to / DATA).is_dir():
        raise UsageError(f"--to {to}: a folder with files that are no release; give an empty or a new one")
    _there(to)


def model_files(model: Path) -> list[Path]:
    """Return the files of a model's folder, sorted. Raises InputError for one without a card, weights or tokenizer, or with a link."""
    for name in ("README.md", "model.safetensors", "tokenizer.json"):
        if not (model / name).is_file():
            raise InputError(f"{model}: no {name}; give the folder that `starmill export` wrote")
    found = [path for path in sorted(model.rglob("*")) if path.is_symlink() or not path.is_dir()]
    for path in found:
        refuse_links(str(model), path.relative_to(model).as_posix())
    return found


def copy_model(model: Path, to: Path) -> None:
    """Copy a model into a release."""
    for path in model_files(model):
        place = to / "model" / path.relative_to(model)
        if place.is_file() and _digest(place) == _digest(path):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary:
            shutil.copyfile(path, temporary, follow_symlinks=False)


def copy_indexes(workspace: Workspace, found: Mapping[str, Manifest], to: Path) -> None:
    """Copy portrait, fingerprints and trigrams with their manifests. Raises InputError for a file that is not what its manifest says."""
    for name, manifest in found.items():
        for made in (made for part in manifest.parts for made in part.outputs):
            place = to / "attribution" / made.path
            if place.is_file() and _digest(place) == made.sha256:
                continue
            data = workspace.read(made.path)
            if hashlib.sha256(data).hexdigest() != made.sha256:
                raise InputError(f"{workspace.path(made.path)}: its sha256 is not that of its manifest; run `starmill verify`")
            place.parent.mkdir(parents=True, exist_ok=True)
            write(place, data)
        write(to / "attribution" / name / "manifest.json", workspace.read(f"{name}/manifest.json"))


def licences(counts: Mapping[str, int], texts: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files of licenses/: the text of each id that has one, and a table that says how many records each is on."""
    files, rows = {}, []
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        there = name in texts and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,120}", name) is not None
        if there:
            files[f"licenses/{name}.txt"] = texts[name].encode("utf-8", "replace")
        rows.append(f"| {name.replace('|', ' ')} | {count:,} | {f'[text]({name}.txt)' if there else 'no text is known'} |")
    head = "# Licences that were found\n\nOf the records of `data/`; notices of their authors are in `data/notices/`.\n\n"
    table = "| licence | records | |\n|---|---|---|\n" + "\n".join(rows) if rows else "None was found."
    return {**files, "licenses/README.md": f"{head}{table}\n".encode()}


def put(to: Path, files: Mapping[str, bytes]) -> None:
    """Write small files of a release, and remove what an earlier one had in licenses/."""
    for path, data in files.items():
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        write(to / path, data)
    for old in sorted((to / "licenses").iterdir()):
        if f"licenses/{old.name}" not in files:
            old.unlink()


def finish(to: Path, name: str, version: str, digest: str) -> list[File]:
    """Write the list of all files, last. Raises UsageError where a piece is missing."""
    files = [File(path, size, _digest(to / path)) for path, size in _there(to) if path != LIST]
    if missing := _missing([one.path for one in files]):
        raise UsageError(f"{to}: not whole: " + "; ".join(f"no {piece} ({PIECES[piece][1]})" for piece in missing))
    listed = {one.path: {"bytes": one.bytes, "sha256": one.sha256} for one in files}
    said = {"format": 1, "starmill": __version__, "name": name, "version": version, "dataset": digest, "files": listed}
    write(to / LIST, (json.dumps(said, indent=1, sort_keys=True) + "\n").encode())
    return files


def check(place: Path) -> Checked:
    """Compare a release with its list, and the list with what a release must have. Raises InputError for a folder that is none."""
    try:
        with open(place / LIST, "rb") as file:
            said = json.loads(file.read(LARGEST))
        listed = {path: one["sha256"] for path, one in said["files"].items() if SHA256.fullmatch(one["sha256"])}
        release, all_read = f"{said['name']} {said['version']}", len(listed) == len(said["files"])
    except FileNotFoundError:
        raise InputError(
            f"{place}: no {LIST}, so no release, or one that is not finished; run `starmill assemble` again"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        all_read = False
    if not all_read:
        raise InputError(
            f"{place / LIST}: not the list of a release; run `starmill assemble` again, or take it from where it is published"
        )
    there = {path for path, _ in _there(place)} - {LIST}
    return Checked(
        release,
        len(listed),
        tuple(_missing([path for path in listed if path in there])),
        tuple(sorted(listed.keys() - there)),
        tuple(path for path in sorted(listed.keys() & there) if _digest(place / path) != listed[path]),
        tuple(sorted(there - listed.keys())),
    )


def lines(found: Checked) -> Iterator[str]:
    """Yield what `check` found for a person."""
    yield f"{found.release}: {found.files:,} files" + ("; all is there, with its sha256" if found.is_whole else "")
    yield from (f"missing  {piece}: {PIECES[piece][0]}, which `{PIECES[piece][1]}` writes" for piece in found.missing)
    for what, paths in (("absent", found.absent), ("changed", found.changed), ("unknown", found.unknown)):
        yield from (f"{what:<8} {path}" for path in paths)


def _missing(paths: Sequence[str]) -> list[str]:
    return [
        piece
        for piece, (at, _) in PIECES.items()
        if not any(path.startswith(at) if at.endswith("/") else path == at for path in paths)
    ]


def _there(place: Path) -> list[tuple[str, int]]:
    """Return the files below a folder with their sizes, sorted. Raises InputError for a link, a pipe or a device."""
    found = []
    for path in sorted(place.rglob("*")):
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(place).as_posix()
        refuse_links(str(place), name)
        if not path.name.startswith(TEMPORARY):
            found.append((name, path.stat().st_size))
    return found


def _digest(place: Path) -> str:
    with open(place, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data(files: Sequence[File], to: str) -> dict[str, Any]:
    """Return what was released as plain data, for JSON."""
    return {
        "to": to,
        "files": len(files),
        "bytes": sum(one.bytes for one in files),
        "pieces": {n: p for n, (p, _) in PIECES.items()},
    }
