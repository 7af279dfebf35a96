"""`starmill trace`: which files, by path and SWHID, one step of a training read; computed again from the order, which the seed decides.

A checkpoint notes where each lane of the batch stands (provenance.py); from the one before the step on, the windows are made again.
`reads` is the same for single tokens and all steps: for `starmill locate`, which goes from a token of a window to its file and from a
file to its steps, and for what is withdrawn.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starmill.core.dataset import part_number
from starmill.core.errors import InputError, UsageError
from starmill.trainer import provenance
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.corpus import Corpus
from starmill.trainer.data.inputs import Inputs, open_inputs


@dataclass(frozen=True)
class Read:
    """`tokens` of a window that came from one unit, a run of whole files of a repository; `files` are `repository:path swhid`."""

    lane: int
    tokens: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Span:
    """Tokens [first, last) of the window of a lane at a step, which were tokens [start, end) of a document of shard number `shard`.

    `moved`: of a file that FIM rearranged; [start, end) is then all of the file.
    """

    step: int
    lane: int
    first: int
    last: int
    shard: int
    document: int
    start: int
    end: int
    moved: bool


def trace(options: TrainRecipe, step: int) -> list[Read]:
    """Return what step number `step` (from 1) read, lane after lane. Raises UsageError, and InputError for shards made again since."""
    _refuse_step(options, step, "--step")
    found = _opened(options)
    noted, positions = provenance.noted(Path(options.output), step)
    rows = []
    for lane, pieces in found.train.read(positions, noted, step):
        rows += [Read(lane, len(piece.ids), tuple(found.train.units.named(piece.unit))) for piece in pieces]
    return rows


def reads(options: TrainRecipe, step: int | None = None) -> Iterator[Span]:
    """Yield what a step read, or each step up to the last one that is noted, in order. Raises as `trace` does."""
    corpus = _opened(options).train
    if not isinstance(corpus, Corpus):
        raise UsageError(
            f"{options.output}: was tuned on conversations, which lie in no shard; `starmill trace` names their files"
        )
    output = Path(options.output)
    done = provenance.noted(output, options.steps + 1)[0]
    if not done:
        raise InputError(
            f"{options.output}: no {provenance.POSITIONS}, so no step is known to be done; give the output of a training"
        )
    shards = [part_number(Path(shard.prefix).name) or 0 for shard in corpus.units.shards]
    at, positions = provenance.noted(output, step) if step else (0, ())
    lanes = corpus.lanes(positions)
    for number in range(at + 1, (step or done) + 1):
        for lane, pieces in corpus.turn(lanes, number):
            place = 0
            for piece in pieces if step in (None, number) else ():
                unit, begin = corpus.units[piece.unit], -piece.offset
                for chunk in corpus.chunks(piece.unit, *piece.turn):
                    low, high = max(0, begin), min(len(piece.ids), begin + len(chunk.ids))
                    if low < high:
                        first, last = low - begin + chunk.start, high - begin + chunk.start
                        start, end = (chunk.start, chunk.end) if chunk.moved else (first, last)
                        here = (shards[unit.shard], unit.document, start, end, chunk.moved)
                        yield Span(number, lane, place + low, place + high, *here)
                    begin += len(chunk.ids)
                place += len(piece.ids)


def token(options: TrainRecipe, step: int, lane: int, place: int) -> Span:
    """Return the token `place` of the window of a lane (both from 0) at a step (from 1), as a Span of one token. Raises UsageError."""
    said = f"{step}:{lane}:{place}"
    _refuse_step(options, step, said)
    for span in reads(options, step):
        if span.lane == lane and span.first <= place < span.last:
            start = span.start if span.moved else span.start + place - span.first
            return Span(
                step,
                lane,
                place,
                place + 1,
                span.shard,
                span.document,
                start,
                span.end if span.moved else start + 1,
                span.moved,
            )
    size, lanes = options.data.sequence_length, options.data.batch
    raise UsageError(
        f"{said}: step {step} has the lanes 0 to {lanes - 1} at most, of tokens 0 to {size:,} each; it is step:lane:token"
    )


def steps(options: TrainRecipe, wanted: Mapping[tuple[int, int], Collection[tuple[int, int]]]) -> dict[int, dict[int, int]]:
    """Return how many tokens of some files each lane of each step read; `wanted`: the files' spans by (shard, document), sorted.

    Of a file that FIM rearranged the sentinels count too. A token that two windows share, their last and first, counts in both.
    """
    found: dict[int, dict[int, int]] = {}
    for span in reads(options):
        files = wanted.get((span.shard, span.document))
        if files and (count := span.last - span.first if span.moved and _holds(files, span.start) else _shared(files, span)):
            lanes = found.setdefault(span.step, {})
            lanes[span.lane] = lanes.get(span.lane, 0) + count
    return found


def lines(step: int, rows: list[Read]) -> list[str]:
    """Return the rows for people: each lane's units, and their files."""
    told = [f"step {step}: {len({row.lane for row in rows})} windows, {sum(row.tokens for row in rows):,} tokens"]
    for row in rows:
        told += [f"lane {row.lane}: {row.tokens:,} tokens of", *(f"  {file}" for file in row.files)]
    return told


def steps_data(found: dict[int, dict[int, int]]) -> list[dict[str, int]]:
    """Return what `steps` found as plain data, for JSON."""
    return [{"step": s, "lane": lane, "tokens": n} for s, lanes in found.items() for lane, n in sorted(lanes.items())]


def steps_lines(found: dict[int, dict[int, int]], output: str) -> list[str]:
    """Return what `steps` found for people."""
    told = [
        f"  step {s}: {sum(lanes.values()):,} tokens, lanes {', '.join(map(str, sorted(lanes)))}" for s, lanes in found.items()
    ]
    return [f"{output}: {len(found):,} steps read tokens of it", *told]


def _refuse_step(options: TrainRecipe, step: int, said: str) -> None:
    if not 1 <= step <= options.steps:
        raise UsageError(f"{said if ':' in said else f'{said} {step}'}: the training has steps 1 to {options.steps}")


def _opened(options: TrainRecipe) -> Inputs:
    found = open_inputs(options)
    trained = provenance.shards(options)
    if trained != found.digest:
        raise InputError(
            f"{options.workspace}: its shards are not those that {options.output} was trained on; give the workspace as it was"
            if trained
            else f"{options.output}: no {provenance.STARTS}, so its shards are not known; give the output of a training"
        )
    return found


def _holds(files: Collection[tuple[int, int]], start: int) -> bool:
    return any(first <= start < last for first, last in files)


def _shared(files: Collection[tuple[int, int]], span: Span) -> int:
    return 0 if span.moved else sum(max(0, min(last, span.end) - max(first, span.start)) for first, last in files)
