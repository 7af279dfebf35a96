"""StarCoder's and SantaCoder's filters beside bigcode-dataset's own logic, over all files of real trees: how many decisions agree, MB/s.

    .venv/bin/python benchmarks/filters.py [--megabytes 60] [--input DIR ...] [--inspection visual_inspection.csv] [--write]

Files are those of this machine's standard library, packages and /usr, or those below --input: a draw that the seed fixes, up to
--megabytes, UTF-8 and at most 1 MiB each. Both sides get the same texts with the language that linguist's rules give. The peer is
`peers/filtering.py`; its table of extensions is ours, or with --inspection the file of bigcode-dataset. Ours are the rules of recipes
`starcoderdata` and `santacoder`, with what they measure. MB are 10^6 bytes of text; seconds are of the CPU, with the process that parses.
"""

import argparse
import csv
import os
import random
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path

import psutil
import pyarrow as pa
import report
from peers import filtering

from starmill.core import recipe
from starmill.transforms.decide.quality import Comments as CommentRule
from starmill.transforms.decide.quality import Quality
from starmill.transforms.measure.comments import Comments
from starmill.transforms.measure.html import VisibleText
from starmill.transforms.measure.language import DetectLanguage
from starmill.transforms.measure.text import Text
from starmill.transforms.step import Split

BLOCK = 1000  # files
LARGEST = 1 << 20  # bytes of a file
SHOWN = 5  # files of each kind of difference


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    places = [sysconfig.get_paths()[n] for n in ("stdlib", "purelib")]
    places += ["/usr/share", "/usr/lib", "/usr/include", "/usr/local/go"]
    parser.add_argument("--input", nargs="+", default=places, metavar="DIR")
    parser.add_argument("--megabytes", type=float, default=60, help="of text (default: 60)")
    parser.add_argument("--inspection", type=Path, help="bigcode-dataset's preprocessing/visual_inspection.csv")
    report.add_write(parser)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore", SyntaxWarning)
    block = pa.RecordBatch.from_pylist(list(files(options.input, options.megabytes)))
    report.tell("filters", compared(block, table(options.inspection), options.inspection is None), options.write)


def files(folders: list[str], megabytes: float) -> Iterator[dict[str, str]]:
    """Yield a draw of the files."""
    paths = sorted({path for folder in folders for path in Path(folder).rglob("*")})
    random.Random(0).shuffle(paths)
    size = 0
    for path in paths:
        try:
            if not path.is_file() or path.is_symlink() or not 0 < path.stat().st_size <= LARGEST:
                continue
            text = path.read_bytes().decode()
        except (UnicodeDecodeError, OSError):
            continue
        if "\0" in text or not text.strip():
            continue
        stem, dot, extension = path.name.rpartition(".")
        yield {"repo_name": "r", "path": str(path), "extension": extension if dot and stem else "", "content": text}
        size += len(text.encode())
        if size > megabytes * 1e6:
            return


def table(inspection: Path | None) -> dict[tuple[str, str], filtering.Limits]:
    """Return the peer's table: by the names of linguist where it is ours, by bigcode-dataset's own where it is its file."""
    if inspection is None:
        text = resources.files("starmill.transforms.decide").joinpath("data/starcoder.csv").read_text("utf-8")
        rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
        names = ("keep", "max_line_chars", "min_alphanum", "min_alpha")
    else:
        rows = csv.DictReader(inspection.read_text("utf-8").splitlines())
        names = ("Include", "Long_line_threshold", "Alphanum_threshold", "Alpha filter")
    made = {}
    for row in rows:
        keep, *limits = (row[name] for name in names)
        if keep == "1":
            made[row["language"], row["extension"]] = filtering.Limits(*map(number, limits))
    return made


def number(text: str) -> float | None:
    """Return a threshold; None for what is no number."""
    try:
        return float(text)
    except ValueError:
        return None


def theirs(language: str, own: bool) -> str:
    """Return the name that bigcode-dataset's table has for a language."""
    return language if own else {"C#": "c-sharp", "F#": "f-sharp"}.get(language, language.lower().replace(" ", "-"))


def compared(block: pa.RecordBatch, limits: dict[tuple[str, str], filtering.Limits], own: bool) -> Iterator[str]:
    """Yield the lines of the result; `own`: the table has linguist's names."""
    block = DetectLanguage()(block)
    sizes = [len(text.as_buffer()) for text in block.column("content")]
    yield f"## {date.today()}, one core of {os.cpu_count()} ({report.processor()})"
    yield ""
    yield f"{block.num_rows:,} files of {sum(sizes) / 1e6:.1f} MB; load average at the start {os.getloadavg()[0]:.1f}."
    yield ""
    yield "| filters | files | MB | kept by ours | decided alike | share | ours, MB/s | filtering.py's logic, MB/s |"
    yield "|---|---|---|---|---|---|---|---|"
    differ: list[str] = []
    for name, sides in (("StarCoder's", starcoder), ("SantaCoder's comments", santacoder)):
        rows, mine, its, spent = sides(block, limits, own)
        alike = sum((a is None) == (b is None) for a, b in zip(mine, its, strict=True))
        size = sum(sizes[row] for row in rows) / 1e6
        yield (
            f"| {name} | {len(rows):,} | {size:.1f} | {sum(a is None for a in mine):,} | {alike:,} | {alike / max(1, len(rows)):.2%} "
            f"| {size / spent[0]:.1f} | {size / spent[1]:.1f} |"
        )
        kinds = Counter[tuple[str, str]]()
        paths = block.column("path")
        for row, a, b in zip(rows, mine, its, strict=True):
            if (a is None) != (b is None):
                kinds[str(a), str(b)] += 1
                if kinds[str(a), str(b)] <= SHOWN:
                    differ.append(f"- {name}: ours {a or 'keeps'}, theirs {b or 'keeps'}: {paths[row]}")
        differ += [f"- {name}: ours {a}, theirs {b}: {count} in all" for (a, b), count in sorted(kinds.items())]
    yield from ("", *differ)


def starcoder(block: pa.RecordBatch, limits: dict[tuple[str, str], filtering.Limits], own: bool) -> tuple:
    """Return the rows, our reasons and theirs, and the CPU seconds of both."""
    steps = recipe.build(Quality, recipe.read("starcoderdata")["curate"]["quality"]).steps()
    blocks = [block.slice(at, BLOCK) for at in range(0, block.num_rows, BLOCK)]

    def decided(some: pa.RecordBatch) -> list[str | None]:
        here = VisibleText()(Text()(some)).append_column("row", pa.array(range(some.num_rows)))
        reasons: list[str | None] = [None] * some.num_rows
        for step in steps:
            made = step(here)
            assert isinstance(made, Split)
            for row, reason in zip(made.dropped.column("row").to_pylist(), made.reasons, strict=True):
                reasons[row] = reason
            here = made.kept
        return reasons

    for some in blocks:  # compiles
        decided(some)
    started = clock()
    mine = [reason for some in blocks for reason in decided(some)]
    between = clock()
    if own:
        its = [filtering.kept(*row, limits) for row in rows_of(block)]
    else:
        # XSLT, JSON, YAML and HTML by linguist's names, the table by the other's.
        its = [
            filtering.kept(language, extension, text, {(language, extension): row} if row else {})
            for language, extension, text in rows_of(block)
            for row in [limits.get((theirs(language, own), extension))]
        ]
    return range(block.num_rows), mine, its, (between - started, clock() - between)


def santacoder(block: pa.RecordBatch, limits: object, own: bool) -> tuple:
    """Return the same of the languages that SantaCoder had."""
    del limits, own
    rule = CommentRule()
    rows = [row for row, language in enumerate(block.column("language").to_pylist()) if language in rule.languages]
    some = block.take(pa.array(rows, pa.int64()))
    blocks = [some.slice(at, BLOCK) for at in range(0, some.num_rows, BLOCK)]
    Comments()(blocks[0].slice(0, 20))
    started = clock()
    shares = [share for one in blocks for share in Comments()(one).column("comment_fraction").to_pylist()]
    languages = some.column("language").to_pylist()
    mine = [rule.judge(language, share) for language, share in zip(languages, shares, strict=True)]
    between = clock()
    its = [filtering.comment_share(text, language) for language, _, text in rows_of(some)]
    spent = (between - started, clock() - between)
    return rows, mine, [None if 0.01 < share < 0.8 else "few" if share <= 0.01 else "many" for share in its], spent


def rows_of(block: pa.RecordBatch) -> Iterator[tuple[str, str, str]]:
    """Yield the language, extension and text of each row."""
    for language, extension, text in zip(
        *(block.column(n).to_pylist() for n in ("language", "extension", "content")), strict=True
    ):
        yield language or "", extension, text


def clock() -> float:
    """Return the CPU seconds of this process and of its children."""
    lent = (child.cpu_times() for child in psutil.Process().children())
    return time.process_time() + sum(times.user + times.system for times in lent)


if __name__ == "__main__":
    main()
