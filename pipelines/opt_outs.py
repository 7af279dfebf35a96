"""Where lists of opt-outs come from: files and URLs that a recipe names, each with its date."""

import lzma
import zlib
from dataclasses import dataclass
from typing import Annotated

import msgspec

from starmill.core.errors import InputError, one_line
from starmill.core.names import Place
from starmill.core.storage import named
from starmill.transforms.decide.optout import OptOut, Origin, digest_of, joined, wishes

MOST = 1 << 28  # bytes of a list


@dataclass(frozen=True)
class OptOutList:
    """A list of who and what opted out: where it lies, and of when it is (transforms/decide/optout.py has its forms)."""

    list: Place  # a path or URL
    date: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d\Z", description="a date such as 2026-11-27")]


def read(lists: tuple[OptOutList, ...]) -> OptOut:
    """Read lists into the step. Raises NotThere, MachineError, or InputError with the file, the line and the value."""
    several, origins = [], []
    for one in lists:
        with named("curate.opt_out", one.list, mode="rb", compression="infer") as file:
            try:
                data = file.read(MOST + 1)
            except (EOFError, zlib.error, lzma.LZMAError) as error:
                raise InputError(
                    f"curate.opt_out: {one.list}: {one_line(error)}; it is cut off or damaged: fetch it again"
                ) from None
        if len(data) > MOST:
            raise InputError(f"curate.opt_out: {one.list}: above {MOST:,} bytes, the most that a list may have; divide it")
        try:
            lines = data.decode("utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise InputError(
                f"curate.opt_out: {one.list}, line {line}: {data[error.start : error.start + 20]!r}: not UTF-8; save the list as UTF-8"
            ) from None
        found = wishes(lines, f"curate.opt_out: {one.list}")
        if not len(found):
            raise InputError(f"curate.opt_out: {one.list}: names nothing; give another list, or leave it out")
        several.append(found)
        origins.append(Origin(one.date, digest_of(data), len(found)))
    return OptOut(joined(several), tuple(origins))
