"""A dataset of commits: a history of git's own making, read by the source of commits, as release would leave it.

HISTORY says what must come of each message.
"""

from pathlib import Path

import pyarrow as pa
from histories import commit, file, take

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.pipelines.sources.git.commits import Commits
from starmill.pipelines.sources.git.commits_text import Excerpt
from starmill.pipelines.sources.source import Limits

# Message, and what comes of it: nothing for an instruction.
HISTORY = [
    ("Add the first line of the file", "nothing_before"),
    ("Return the sum of three numbers", ""),
    ("[core] Fix the rounding of large values (old)", ""),
    ("io: Handle the end of a file [skip ci]", ""),
    ("returns the sum of two numbers", "not_capitalized"),
    ("Summation of three numbers is slow", "not_imperative"),
    ("Fix the rounding", "short_message"),
    ("Fix issue 12 of the rounding code", "speaks_of_elsewhere"),
    ("Fix what https://example.org says about rounding", "speaks_of_elsewhere"),
    ("Revert the rounding of all large values", "revert"),
    ("Merge branch 'rounding' of some other place", "merge"),
    ("Bump the version of all the things", "sets_a_version"),
    ("1.2.3 is what is released today", "sets_a_version"),
    ("Fix what I did wrong last week", "speaks_of_people"),
    ("Rename things in module the long way", "names_its_file"),
    ("Remove the parts that are work in progress", "says_nothing"),
    ("Write far more than is read", "too_long"),
    ("Clear up the last of it", "too_short"),
    ("Remove all that the file still has", "nothing_after"),
]


def text(number: int) -> str:
    """A file, in words that no other has."""
    lines = (f"    value_{number}_{line} = compute_{number * 7 + line}(argument_{number + line})\n" for line in range(6))
    return f"def function_{number}(arguments):\n{''.join(lines)}    return value_{number}_0\n"


def write(place: Path) -> Path:
    """Write the history, and `place/work` with its dataset. Return that workspace."""
    before = {"nothing_before": None, "too_short": "y = 1\n"}
    after = {"too_long": 40 * text(0), "too_short": "x = 1\n", "nothing_after": ""}
    paths = [f"{at}/module.py".encode() for at in range(len(HISTORY))]
    olds = [before.get(why, text(100 + at)) for at, (_, why) in enumerate(HISTORY)]
    stream = commit(1, b"Begin", [file(path, old.encode()) for path, old in zip(paths, olds, strict=True) if old is not None])
    for at, (message, why) in enumerate(HISTORY):
        stream += commit(at + 2, message.encode(), [file(paths[at], after.get(why, text(at)).encode())])
    take(place / "mirrors/own", stream)
    dataset(place / "work", place / "mirrors")
    return place / "work"


def dataset(place: Path, mirrors: Path, parts: int = 2) -> None:
    """Write the dataset of the histories below a folder, in parts."""
    source = Commits(roots=(str(mirrors),), per_file=None, show=Excerpt(whole_rate=1.0))
    rows = []
    for repository in source.plan():
        _, entries = source.read(repository, Limits())
        rows += [
            {
                "kind": "commit", "repo_name": repository.name, "path": f"/{one.path.decode()}", "content": one.data.decode(),
                "segments": one.segments, "revision_id": one.facts["revision_id"], "language": "Python",
            }
            for one in entries if one.data is not None and one.reason is None
        ]  # fmt: skip
    write_rows(place, [rows[part::parts] for part in range(parts)])


def write_rows(place: Path, parts: list[list[dict]]) -> None:  # type: ignore[type-arg]
    """Write dataset/ of rows."""
    workspace = Workspace(str(place))
    for part, some in enumerate(parts):
        table = ParquetPart(schema.DATASET)
        table.write(pa.RecordBatch.from_pylist(some, schema=schema.DATASET))
        data = table.close()
        made = Sidecar("release", "dataset", part, f"key-{part}", (output(part_path("dataset", part), data, len(some)),))
        workspace.commit(made, [data])
    workspace.finish("dataset", "key", len(parts), "0")
