"""Dedup, the one global stage: every file of every part against all others, exactly and nearly; one verdict per curated row.

Shuffles carry ids, keys, names and similarities in packed Arrow blocks, never text, and count their bytes: candidates' text is
re-read where it lies, by a worker that owns one of the two parts. The graph is the same for any number of workers, partitions
and any order of parts, and so is each byte of the result. A file is part << 32 | row until the last step.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.metrics import Metrics
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from starmill.core import skips
from starmill.core.dataset import Workspace, part_number
from starmill.core.part import PartRef
from starmill.pipelines.stages.dedup.candidates import Candidates, is_earlier
from starmill.pipelines.stages.dedup.verdicts import publish
from starmill.transforms import spill
from starmill.transforms.beam import Reference, block_from_ipc, count, pack, references
from starmill.transforms.dedup import bands, clusters, hot, rounds
from starmill.transforms.dedup.bands import Partitioned
from starmill.transforms.dedup.minhash import MinHash

Keyed = tuple[int, bytes]
Grouped = tuple[int, Iterable[bytes]]

# Partitions of keys: so many files each that a block of one part's keys for one partition is worth its header.
FILES_PER_PARTITION = 1 << 16
MAX_PARTITIONS = 1024
# Compressed text whose candidates' shingles one worker holds while it reads all others': a group reads each part once.
GROUP_BYTES = 1 << 27
# Rows of an edge or file block: at most about 20 MB.
BLOCK_ROWS = 1 << 17


def build(pipeline: beam.Pipeline, workspace: Workspace, parts: Sequence[PartRef], options: MinHash) -> beam.PCollection:
    """Add the stage to `pipeline`; `parts` must be all parts of `curated/`, in any order. Returns the published ones' numbers."""
    stage = Dedup.sized(workspace, options)
    if isinstance(pipeline.runner, FnApiRunner):  # it runs on this machine, and holds in memory what is shuffled
        stage = replace(stage, spill=spill.begun(workspace, pipeline))
    return stage.wire(stage.parts(pipeline, parts))


@dataclass(frozen=True)
class Dedup:
    """The workers of the graph, one method per step, and its wiring. `partitions` of keys, and a `group` of parts whose pairs one
    worker verifies, shape the work, not its result; so does `spill`, the folder where blocks wait instead of in the runner's shuffle.
    """

    candidates: Candidates
    partitions: int = 1
    group: int = 1
    spill: str = ""

    @classmethod
    def sized(cls, workspace: Workspace, options: MinHash) -> "Dedup":
        """Return the graph that suits `curated/`, going by the sidecars of its first parts."""
        names = workspace.parts("curated")
        sidecars = [workspace.sidecar("curated", part_number(name.rpartition("/")[2]) or 0) for name in names[:8]]
        some = [made for sidecar in sidecars if sidecar for made in sidecar.outputs if made.path in names]
        files, size = sum(made.rows or 0 for made in some), sum(made.bytes for made in some)
        everything = files * len(names) // max(len(some), 1)
        group = 1 + GROUP_BYTES * len(some) // (size + 1)
        return cls(Candidates.of(workspace, options), min(1 + everything // FILES_PER_PARTITION, MAX_PARTITIONS), group)

    @property
    def options(self) -> MinHash:
        """Return the options."""
        return self.candidates.options

    def parts(self, pipeline: beam.Pipeline, parts: Sequence[PartRef]) -> beam.PCollection:
        """Return the PartRefs of `parts` and of the earlier releases' parts."""
        earlier = [PartRef(part, "") for part in self.candidates.earlier_parts()]
        return pipeline | references([*parts, *earlier])

    def wire(self, refs: beam.PCollection) -> beam.PCollection:
        """PartRefs of all parts, and of those of earlier releases -> the numbers of the published parts."""
        # Spread first: what reads of parts may not be fused with what names them, or one worker would read all.
        numbered, spread = refs | number_parts(), refs | spread_parts()
        judged = {"refs": numbered, "removed": self.removals(spread, numbered)}
        if self.options.repositories:
            judged["roots"] = (
                spread
                | "Read roots" >> self._send(self.roots)
                | "Group roots" >> beam.GroupByKey()
                | "Remove repositories" >> self._send(self.remove_repositories)
            )
        publish = _Named(self.publish, self.candidates.workspace)
        return judged | "Join verdicts" >> beam.CoGroupByKey() | "Publish" >> beam.FlatMap(publish).with_output_types(int)

    def removals(self, refs: beam.PCollection, numbered: beam.PCollection) -> beam.PCollection:
        """PartRefs -> REMOVAL blocks by part, one row per removed file."""
        copies = self.copies(refs)
        if not self.options.near:
            return copies.main
        graph = self.graph(numbered, copies.main)
        open_ends, gone = self._rounds(graph)
        rest = open_ends | "Group the rest" >> beam.GroupByKey() | "Resolve the rest" >> self._send(self.resolve)
        near = (
            (graph, rest, *gone)
            | "Flatten names" >> beam.Flatten()
            | "Group names" >> beam.GroupByKey()
            | "Name kept files" >> self._send(self.name)
        )
        return (
            (copies.by_kept, near)
            | "Flatten removals" >> beam.Flatten()
            | "Group removals" >> beam.GroupByKey()
            | "Follow copies" >> self._send(self.follow_copies)
        )

    def copies(self, refs: beam.PCollection) -> Any:
        """PartRefs -> REMOVAL blocks of exact copies: `main` by the part of the copy, `by_kept` by that of the kept file."""
        return (
            refs
            | "Read identities" >> self._send(self.identities)
            | "Group identities" >> beam.GroupByKey()
            | "Remove copies" >> self._send(self.remove_copies, "by_kept")
        )

    def graph(self, numbered: beam.PCollection, copies: beam.PCollection) -> beam.PCollection:
        """Numbered parts and what is gone of them -> EDGE, FILE and MEMBER blocks by the partition of their (upper) file."""
        found = (
            {"refs": numbered, "removed": copies}
            | "Join copies" >> beam.CoGroupByKey()
            | "Compute bands" >> self._send(self.compute_bands)
            | "Group bands" >> beam.GroupByKey()
            | "Find candidates" >> self._send(self.find_candidates, "hot")
        )
        edges = found.main | "Group candidates" >> beam.GroupByKey() | "Verify candidates" >> self._send(self.verify_candidates)
        joined = (
            found.hot
            | "Group hot buckets" >> beam.GroupByKey()
            | "Split components" >> self._send(self.split_components)
            | "Spread components" >> beam.GroupByKey()
            | "Join components" >> self._send(self.join_components)
        )
        return (edges, joined) | "Flatten graph" >> beam.Flatten()

    def _rounds(self, graph: beam.PCollection) -> tuple[beam.PCollection, list[beam.PCollection]]:
        """Return what the distributed rounds leave open, under one key, and the files that they removed, by partition."""
        if not self.options.rounds:
            return graph | "Open all" >> self._send(self.open_all), []
        links = graph | "Key edges by both ends" >> self._send(self.open_links)
        for number in range(1, self.options.rounds + 1):
            for half, work in (("Mark kept", rounds.mark_kept), ("Remove below", rounds.remove_below)):
                grouped = links | f"Group {half} {number}" >> beam.GroupByKey()
                links = grouped | f"{half} {number}" >> self._send(_Round(work, self.partitions, number))
        undecided = links | "Group the open" >> beam.GroupByKey() | "Collect the open" >> self._send(self.collect)
        return undecided, [links | "Take the gone" >> beam.Filter(_is_gone)]

    def identities(self, ref: Reference) -> Partitioned:
        """Part -> COPY blocks by blob id."""
        part = ref[0]
        self.candidates.compare(part)
        columns = [*clusters.RANKING, *clusters.IDENTITY, "blob_id", "kind", "language"]
        copies = []
        for ids, block in self.candidates.blocks(part, columns):
            Metrics.counter("starmill", "dedup/files").inc(block.num_rows)
            scope = bands.scopes(block, self.options)
            copies.append(self._copies(part, ids, block, block.column("blob_id"), scope))
        yield from self._by_blob(copies)

    def roots(self, ref: Reference) -> Partitioned:
        """Part -> COPY blocks by root tree, one row per repository: the first of its files stands for it."""
        part = ref[0]
        seen: set[str] = set()
        copies = []
        for ids, block in self.candidates.blocks(part, [*clusters.RANKING, *clusters.IDENTITY, "directory_id"]):
            at = {name: i for i, name in reversed(list(enumerate(block.column("repo_name").to_pylist()))) if name not in seen}
            seen |= set(at)
            first = np.array(sorted(at.values()), np.int64)
            some, nowhere = block.take(pa.array(first)), np.zeros(len(first), np.uint64)
            copies.append(self._copies(part, ids[first], some, some.column("directory_id"), nowhere))
        yield from self._by_blob(copies)

    def _copies(self, part: int, ids: np.ndarray, block: pa.RecordBatch, key: pa.Array, scope: np.ndarray) -> pa.RecordBatch:
        files = clusters.describe(block, ids, self.candidates.place(part)[2])
        return pa.RecordBatch.from_arrays([key, pa.array(scope), *files.columns], schema=clusters.COPY).filter(key.is_valid())

    def _by_blob(self, copies: list[pa.RecordBatch]) -> Partitioned:
        # A part at a time, not a row group: a block has a header, and there are many partitions.
        for block in pa.Table.from_batches(copies, clusters.COPY).combine_chunks().to_batches():
            numbers = np.array([zlib.crc32(b.encode()) for b in block.column("blob_id").to_pylist()], np.int64)
            yield from bands.partition(block, numbers % self.partitions)

    def remove_copies(self, group: Grouped) -> Iterator[tuple[int, pa.RecordBatch] | tuple[str, int, pa.RecordBatch]]:
        """COPY blocks of some blob ids -> REMOVAL blocks by part, aside by that of the kept file; none of earlier releases' files."""
        removed = clusters.exact(_unpack(group[1]))
        removed = removed.filter(pa.array(~is_earlier(removed.column("file").to_numpy())))
        yield from _by_part(removed, "file")
        yield from (("by_kept", part, block) for part, block in _by_part(removed, "kept"))

    def remove_repositories(self, group: Grouped) -> Partitioned:
        """COPY blocks of some root trees -> REMOVAL blocks by part."""
        return (out for out in self.remove_copies(group) if len(out) == 2)

    def compute_bands(self, group: tuple[int, dict[str, Any]]) -> Partitioned:
        """Part and its REMOVAL blocks -> BAND blocks of the others, by key."""
        part, joined = group
        gone = np.concatenate([np.empty(0, np.int64), *(b.column("file").to_numpy() for b in _unpack(joined["removed"]))])
        ids, signatures, scopes = [np.empty(0, np.int64)], [pa.array([], pa.binary())], [np.empty(0, np.uint64)]
        for files, block in self.candidates.blocks(part, ["kind", "language", "signature"]):
            stays = ~np.isin(files, gone)
            block = block.filter(pa.array(stays))
            ids.append(files[stays])
            signatures.append(block.column("signature"))
            scopes.append(bands.scopes(block, self.options))
        every = pa.concat_arrays(signatures)
        yield from bands.band_blocks(every, np.concatenate(ids), np.concatenate(scopes), self.options, self.partitions)

    def find_candidates(self, group: Grouped) -> Iterator[tuple[int, pa.RecordBatch] | tuple[str, int, pa.RecordBatch]]:
        """BAND blocks of some keys -> PAIR blocks by who verifies them; aside, the BAND rows of hot buckets."""
        buckets = bands.Buckets.of(_unpack(group[1]))
        for pairs in buckets.pairs():
            a, b = (pairs.column(c).to_numpy() for c in ("a", "b"))
            pairs = pairs.filter(pa.array(~(is_earlier(a) & is_earlier(b))))
            # A file of an earlier release has no text here: the other one's group verifies.
            earlier = is_earlier(pairs.column("b").to_numpy())
            alone = (pairs.column("a").to_numpy() >> 32) // self.group
            yield from bands.partition(pairs, np.where(earlier, alone, bands.anchors(pairs, self.group)))
        hot_rows = buckets.hot_rows()
        for block in pa.Table.from_batches([hot_rows]).to_batches(max_chunksize=BLOCK_ROWS) if hot_rows.num_rows else ():
            yield "hot", 0, block

    def verify_candidates(self, group: Grouped) -> Partitioned:
        """PAIR blocks of a group of parts -> EDGE blocks, and FILE blocks of their ends."""
        number, blocks = group
        mine = range(number * self.group, (number + 1) * self.group)
        candidates = bands.merge(_unpack(blocks))
        Metrics.counter("starmill", "dedup/candidates").inc(len(candidates))
        pairs, jaccards, files = self.candidates.verify(mine, candidates)
        files = files.filter(pc.is_in(files.column("file"), pa.array(np.unique(pairs))))
        yield from self._by_partition(clusters.orient(pairs, jaccards, files.to_batches()), files)

    def split_components(self, group: Grouped) -> Iterator[tuple[int, pa.RecordBatch]]:
        """BAND rows of all hot buckets -> MEMBER blocks by batch of whole components."""
        files, labels = hot.components(*bands.keys_and_files(_unpack(group[1])))
        members = pa.record_batch([labels, files, np.zeros(len(files), bool)], schema=hot.MEMBER)
        for number, chosen in enumerate(hot.batches(labels)):
            yield number, members.take(pa.array(chosen))

    def join_components(self, group: Grouped) -> Partitioned:
        """MEMBER blocks -> EDGE and FILE blocks, and MEMBER blocks that know who follows."""
        table = pa.Table.from_batches(_unpack(group[1]), hot.MEMBER)
        edges, files, members = self.candidates.join(*(table.column(c).to_numpy() for c in ("component", "file")))
        yield from self._by_partition(edges, files, members)

    def open_all(self, element: Keyed) -> Iterator[tuple[int, pa.RecordBatch]]:
        """EDGE and MEMBER blocks -> LINK and MEMBER blocks, all under one key."""
        for _, block in self.open_links((0, element[1]), partitions=1):
            yield 0, block

    def open_links(self, element: Keyed, partitions: int = 0) -> Partitioned:
        """EDGE and MEMBER blocks by partition -> LINK blocks by the partitions of both ends, and MEMBER blocks."""
        number, data = element
        block = block_from_ipc(spill.get(data))
        if block.schema.equals(hot.MEMBER):
            yield number, block
        elif block.schema.equals(clusters.EDGE):
            a, b = (block.column(c).to_numpy() for c in ("a", "b"))
            yield from rounds.send(a, b, np.zeros(len(a), bool), partitions or self.partitions)

    def collect(self, group: Grouped) -> Iterator[tuple[int, pa.RecordBatch]]:
        """LINK, MEMBER and GONE blocks of a partition -> what is still open, all under one key."""
        links, members, gone = _tables(group[1], rounds.LINK, hot.MEMBER, clusters.GONE)
        a, b = rounds.undecided_edges(group[0], self.partitions, links, gone)
        yield 0, pa.record_batch([a, b, np.zeros(len(a), bool)], schema=rounds.LINK)
        yield from ((0, block) for block in members.to_batches())

    def resolve(self, group: Grouped) -> Partitioned:
        """LINK and MEMBER blocks -> GONE blocks by partition, and edges that only a kept follower has.

        One process holds all edges, about 60 bytes each.
        """
        links, members = _tables(group[1], rounds.LINK, hot.MEMBER)
        a, b = (links.column(c).to_numpy() for c in ("a", "b"))
        gone, added = self.candidates.resolve(a, b, members)
        Metrics.counter("starmill", "dedup/joined_again").inc(len(added))
        for edges, files in added:
            yield from self._by_partition(edges, files)
        yield from bands.partition(pa.record_batch([gone], schema=clusters.GONE), rounds.partition_of(gone, self.partitions))

    def name(self, group: Grouped) -> Partitioned:
        """EDGE, FILE and GONE blocks of a partition -> REMOVAL blocks by part: a row for each kept file above a removed one."""
        edges, files, gone = _tables(group[1], clusters.EDGE, clusters.FILE, clusters.GONE)
        for block in edges.to_batches():
            yield from _by_part(clusters.choose(block, files.to_batches(), gone.column("file").to_numpy()), "file")

    def follow_copies(self, group: Grouped) -> Partitioned:
        """REMOVAL blocks of a part, and of the copies of its files -> REMOVAL blocks by part; all name files that are kept."""
        yield from _by_part(clusters.follow(_unpack(group[1])), "file")

    def publish(self, group: tuple[int, dict[str, Any]]) -> Iterator[int]:
        """Part and its REMOVAL blocks -> verdicts/part-k and dropped/dedup/part-k."""
        part, joined = group
        if not is_earlier(bands.file_ids(part, np.array(0))):
            [ref] = joined["refs"]
            removed, roots = (
                pa.Table.from_batches(_unpack(joined.get(name, ())), clusters.REMOVAL) for name in ("removed", "roots")
            )
            count(publish(self.candidates, PartRef(*json.loads(ref)), removed, roots.column("file").to_numpy()))
            yield part

    def _send(self, work: Callable[..., Iterator[Any]], aside: str | None = None) -> beam.ParDo:
        """Return the ParDo of a step whose blocks go into a shuffle; `aside`: the output for (name, key, block)."""
        # Types, or Beam would pickle what goes into the shuffle, keys too.
        step = beam.ParDo(_Send(_Named(work, self.candidates.workspace), self.spill))
        if aside:
            return step.with_output_types(Keyed, **{aside: Keyed}).with_outputs(aside, main="main")
        return step.with_output_types(Keyed)

    def _by_partition(self, edges: pa.RecordBatch, files: pa.Table, *members: pa.RecordBatch) -> Partitioned:
        ends = files.combine_chunks().to_batches(max_chunksize=BLOCK_ROWS)
        for block, column in ((edges, "a"), *((b, "file") for b in (*ends, *members))):
            yield from bands.partition(block, rounds.partition_of(block.column(column).to_numpy(), self.partitions))


def number_parts() -> beam.PTransform:
    """Return the transform of part references to (part, the reference as JSON): what other blocks of the part are joined with."""
    return "Number parts" >> beam.Map(lambda ref: (ref[0], json.dumps(ref).encode())).with_output_types(Keyed)


def spread_parts() -> beam.PTransform:
    """Return the transform that spreads part references over the workers."""
    return "Spread parts" >> beam.Reshuffle()


@dataclass(frozen=True)
class _Named:
    """A step whose work is named while it is slow: on a part or group, between two row groups that it reads or blocks that it makes.

    No record is left out because it takes long here. Its text was shingled in curate already, where one that takes too long leaves; what
    becomes of all others depends on it; and the keys of this stage, which is whole, count no list of records.
    """

    work: Callable[..., Iterator[Any]]
    workspace: Workspace

    def __call__(self, element: Any) -> Iterator[Any]:
        of = "part" if isinstance(element[1], str | dict) else "group"  # a reference, or what is joined with one
        step = getattr(self.work, "work", self.work).__name__
        with skips.naming(self.workspace, "dedup", step, f"{of} {element[0]}"):
            for made in self.work(element):
                yield made
                skips.go_on()


class _Send(beam.DoFn):
    """Packs the blocks of a step for a shuffle and counts their bytes."""

    def __init__(self, work: Callable[..., Iterator[Any]], folder: str) -> None:
        self._work, self._spill = work, folder

    def process(self, element: Any) -> Iterator[Any]:
        for *aside, key, block in self._work(element):
            data = pack(block)
            Metrics.counter("starmill", "dedup/shuffled/bytes").inc(len(data))
            data = spill.put(self._spill, data) if self._spill else data
            yield beam.pvalue.TaggedOutput(aside[0], (key, data)) if aside else (key, data)


@dataclass(frozen=True)
class _Round:
    """Half a round of the resolution, over the blocks of one partition."""

    work: Callable[..., Partitioned]
    partitions: int
    number: int

    def __call__(self, group: Grouped) -> Partitioned:
        links, members, gone = _tables(group[1], rounds.LINK, hot.MEMBER, clusters.GONE)
        if links.num_rows:
            Metrics.distribution("starmill", "dedup/rounds").update(self.number)
        yield from self.work(group[0], self.partitions, links, members, gone)


def _unpack(blocks: Iterable[bytes]) -> list[pa.RecordBatch]:
    return [block_from_ipc(spill.get(b)) for b in blocks]


def _tables(blocks: Iterable[bytes], *schemas: pa.Schema) -> list[pa.Table]:
    unpacked = _unpack(blocks)
    return [pa.Table.from_batches([b for b in unpacked if b.schema.equals(s)], s).combine_chunks() for s in schemas]


def _is_gone(element: Keyed) -> bool:
    return bool(block_from_ipc(spill.get(element[1])).schema.equals(clusters.GONE))


def _by_part(removed: pa.RecordBatch, column: str) -> Partitioned:
    return bands.partition(removed, removed.column(column).to_numpy() >> 32)
