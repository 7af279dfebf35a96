"""Posts of Stack Exchange as they lie in a dump: its rows written by lxml."""

from collections.abc import Iterable
from pathlib import Path

import lxml.etree

Row = dict[str, str]


def question(number: int, body: str = "<p>Why?</p>", **more: object) -> Row:
    return row(number, PostTypeId=1, Body=body, **more)


def answer(number: int, of: int, body: str = "<p>So.</p>", **more: object) -> Row:
    return row(number, PostTypeId=2, ParentId=of, Body=body, **more)


def row(number: int, **values: object) -> Row:
    return {"Id": str(number), **{name: str(value) for name, value in values.items()}}


def dump(rows: Iterable[Row]) -> bytes:
    """Return Posts.xml."""
    lines = []
    for values in rows:
        element = lxml.etree.Element("row")
        for name, value in values.items():
            element.set(name, value)
        lines.append(b"  " + lxml.etree.tostring(element, encoding="utf-8") + b"\n")
    return b'<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + b"".join(lines) + b"</posts>\n"


def write(file: Path, rows: Iterable[Row]) -> Path:
    """Write Posts.xml."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(dump(rows))
    return file
