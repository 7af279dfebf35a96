"""`starmill estimate`: the costs of a recipe for a dump of given size, from the rates that `starmill bench` measured.

Linear costs are computed with the fitted coefficients. Dedup has costs that are not linear: partitions of keys, and the row groups
that verification reads, which cost most where there are many parts.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from starmill.core import recipe
from starmill.pipelines.costs.rates import NEAR, REQUESTS, ROWS, STAGE_OF, Rates
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.stages import STAGES, curate, release, tokenize, vocabulary
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.transforms.dedup.bands import KEY_BITS

KEY_BYTES = 40  # of memory per band key (transforms/dedup/bands.py: Buckets)
EDGE_BYTES = 60  # of memory per edge, in the one process that resolves (docs/dedup.md)
JOB_REQUEST = 20 << 20  # Dataflow's limit of a job's JSON: https://cloud.google.com/dataflow/quotas
MESSAGE = 2 << 30  # protobuf's limit of one message
IN_MEMORY = 5  # bytes that the local runner holds per byte shuffled
LAPTOP = 16 << 30


@dataclass(frozen=True)
class Work:
    """The work of one stage: the values that its costs depend on."""

    files: float
    bytes: float
    removed: float  # files that leave at this stage
    parts: int
    groups: float  # row groups of text, in all parts
    repositories: float
    texts: float  # distinct licences and readmes that ScanCode looks at
    part_bytes: float
    sample: float  # bytes that a tokenizer is trained on
    partitions: int
    keys: float  # in one partition
    group: int  # parts that one worker verifies together
    candidates: float

    def drivers(self) -> dict[str, float]:
        """Return the drivers of costs by name."""
        numbers = {k: float(v) for k, v in asdict(self).items()}
        stays = self.files - self.removed
        return {
            **numbers,
            "one": 1.0,
            "stays": stays,
            "blocks": float(self.parts * self.partitions),
            "cells": self.cells(self.groups),
            "dropping": _hit(self.groups, self.removed),  # row groups with removed files
        }

    def cells(self, pieces: float) -> float:
        """Return how many of (verifying group, `pieces` of all parts) hold a candidate, where candidates fall at random.

        A pair inside a group touches its own pieces. Of g groups, a pair across two is verified by one of them, which reads
        the other's: g (g - 1) / 2 pairs of groups with `pieces` / g each.
        """
        groups = math.ceil(self.parts / self.group)
        across = pieces * (groups - 1) / 2
        return _hit(pieces, 2 * self.candidates) + _hit(across, self.candidates * (1 - 1 / groups))


@dataclass(frozen=True)
class RowCost:
    """The costs of one row: seconds, CPU seconds, bytes, requests by kind; `peak` is the memory of one process."""

    row: str
    work: Work
    seconds: float
    cpu: float
    shuffled: float
    stored: float
    fetched: float
    requests: dict[str, float]
    peak: float


@dataclass(frozen=True)
class Dump:
    """The size of a dump. A value of None is taken from the bench's sample."""

    files: float
    bytes: float
    repositories: float | None = None
    duplicates: float | None = None  # the share of the files that dedup removes


def estimate(rates: Rates, options: Recipe, dump: Dump, workers: int, latency: float = 0.0) -> list[RowCost]:
    """Return the costs of milling a dump with `workers` workers, row by row; `latency`: seconds that a worker waits per request."""
    return [_cost(rates, row, work, workers, latency) for row, work in work_by_row(rates, options, dump)]


def work_by_row(rates: Rates, options: Recipe, dump: Dump) -> Iterator[tuple[str, Work]]:
    """Yield each row with its work."""
    cut, files, size = options.ingest, dump.files, dump.bytes
    repositories = dump.repositories or files / rates.shape["files_per_repository"]
    kept = dict(rates.kept)
    if dump.duplicates is not None:
        kept[NEAR] = (1 - dump.duplicates, 1 - dump.duplicates)
    filled = max(cut.part_bytes / 2, cut.part_bytes - rates.shape["unfilled"])
    parts = math.ceil(size / filled)
    text = size * kept[STAGES[0]][1]
    groups = parts * math.ceil(text / parts / cut.block_bytes)
    into = {STAGES[0]: (files, size)}
    for before, after in pairwise(STAGES):
        into[after] = tuple(x * share for x, share in zip(into[before], kept[before], strict=True))  # type: ignore[assignment]
    judged = into[NEAR][0]
    partitions = min(1 + int(judged) // dedup.FILES_PER_PARTITION, dedup.MAX_PARTITIONS)
    made = curate.STAGE
    compressed = rates.cost(made.name, f"stored/{made.dataset}", {"parts": parts, "bytes": into[made.name][1]}) / parts
    shape = {
        "parts": parts,
        "groups": groups,
        "repositories": repositories,
        "texts": rates.shape["texts"] * repositories ** rates.shape["texts_exponent"],
        "part_bytes": size / parts,
        "sample": min(options.tokenizer.sample_bytes, into[tokenize.STAGE.name][1]),
        "partitions": partitions,
        "keys": judged * options.minhash.banding[0] / partitions,
        "group": 1 + int(dedup.GROUP_BYTES / (compressed + 1)),
        "candidates": judged * (1 - kept[NEAR][0]) * rates.shape["candidates_per_duplicate"],
    }
    for row in ROWS:
        if row != "tokenizer" or options.tokenizer.path is None:
            stage = STAGE_OF.get(row, row)
            # One process draws the tokenizer's sample, of some parts.
            share = min(1.0, vocabulary.PARTS / parts) if row == "tokenizer" else 1.0
            files_in, bytes_in = (amount * share for amount in into[stage])
            own = shape | {"parts": math.ceil(parts * share), "groups": math.ceil(groups * share)}
            yield row, Work(files=files_in, bytes=bytes_in, removed=files_in * (1 - kept[stage][0]), **own)


def _cost(rates: Rates, row: str, work: Work, workers: int, latency: float) -> RowCost:
    drivers, among = work.drivers(), at_once(row, workers, work.parts)
    cpu, start, fetched = (rates.cost(row, c, drivers) for c in ("cpu", "start", "fetched"))
    once, pace = rates.cost(row, "cpu", dict.fromkeys(drivers, 0.0) | {"one": 1.0}), rates.shape[f"pace/{row}"]
    if row == NEAR:  # the measured stage read each row group once
        again = max(0.0, work.cells(work.groups) - work.groups) / work.groups
        cpu += again * work.bytes * rates.shape["decode"]
        fetched += again * rates.cost(release.STAGE.name, "fetched", drivers)
    if row == "tokenizer":  # all of its parts are read
        cpu += max(0.0, work.bytes - work.sample) * rates.shape["decode"]
    requests = {kind: rates.cost(row, kind, drivers) for kind in REQUESTS}
    seconds = shared_out(cpu * pace + latency * sum(requests.values()), once * pace, among)
    apart = among if among > 1 else 0  # 1 where workers run in processes beside the driver's
    return RowCost(
        row,
        work,
        seconds + (rates.shape.get(f"apart/{row}", 0.0) if apart else 0.0),
        cpu + start * (1 + apart) + once * max(0, apart - 1),
        rates.cost(row, "shuffled", drivers),
        sum(rates.cost(row, name, drivers) for name in rates.stored(row)),
        fetched,
        requests,
        _peak(rates, row, work),
    )


def at_once(row: str, workers: int, parts: float) -> int:
    """Return how many workers have work at once."""
    return 1 if row == "tokenizer" else max(1, min(workers, int(parts)))


def shared_out(seconds: float, once: float, among: int) -> float:
    """Return the seconds of `among` workers for the work that one does in `seconds`, of which each repeats `once`."""
    return once + max(0.0, seconds - once) / among


def _peak(rates: Rates, row: str, work: Work) -> float:
    """Return the memory of one process: dedup's is the local runner's as long as that can hold the shuffle, then a cluster worker's.

    Such a worker sorts the keys of one partition, or holds the shingles of a group's candidates: 8 bytes per word,
    of about 6 bytes of text.
    """
    drivers = work.drivers()
    peak = rates.cost(row, "peak", drivers)
    if row != NEAR:
        return peak
    held = IN_MEMORY * rates.cost(row, "shuffled", drivers)
    if held > LAPTOP:
        text = work.group * work.bytes / work.parts * min(1.0, 2 * work.candidates / max(1.0, work.files))
        held = max(work.keys * KEY_BYTES, text * 8 / 6)
    return peak + held


NAMES = ("hours", "CPU hours", "shuffle GB", "stored GB", "read GB", "GET", "PUT", "peak MB")


def data(costs: list[RowCost], workers: int) -> dict[str, Any]:
    """Return the costs as plain data, for JSON: a row of NAMES each, their sum, and of `peak` the largest."""
    cells = [_cells(c) for c in costs]
    together = [*(sum(column) for column in list(zip(*cells, strict=True))[:-1]), max(c.peak for c in costs) / 1e6]
    rows = [*((c.row, v) for c, v in zip(costs, cells, strict=True)), ("together", together)]
    work = costs[0].work
    return {
        "parts": work.parts,
        "part_bytes": work.part_bytes,
        "workers": workers,
        "rows": [{"row": row, **dict(zip(NAMES, values, strict=True))} for row, values in rows],
    }


def table(costs: list[RowCost], workers: int) -> list[str]:
    """Return the costs for people."""
    plain = data(costs, workers)
    lines = [
        f"{plain['parts']:,} parts of {plain['part_bytes'] / 1e6:,.1f} MB, {workers:,} workers",
        "".join((" " * 10, *(f"{name:>16}" for name in NAMES))),
    ]
    for row in plain["rows"]:
        numbers = "".join(f"{row[n]:16,.{0 if abs(row[n]) >= 100 or n in 'GET PUT' else 3}f}" for n in NAMES)
        lines.append(f"{row['row']:<10}{numbers}")
    return lines


def _cells(c: RowCost) -> list[float]:
    sizes = [c.shuffled / 1e9, c.stored / 1e9, c.fetched / 1e9]
    return [c.seconds / 3600, c.cpu / 3600, *sizes, c.requests["GET"], c.requests["PUT"], c.peak / 1e6]


def limits(rates: Rates, options: Recipe, costs: list[RowCost]) -> dict[str, Any]:
    """Return, as plain data, what follows from the size: dedup's partitions and groups, and what decides which runner can run it."""
    by_row = {c.row: c for c in costs}
    work = by_row[NEAR].work
    return {
        "partitions": work.partitions,
        "partition_bytes": work.keys * KEY_BYTES,
        "groups": math.ceil(work.parts / work.group),
        "group_parts": work.group,
        "candidates": work.candidates,
        "met_by_chance": (work.keys * work.partitions) ** 2 / 2 ** (KEY_BITS + 1),
        "parts_opened": work.cells(work.parts),
        "row_groups_read": work.cells(work.groups),
        "edge_bytes": work.candidates * EDGE_BYTES,
        "other_options": rates.options != options_digest(options),
        "references": work.parts,
        "reference_bytes": by_row[curate.STAGE.name].shuffled,  # bytes of a job's references to its parts
        "local_shuffle_bytes": by_row[NEAR].shuffled * IN_MEMORY,
    }


def limit_lines(told: dict[str, Any]) -> list[str]:
    """Return the same for a person, with what of this recipe no machine or no runner does."""
    lines = [
        f"{NEAR}: {told['partitions']:,} partitions, {told['partition_bytes'] / 1e6:,.0f} MB of keys each; "
        f"{told['groups']:,} groups of {told['group_parts']:,} parts",
        f"verification: {told['candidates']:,.0f} candidates, and {told['met_by_chance']:,.0f} more that meet by chance; a part is opened "
        f"{told['parts_opened']:,.0f} times, a row group read {told['row_groups_read']:,.0f} times",
        f"resolution: edges of at most {told['edge_bytes'] / 1e6:,.0f} MB",
    ]
    if told["other_options"]:
        lines.append(
            "the rates were measured with other options of measure, curate, minhash, release, format or vocab_size: run `starmill bench`"
        )
    if (size := told["reference_bytes"]) > JOB_REQUEST:
        most = ", no runner 2 GB" if size > MESSAGE else ""
        lines.append(
            f"a job's {told['references']:,} references are {size / 1e6:,.0f} MB, and Dataflow takes 20 MB{most}: raise ingest.part_bytes"
        )
    if (held := told["local_shuffle_bytes"]) > LAPTOP:
        lines.append(f"{NEAR}: the local runner holds its shuffle in memory, about {held / 1e9:,.0f} GB: use a cluster")
    return lines


def options_digest(options: Recipe) -> str:
    """Return the digest of the options that rates hold for: another source or part size needs no new rates."""
    return recipe.digest(
        options.measure, options.curate, options.minhash, options.release, options.format, options.tokenizer.vocab_size
    )


def _hit(cells: float, balls: float) -> float:
    return cells * -math.expm1(-balls / cells) if cells > 0 else 0.0
