"""Files of benchmarks: found in a folder that the user names or in an installed package, and known by the digest of their bytes.

`benchmarks.json` says of each file its sha256 (uncompressed), its rows, its licence, and the repository that publishes it; none of their
texts is in this project. Layout below the folder: `<benchmark>/<file>`, plain or with `.gz` behind the name. A file that could not be had
when the table was made has no sha256: any is taken, and said.
"""

import csv
import functools
import gzip
import hashlib
import importlib.util
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from starmill.core.errors import InputError, NotThere, one_line
from starmill.core.files import read_small

MAX_BYTES = 4 << 30  # of one file, uncompressed: LiveCodeBench's tests have a gigabyte and more


@dataclass(frozen=True)
class Known:
    """What is known of a file, as of the date in the table."""

    sha256: str  # "" where it is not known
    rows: int  # 0 where it is not known
    licence: str
    source: str  # repository@revision:path
    package: str = ""  # one of PyPI that has the file, as package:path


@dataclass(frozen=True)
class Found:
    """The rows of a file, the digest of its bytes, and what the user should know of it ("" if nothing)."""

    rows: Sequence[Mapping[str, Any]]
    sha256: str
    warning: str = ""


@functools.cache
def known() -> dict[str, Known]:
    """Return the table of files, by name."""
    table = json.loads(resources.files("starmill.evaluation").joinpath("benchmarks.json").read_text("utf-8"))
    return {name: Known(**row) for name, row in table["files"].items()}


def read(name: str, folder: Path | None, any_version: bool = False) -> Found:
    """Return a file of the table, from `folder` or from an installed package.

    Raises NotThere with where to get it, InputError for a file that is damaged, or, unless `any_version`, is another version.
    """
    file = known()[name]
    place = _place(name, file, folder)
    data = _bytes(place)
    digest, warning = hashlib.sha256(data).hexdigest(), ""
    if not file.sha256:
        warning = f"{name}: sha256 {digest[:16]}..., and which one is right is not known here ({file.source})"
    elif digest != file.sha256:
        warning = (
            f"{name}: sha256 {digest[:16]}..., and the known file has {file.sha256[:16]}... ({file.source}): scores may differ"
        )
        if not any_version:
            raise InputError(f"{place}: another version than the known one: {warning}; get that one, or give --any-version")
    try:
        rows = _rows(name, data)
    except (ValueError, csv.Error) as error:
        kind = name.rpartition(".")[2].upper().replace("JSONL", "JSON")
        raise InputError(f"{place}: not {kind}: {one_line(error):.200}; get it again from {file.source}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{place}: not a table of objects; get it again from {file.source}")
    return Found(rows, digest, warning)


def _rows(name: str, data: bytes) -> Any:
    """Return the rows of a file by the ending of its name: of an object of JSON a row for each key, of plain text one for each line."""
    ending = name.rpartition(".")[2]
    if ending == "json":
        found = json.loads(data)
        return [{"name": key, "value": value} for key, value in found.items()] if isinstance(found, dict) else found
    if ending == "jsonl":
        return [json.loads(line) for line in data.splitlines() if line.strip()]
    lines = io.StringIO(data.decode("utf-8-sig"), newline="")
    if ending == "txt":
        return [{"line": line.strip()} for line in lines if line.strip()]
    tabs = ending == "tsv"
    return [*(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.DictReader(lines))]


def _place(name: str, file: Known, folder: Path | None) -> Path:
    tried = [folder / f"{name}{ending}" for ending in ("", ".gz")] if folder else []
    package, _, inside = file.package.partition(":")
    spec = importlib.util.find_spec(package) if package else None
    tried += [Path(root) / inside for root in (spec.submodule_search_locations or [] if spec else [])]
    for place in tried:
        if place.is_file():
            return place
    also = f", or `pip install {package.replace('_', '-')}`" if package else ""
    where = f"{folder}: no {name} or {name}.gz" if folder else f"no --benchmarks, and {name} is needed"
    raise NotThere(f"{where}; put there what {file.source} publishes ({file.licence}){also}")


def _bytes(place: Path) -> bytes:
    data = read_small(place, MAX_BYTES)
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.open(place) as file:
            data = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{place}: damaged gzip ({one_line(error):.100}); get it again") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{place}: above {MAX_BYTES:,} bytes uncompressed; give the right file")
    return data
