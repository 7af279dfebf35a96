"""Annotated texts: the columns of bigcode/bigcode-pii-dataset, in JSONL or parquet, one text and its fragments a row.

`text` and `fragments`, a list of {`category`, `position` [start, end] in characters}; other columns are left alone. Categories that a
recipe does not train (AMBIGUOUS, ID, NAME_EXAMPLE, ...) are no fragments.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from starmill.core.errors import InputError, NotThere
from starmill.core.files import write as write_whole

Span = tuple[int, int, str]
# Labels of the annotated set that are spelled otherwise in older files of it.
SAME = {"EMAIL_LICENSE": "EMAIL", "NAME_LICENSE": "NAME", "USERNAME_LICENSE": "USERNAME"}
MOST_LINE = 64 << 20  # characters of a row of JSONL: a file without line ends would be read whole


class Example(NamedTuple):
    """A text and what is in it: (start, end, kind), in order and apart; `format`: which formats were planted, if any."""

    text: str
    spans: tuple[Span, ...]
    format: str = ""


def read(place: str, kinds: Collection[str]) -> list[Example]:
    """Return the examples of a JSONL or parquet file, or of all in a folder. Raises NotThere or InputError, naming file and row."""
    there = Path(place)
    if there.is_dir():
        files = sorted(p for p in there.rglob("*") if p.suffix in (".jsonl", ".json", ".parquet") and p.is_file())
        if not files:
            raise InputError(f"{place}: no .jsonl or .parquet in it; give the annotated set's files")
        return [example for file in files for example in read(str(file), kinds)]
    try:
        return [_example(row, kinds, f"{place}: row {number}") for number, row in enumerate(_rows(there), 1)]
    except FileNotFoundError:
        raise NotThere(f"{place}: no such file; `starmill plant` makes one") from None


def write(place: str | Path, examples: Iterable[Example]) -> None:
    """Write examples as JSONL that `read` reads."""
    rows = (
        {
            "text": example.text,
            "fragments": [
                {"category": kind, "position": [start, end], "value": example.text[start:end]}
                for start, end, kind in example.spans
            ],
            "format": example.format,
        }
        for example in examples
    )
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    write_whole(Path(place), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "replace"))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".parquet":
        try:
            with pq.ParquetFile(file) as table:
                names = [name for name in ("text", "content", "fragments", "format") if name in table.schema_arrow.names]
                for block in table.iter_batches(columns=names):
                    yield from block.to_pylist()
        except (ValueError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise InputError(f"{file}: not a parquet file that can be read ({error!s:.200})") from None
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(MOST_LINE + 1), ""), 1):
            if len(line) > MOST_LINE:
                raise InputError(f"{file}: line {number} has more than {MOST_LINE:,} characters; give one object a line")
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise InputError(f"{file}: line {number} is not JSON; give one object a line") from None
            if not isinstance(row, dict):
                raise InputError(f"{file}: line {number} is no object; give one object a line")
            yield row


def _example(row: dict[str, Any], kinds: Collection[str], where: str) -> Example:
    text, fragments = row.get("text", row.get("content")), row.get("fragments")
    if not isinstance(text, str) or not isinstance(fragments, list):
        raise InputError(f"{where}: `text` (a text) and `fragments` (a list) are needed; give the annotated set's columns")
    spans: list[Span] = []
    for fragment in fragments:
        try:
            category, (start, end) = str(fragment["category"]), fragment["position"]
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{where}: a fragment is {{category, position: [start, end]}}, got {fragment!r:.200}") from None
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= len(text)):
            raise InputError(f"{where}: position={fragment['position']!r:.100} is not in a text of {len(text)} characters")
        kind = SAME.get(category, category)
        if kind in kinds and start < end:
            spans.append((start, end, kind))
    apart: list[Span] = []
    for span in sorted(spans, key=lambda s: (s[0], -s[1])):
        if not apart or span[0] >= apart[-1][1]:
            apart.append(span)
    return Example(text, tuple(apart), str(row.get("format") or ""))
