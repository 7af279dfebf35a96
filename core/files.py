"""Files of this machine that are there whole or not at all: written under another name, synced, and renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

TEMPORARY = ".tmp-"  # how names of files begin that are being written


@contextmanager
def replacing(place: Path, writer: str = "") -> Iterator[Path]:
    """Give a path beside `place` to write a file at; at the end of the block the file takes the place, after an error it is removed.

    `writer` tells processes apart that may write the same place at the same time. A single writer leaves it out: then a killed
    one's leftover is overwritten by the next.
    """
    temporary = place.with_name(f"{TEMPORARY}{writer}{place.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def write(place: Path, data: bytes | pa.Buffer, writer: str = "") -> None:
    """Write a whole file in place of what is there."""
    with replacing(place, writer) as temporary:
        temporary.write_bytes(data)
