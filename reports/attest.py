"""`starmill attest`: whether a folder is what an attestation of a withdrawal says, by nothing but the files.

An attestation has the digest of each file before and after, and that of the list. What it says holds where each file has its digest of
after, files that went are not there, and no file below the folder has a digest that went.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from starmill.core.dataset import Workspace, at_once
from starmill.core.errors import InputError
from starmill.core.files import is_leftover

FORMAT = 1
LARGEST = 1 << 31  # bytes of an attestation: a line of 200 bytes for each file
PUBLISHED = "starmill.json"  # marks a folder that `starmill publish` wrote


class Bytes(msgspec.Struct):
    """A file as it was, or is."""

    sha256: str
    bytes: int


class File(msgspec.Struct):
    """A file before and after a withdrawal; null where it was not there, or is not."""

    path: str
    before: Bytes | None
    after: Bytes | None


class Attestation(msgspec.Struct):
    """What is read of one: the files of the workspace, and those of the folder that was published."""

    format: Literal[1]
    files: list[File]
    published: list[File] = []


@dataclass(frozen=True)
class Attested:
    """What was compared: `files` that are as said, `changed` of them by the withdrawal, and a line for each that is not as said.

    `absent` folders have none of their files here, and were not compared.
    """

    files: int
    changed: int
    wrong: tuple[str, ...]
    absent: tuple[str, ...]


def read(data: bytes, where: str) -> Attestation:
    """Read an attestation. Raises InputError for anything else."""
    try:
        return msgspec.json.decode(data, type=Attestation)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(
            f"{where}: not an attestation of a withdrawal ({error}); give the file that `starmill withdraw` wrote"
        ) from None


def attest(attestation: Attestation, folder: Workspace) -> Attested:
    """Compare a folder or bucket prefix with an attestation. Raises InputError where nothing of it is there."""
    there = sorted(path for path in folder.below("") if not is_leftover(path))
    said = attestation.published if PUBLISHED in there else attestation.files
    here = {path.rpartition("/")[0] for path in there}
    files = [f for f in said if f.path.rpartition("/")[0] in here or "/" not in f.path]
    if not said or not files:
        raise InputError(
            f"{folder.root}: has none of the files of the attestation; give the workspace, the shards' copy or what was published"
        )
    found = dict(zip(there, at_once(lambda path: _sha256(folder, path), there, 8), strict=True))
    now = {f.after.sha256 for f in said if f.after}
    went = {f.before.sha256: f.path for f in said if f.before and f.before.sha256 not in now}
    wrong = []
    for file in files:
        if file.after is None and file.path in found:
            wrong.append(f"{file.path}: is there, and was taken out")
        elif file.after is not None and found.get(file.path) != file.after.sha256:
            wrong.append(f"{file.path}: {'is not there' if file.path not in found else 'has another sha256'}")
    wrong += [
        f"{path}: has the bytes of {went[sha256]} before the withdrawal" for path, sha256 in found.items() if sha256 in went
    ]
    absent = {f.path.rpartition("/")[0] for f in said} - {f.path.rpartition("/")[0] for f in files}
    return Attested(len(files), sum(f.before != f.after for f in files), tuple(wrong), tuple(sorted(absent)))


def data(found: Attested) -> dict[str, Any]:
    """Return what was compared as plain data, for JSON."""
    return {"holds": not found.wrong, **vars(found)}


def lines(found: Attested, where: str) -> list[str]:
    """Return what was compared for people."""
    told = [f"{where}: {found.files:,} files as attested, {found.changed:,} of them changed by the withdrawal"]
    if found.wrong:
        told = [f"{where}: not as attested:", *(f"  {line}" for line in found.wrong)]
    return [*told, *(f"  not here, so not compared: {folder}/" for folder in found.absent)]


def _sha256(folder: Workspace, path: str) -> str:
    try:
        return folder.sha256(path)
    except FileNotFoundError:  # removed meanwhile
        return hashlib.sha256().hexdigest()
