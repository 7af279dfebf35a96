"""Dedup, the one global stage: every file of every part against all others, exactly and nearly; one verdict a curated row.

Shuffles carry ids, keys, names and similarities in Arrow blocks, never text: candidates' text is re-read where it lies, by a
worker that owns one of the two parts. The graph is the same for any number of workers, partitions and any order of parts, and
so is each byte of the result. A file is part << 32 | row until the last step.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Workspace, part_path
from starmill.pipelines.ledger import Ledger, lineage
from starmill.transforms.beam import PartRef
from starmill.transforms.dedup import bands, clusters, verify
from starmill.transforms.dedup.minhash import MinHash, matrix
from starmill.transforms.step import append, drop_rows

Keyed = tuple[int, pa.RecordBatch]
Grouped = tuple[int, Iterable[pa.RecordBatch]]

# A partition of keys is about as large as a part; more than this would make blocks of a few rows.
MAX_PARTITIONS = 1024


def build(pipeline: beam.Pipeline, workspace: Workspace, parts: Sequence[PartRef], options: MinHash) -> None:
    """Add the stage to `pipeline`; `parts` must be all parts of `curated/`, in any order."""
    refs = pipeline | "Parts" >> beam.Create(list(parts), reshuffle=False)
    Dedup(workspace, options, min(max(len(parts), 1), MAX_PARTITIONS)).wire(refs)


@dataclass(frozen=True)
class Dedup:
    """The workers of the graph, one method a step, and its wiring; `partitions` changes the shape of the work, not its result."""

    workspace: Workspace
    options: MinHash
    partitions: int = 1

    def wire(self, refs: beam.PCollection) -> beam.PCollection:
        """PartRefs of all parts -> the numbers of the published parts."""
        numbered = refs | "Number parts" >> beam.Map(lambda ref: (ref.part, ref)).with_output_types(tuple[int, PartRef])
        copies = (
            refs
            | "Spread parts" >> beam.Reshuffle()
            | "Read identities" >> _keyed(self.identities)
            | "Group identities" >> beam.GroupByKey()
            | "Remove copies" >> _keyed(self.remove_copies)
        )
        removed = copies
        if self.options.near:
            near = (
                {"refs": numbered, "removed": copies}
                | "Join copies" >> beam.CoGroupByKey()
                | "Compute bands" >> _keyed(self.compute_bands)
                | "Group bands" >> beam.GroupByKey()
                | "Find candidates" >> _keyed(self.find_candidates)
                | "Group candidates" >> beam.GroupByKey()
                | "Verify candidates" >> _keyed(self.verify_candidates)
                | "Group edges" >> beam.GroupByKey()
                | "Resolve clusters" >> _keyed(self.resolve_clusters)
            )
            removed = (
                (copies | "Key copies by kept" >> _keyed(self.key_by_kept), near)
                | "Flatten removals" >> beam.Flatten()
                | "Group removals" >> beam.GroupByKey()
                | "Follow copies" >> _keyed(self.follow_copies)
            )
        return (
            {"refs": numbered, "removed": removed}
            | "Join verdicts" >> beam.CoGroupByKey()
            | "Publish" >> beam.Map(self.publish).with_output_types(int)
        )

    def identities(self, ref: PartRef) -> Iterator[Keyed]:
        """Part -> COPY blocks by blob id."""
        columns = [*clusters.RANKING, *clusters.IDENTITY, "blob_id", "language"]
        for first, block in self._signatures(ref.part, columns):
            files = clusters.describe(block, bands.file_ids(ref.part, first + np.arange(block.num_rows)))
            blob, scope = block.column("blob_id"), pa.array(bands.scopes(block.column("language"), self.options))
            copy = pa.RecordBatch.from_arrays([blob, scope, *files.columns], schema=clusters.COPY).filter(blob.is_valid())
            numbers = np.array([zlib.crc32(b.encode()) for b in copy.column("blob_id").to_pylist()], np.int64)
            yield from bands.partition(copy, numbers % self.partitions)

    def remove_copies(self, group: Grouped) -> Iterator[Keyed]:
        """COPY blocks of some blob ids -> REMOVAL blocks by part."""
        yield from _by_part(clusters.exact(group[1]), "file")

    def compute_bands(self, group: tuple[int, dict[str, Any]]) -> Iterator[Keyed]:
        """Part and its REMOVAL blocks -> BAND blocks of the others, by key."""
        part, joined = group
        gone = np.concatenate([np.empty(0, np.int64), *(b.column("file").to_numpy() for b in joined["removed"])])
        for first, block in self._signatures(part, ["language", "signature"]):
            files = bands.file_ids(part, first + np.arange(block.num_rows))
            stays = ~np.isin(files, gone)
            block, files = block.filter(pa.array(stays)), files[stays]
            scope = bands.scopes(block.column("language"), self.options)
            yield from bands.band_blocks(block.column("signature"), files, scope, self.options, self.partitions)

    def find_candidates(self, group: Grouped) -> Iterator[Keyed]:
        """BAND blocks of some keys -> PAIR blocks by the part that verifies them."""
        for pairs in bands.candidates(group[1]):
            yield from bands.partition(pairs, bands.anchors(pairs))

    def verify_candidates(self, group: Grouped) -> Iterator[Keyed]:
        """PAIR blocks of a part -> EDGE blocks, and FILE blocks of their ends, all under one key.

        Reads each other part that has a candidate, but only row groups with candidates; holds the shingle sets of one
        part's candidates and of one row group.
        """
        anchor, blocks = group
        pairs = bands.merge(blocks)
        pairs = np.where((pairs[:, :1] >> 32) == anchor, pairs, pairs[:, ::-1])  # the anchor's file first
        files: list[pa.RecordBatch] = []
        pairs = self._estimate(anchor, pairs, files)
        table = pa.Table.from_batches(files, clusters.FILE)
        mine: dict[int, np.ndarray] = {}
        for rows, block in self._rows("curated", anchor, pairs[:, 0], ["content"]):
            mine |= self._shingle_sets(anchor, rows, block)
        for other in np.unique(pairs[:, 1] >> 32).tolist():
            theirs_pairs = pairs[pairs[:, 1] >> 32 == other]
            for rows, block in self._rows("curated", other, theirs_pairs[:, 1], ["content"]):
                sets = self._shingle_sets(other, rows, block)
                some = theirs_pairs[np.isin(theirs_pairs[:, 1], list(sets))]
                jaccards = verify.jaccards(some, mine, sets)
                true = jaccards >= self.options.threshold
                if true.any():
                    ends = table.filter(pa.compute.is_in(table.column("file"), pa.array(np.unique(some[true]))))
                    edges = clusters.orient(some[true], jaccards[true], ends.to_batches())
                    yield from ((0, block) for block in (edges, *ends.combine_chunks().to_batches()))

    def resolve_clusters(self, group: Grouped) -> Iterator[Keyed]:
        """All EDGE and FILE blocks -> REMOVAL blocks by part."""
        blocks = list(group[1])
        files, edges = ([b for b in blocks if b.schema.equals(s)] for s in (clusters.FILE, clusters.EDGE))
        yield from _by_part(clusters.resolve(files, edges), "file")

    def key_by_kept(self, removed: Keyed) -> Iterator[Keyed]:
        """REMOVAL blocks by part -> by the part of the kept file."""
        yield from _by_part(removed[1], "kept")

    def follow_copies(self, group: Grouped) -> Iterator[Keyed]:
        """REMOVAL blocks of a part, and of the copies of its files -> REMOVAL blocks by part; all name files that are kept."""
        yield from _by_part(clusters.follow(group[1]), "file")

    def publish(self, group: tuple[int, dict[str, Any]]) -> int:
        """Part and its REMOVAL blocks -> verdicts/part-k and dropped/dedup/part-k."""
        part, joined = group
        [ref] = joined["refs"]
        removed = pa.Table.from_batches(joined["removed"], clusters.REMOVAL).combine_chunks()
        removed = removed.take(pa.compute.sort_indices(removed, [("file", "ascending")]))
        gone = removed.column("file").to_numpy()
        ledger = Ledger("dedup", part, ref.key, lineage(self.workspace, ("curate", part)))
        verdicts = ParquetPart(schema.VERDICTS)
        columns = ["repo_name", "path", "blob_id", "content_id", "language", "length_bytes"]
        for first, block in self._signatures(part, columns):
            files = bands.file_ids(part, first + np.arange(block.num_rows))
            at = np.searchsorted(gone, files)
            hit = np.isin(files, gone)
            verdict = _verdicts(removed.take(pa.array(at, mask=~hit)))
            verdicts.write(verdict)
            ledger.keep(block.filter(verdict.column("keep")))
            for step, reason in (("exact", "exact_duplicate"), ("near", "near_duplicate")):
                chosen = pa.compute.fill_null(pa.compute.equal(verdict.column("reason"), reason), False)
                said = verdict.filter(chosen).select(["kept_repo_name", "kept_path", "kept_content_id", "jaccard", "cluster_id"])
                reasons = [reason] * said.num_rows
                ledger.drop([drop_rows(block.filter(chosen), "dedup", step, reasons, **dict(zip(said.schema.names, said)))])
        ledger.add(part_path("verdicts", part), verdicts.close(), verdicts.rows)
        ledger.commit(self.workspace)
        return part
