"""What tokenize would take by a recipe's mixture, and how many tokens that would be: `starmill mix`, before anything is tokenized.

Records and bytes come from the manifest of the dataset, so that it takes seconds at any size. What no manifest tells (how many bytes a
token has, the weights, the files that are taken by their names) is measured on a few row groups, the same ones each time.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import seeds
from starmill.core.dataset import Manifest, Workspace, part_path
from starmill.core.document import CODE
from starmill.core.storage import named
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.place import complete
from starmill.pipelines.stages import vocabulary
from starmill.reports.mixture import DATASET, Row, Table, of_dataset, of_shards
from starmill.transforms.decide.mix import Take
from starmill.transforms.tokenize import tokenize

# StarCoder2: 1,923 GB of code (paper, table 1) are 775.48 B tokens (table 4).
BYTES_A_TOKEN = 1923 / 775.48
PARTS, BLOCKS = 4, 4  # parts that are looked at for a kind, and row groups of each
TEXT, LONGEST = 64 << 10, 1 << 20  # bytes that are tokenized of a row group, and of one record
STATED = f"tokens are estimated at {BYTES_A_TOKEN:.2f} bytes each, as StarCoder2's code had: there is no tokenizer yet"
SAMPLED = "tokens are estimated: a sample of each kind was tokenized"
SHARDED = "tokens are estimated at as many bytes each as in the shards that are there"


@dataclass(frozen=True)
class Sample:
    """Found in the sample: bytes a token by kind, the mean weight by kind, and the share of a language's bytes that is taken by name."""

    sizes: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    named: dict[str, float] = field(default_factory=dict)


def expected(options: Recipe, workspace: Workspace) -> Table:
    """Return the mixture that a recipe would make of the workspace's dataset. Raises UsageError before the dataset is complete."""
    dataset = complete(workspace, DATASET, "mix")
    sums = workspace.summary(DATASET)
    assert sums is not None  # its manifest is there
    take = options.mix.of(sums.counts)
    tokenizer = _tokenizer(options, workspace)
    there = of_shards(workspace)
    by_shards = there is not None and (tokenizer is None or tokenizer.sha256 == vocabulary.sha256(workspace))
    sample = _look(workspace, dataset, take, options, None if by_shards else tokenizer)
    sizes = _sizes(there.rows) if there is not None and by_shards else {(kind, ""): size for kind, size in sample.sizes.items()}
    rows = []
    for (kind, language), row in sorted(of_dataset(sums).items()):
        share = take.share(kind, language)
        if share is None:
            share = sample.named.get(language, 0.0) * take.shares.get(language, 1.0)
        known = [sizes[key] for key in ((kind, language), (kind, ""), ("", "")) if key in sizes]
        tokens = row.bytes * share / (known or [BYTES_A_TOKEN])[0]
        epoch = tokens * sample.weights.get(kind, 1.0)
        rows.append(row + Row(kind, language, 0, 0, row.records * share, row.bytes * share, None, tokens, epoch))
    return Table(tuple(rows), SHARDED if by_shards else SAMPLED if sizes else STATED)


def _tokenizer(options: Recipe, workspace: Workspace) -> Tokenizer | None:
    """Return the tokenizer that the recipe names, or else the workspace's, if it is there."""
    if options.tokenizer.path:
        with named("tokenizer.path", options.tokenizer.path) as file:
            return Tokenizer.load(file.read(), where=f"tokenizer.path: {options.tokenizer.path}")
    if vocabulary.made(workspace) is None or not workspace.exists(vocabulary.PATH):
        return None
    return Tokenizer.load(workspace.read(vocabulary.PATH), where=workspace.path(vocabulary.PATH))


def _sizes(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """Return the bytes a token by kind and language; of a kind, and of all, where the language is empty."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in rows:
        for key in {(row.kind, row.language), (row.kind, ""), ("", "")}:
            sums[key][0] += row.taken_bytes
            sums[key][1] += row.tokens
    return {key: size / tokens for key, (size, tokens) in sums.items() if size and tokens}


def _look(workspace: Workspace, dataset: Manifest, take: Take, options: Recipe, tokenizer: Tokenizer | None) -> Sample:
    mix = options.mix
    if tokenizer is None and mix.weights is None and not take.files:
        return Sample()
    few = {*take.reads, "length_bytes", *([mix.weights.column] if mix.weights else [])}
    texts, weights, by_name = (defaultdict[str, list[float]](lambda: [0.0, 0.0]) for _ in range(3))
    for kind, rows in _blocks(workspace, dataset, None if tokenizer else sorted(few)):
        kept = take(rows).kept
        if mix.weights is not None:
            sizes = kept.column("length_bytes").to_numpy()
            _add(weights[kind], float((mix.weights.of(kept) * sizes).sum()), float(sizes.sum()))
        if kind == CODE:
            uncapped = replace(take, shares={})(rows).kept
            for block, place in ((uncapped, 0), (rows, 1)):
                columns = (block.column(name).to_pylist() for name in ("language", "length_bytes"))
                for language, size in zip(*columns, strict=True):
                    by_name[language or ""][place] += size
        row = options.table.get(kind)  # of a newer starmill's dataset it may be none
        if tokenizer is not None and row is not None and all(map(tokenizer.has, row.sentinels(options.format))):
            some = _first(kept if kept.num_rows else rows)
            made = tokenize(row.render(iter([some]), options.format), tokenizer)
            _add(texts[kind], pc.sum(some.column("length_bytes")).as_py() or 0, sum(len(document.ids) + 1 for document in made))
    return Sample(*({key: a / b for key, (a, b) in found.items() if a and b} for found in (texts, weights, by_name)))


def _add(sums: list[float], first: float, second: float) -> None:
    sums[:] = sums[0] + first, sums[1] + second


def _blocks(workspace: Workspace, dataset: Manifest, columns: list[str] | None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield some records of each kind, of parts that a hash chooses."""
    for kind in sorted({kind for part in dataset.parts for kind in part.kinds}):
        having = sorted(
            (p.part for p in dataset.parts if kind in p.kinds), key=lambda part: seeds.uint64(0, "mix_sample", part)
        )
        for part in having[:PARTS]:
            for block in itertools.islice(workspace.blocks(part_path(DATASET, part), columns), BLOCKS):
                rows = block.filter(pc.equal(block.column("kind"), kind))
                if rows.num_rows:
                    yield kind, rows


def _first(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the first rows, of about TEXT bytes together: their documents are those of a shard, and not many."""
    small = rows.filter(pc.less_equal(rows.column("length_bytes"), LONGEST))
    sizes = np.cumsum(small.column("length_bytes").to_numpy())
    return small.slice(0, max(1, int(np.searchsorted(sizes, TEXT, side="right"))))
