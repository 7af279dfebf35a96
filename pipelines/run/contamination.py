"""What of benchmarks a finished data set holds: its records or its shards, searched by the matchers of decontamination, a block at a time.

Of shards each file's tokens are decoded by the shards' own tokenizer. Memory is that of a block of records, or of BATCH bytes of texts
and the document that they are of, whatever the size of the data.
"""

import collections
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from starmill.core.dataset import Workspace, part_number, part_path
from starmill.core.errors import InputError
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines import benchmarks
from starmill.reports.contamination import FILES, Benchmark, Place, Table, Task
from starmill.transforms.clean.overlap.index import NAMES, Matchers

DATASET, SHARDS, TOKENIZER = "dataset", "shards", "tokenizer/tokenizer.json"
BATCH = 8 << 20  # bytes of decoded texts that are searched at once
NAMED = ("repo_name", "path")
# Is told how many parts of how many are looked at.
Tell = Callable[[int, int], None]


def table(workspace: Workspace, names: Sequence[str], matchers: Matchers, of: str | None, tell: Tell) -> Table:
    """Search `of` a workspace, by default its dataset where it has one and else its shards, for these benchmarks.

    Raises InputError for a workspace that has neither, and as benchmarks.index does.
    """
    known = collections.Counter(task.benchmark for name in names for task in benchmarks.tasks(name))
    of = of or (DATASET if workspace.parts(DATASET) else SHARDS)
    if not workspace.parts(of):
        none = "no dataset/ and no shards/" if of == SHARDS and not workspace.parts(DATASET) else f"no {of}/"
        raise InputError(
            f"{workspace.root}: {none}, so nothing to look at; run `starmill run` first, or give another workspace"
        )
    # Compiled by numba, which takes a second to import: what can be refused is refused before.
    from starmill.transforms.clean.overlap.find import Finder

    finder = Finder(benchmarks.index(names), matchers)
    found: dict[tuple[str, str], list[Place]] = {}
    files: dict[tuple[str, str], int] = collections.Counter()
    by: dict[tuple[str, str], collections.Counter[str]] = {}
    per: collections.Counter[str] = collections.Counter()
    texts = size = contaminated = 0
    for block in _records(workspace, tell) if of == DATASET else _decoded(workspace, tell):
        column = block.column("content")
        texts, size = texts + len(column), size + sum(len(text.as_buffer()) for text in column if text.is_valid)
        for row, finds in enumerate(finder.finds(column)):
            contaminated += bool(finds)
            repo_name, path = (block.column(name)[row].as_py() for name in NAMED)
            first = {who: find for find in reversed(finds) for who in find.owners}  # the surest is the last to be written
            for who, find in sorted(first.items()):
                files[who] += 1
                by.setdefault(who, collections.Counter())[NAMES[find.matcher]] += 1
                if len(places := found.setdefault(who, [])) < FILES:
                    places.append(Place(repo_name, path, NAMES[find.matcher], find.start, find.end))
            per.update({benchmark for benchmark, _ in first})
    tasks = tuple(
        Task(*who, files[who], {name: by[who][name] for name in NAMES if by[who][name]}, tuple(found[who]))
        for who in sorted(found)
    )
    hit = collections.Counter(task.benchmark for task in tasks)
    told = tuple(Benchmark(name, count, hit[name], per[name]) for name, count in sorted(known.items()))
    return Table(of, texts, size, contaminated, told, tasks)


def _records(workspace: Workspace, tell: Tell) -> Iterator[pa.RecordBatch]:
    parts = [number for name in workspace.parts(DATASET) if (number := part_number(name.rpartition("/")[2])) is not None]
    for done, part in enumerate(parts):
        tell(done, len(parts))
        yield from workspace.blocks(part_path(DATASET, part), [*NAMED, "content"])
    tell(len(parts), len(parts))


def _decoded(workspace: Workspace, tell: Tell) -> Iterator[pa.RecordBatch]:
    shards = open_shards(workspace.root)
    tokenizer = Tokenizer(workspace.read(TOKENIZER))
    rows: list[dict[str, str]] = []
    size = 0
    for done, shard in enumerate(shards):
        tell(done, len(shards))
        for document in shard.table.select(["document", "repo_name", "files"]).to_pylist():
            ids = shard.tokens(document["document"])
            for file in document["files"]:
                start = file["token_start"]
                text = tokenizer.decode(ids[start : start + file["token_count"]])
                rows.append({"repo_name": document["repo_name"], "path": file["path"], "content": text})
                size += 4 * len(text)
                if size >= BATCH:
                    yield pa.RecordBatch.from_pylist(rows)
                    rows, size = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows)
    tell(len(shards), len(shards))
