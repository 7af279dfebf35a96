"""Dedup, the one global stage: every file of every part against all others, exactly and nearly; one verdict a curated row.

Shuffles carry ids, keys, names and similarities in Arrow blocks, never text: candidates' text is re-read where it lies, by a
worker that owns one of the two parts. The graph is the same for any number of workers, partitions and any order of parts, and
so is each byte of the result. A file is part << 32 | row until the last step.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Workspace, part_path
from starmill.pipelines.ledger import Ledger, lineage
from starmill.transforms.beam import PartRef
from starmill.transforms.dedup import bands, clusters, verify
from starmill.transforms.dedup.minhash import MinHash, matrix
from starmill.transforms.step import drop_rows

Keyed = tuple[int, pa.RecordBatch]
Grouped = tuple[int, Iterable[pa.RecordBatch]]

# A partition of keys is about as large as a part; more than this would make blocks of a few rows.
MAX_PARTITIONS = 1024
# What VERDICTS and DROPPED say of the file that is kept instead.
TWIN = ("kept_repo_name", "kept_path", "kept_content_id", "jaccard", "cluster_id")
# Rows of an edge or file block: at most about 20 MB.
BLOCK_ROWS = 1 << 17


def build(pipeline: beam.Pipeline, workspace: Workspace, parts: Sequence[PartRef], options: MinHash) -> None:
    """Add the stage to `pipeline`; `parts` must be all parts of `curated/`, in any order."""
    refs = pipeline | "Parts" >> beam.Create(list(parts), reshuffle=False)
    Dedup(workspace, options, min(max(len(parts), 1), MAX_PARTITIONS)).wire(refs)


@dataclass(frozen=True)
class Dedup:
    """The workers of the graph, one method a step, and its wiring. `partitions` shapes the work, not its result."""

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

        Reads, of every part that has a candidate, the row groups that hold one. Keeps the shingle sets of one part's candidates
        and of one row group.
        """
        part, blocks = group
        pairs = bands.merge(blocks)
        pairs = np.where(pairs[:, :1] >> 32 == part, pairs, pairs[:, ::-1])  # this part's file first
        pairs, files = self._plausible(part, pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])
        mine: dict[int, np.ndarray] = {}
        for ids, block in self._rows("curated", part, pairs[pairs >> 32 == part], ["content"]):
            mine |= verify.shingle_sets(ids.tolist(), block.column("content"), self.options.shingle_words)
        found = []
        for other, some in _by_other(pairs):
            if other == part:
                found.append((some, verify.jaccards(some, mine, mine)))
                continue
            for ids, block in self._rows("curated", other, some[:, 1], ["content"]):
                theirs = verify.shingle_sets(ids.tolist(), block.column("content"), self.options.shingle_words)
                here = some[np.isin(some[:, 1], ids)]
                found.append((here, verify.jaccards(here, mine, theirs)))
        if not found:
            return
        pairs, jaccards = (np.concatenate(column) for column in zip(*found, strict=True))
        pairs, jaccards = pairs[jaccards >= self.options.threshold], jaccards[jaccards >= self.options.threshold]
        files = files.filter(pc.is_in(files.column("file"), pa.array(np.unique(pairs))))
        edges = clusters.orient(pairs, jaccards, files.to_batches())
        for table in (pa.Table.from_batches([edges]), files):
            yield from ((0, block) for block in table.to_batches(max_chunksize=BLOCK_ROWS))

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
        removed = removed.take(pc.sort_indices(removed, [("file", "ascending")]))
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
                chosen = pc.fill_null(pc.equal(verdict.column("reason"), reason), False)
                twins = {name: verdict.column(name).filter(chosen) for name in TWIN}
                lost = block.filter(chosen)
                ledger.drop([drop_rows(lost, "dedup", step, [reason] * lost.num_rows, **twins)])
        ledger.add(part_path("verdicts", part), verdicts.close(), verdicts.rows)
        ledger.commit(self.workspace)
        return part

    def _signatures(self, part: int, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (number of the first row, block) of signatures/part-k."""
        first = 0
        for block in self.workspace.blocks(part_path("signatures", part), columns):
            yield first, block
            first += block.num_rows

    def _rows(
        self, dataset: str, part: int, files: np.ndarray, columns: Sequence[str]
    ) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """Yield (ids, rows) of some files of a part, ascending, a row group at a time; other row groups are not read."""
        wanted = np.unique(files)
        relative = part_path(dataset, part)
        with self.workspace.fs.open(self.workspace.path(relative), "rb") as file:
            parquet = pq.ParquetFile(file)
            if len(wanted) and (last := int(wanted[-1] & 0xFFFFFFFF)) >= parquet.metadata.num_rows:
                raise ValueError(
                    f"{self.workspace.path(relative)} has {parquet.metadata.num_rows} rows and {part_path('signatures', part)} "
                    f"has a row {last}: they are not of one run; run `starmill curate` again"
                )
            first = int(bands.file_ids(part, np.array(0)))
            for group in range(parquet.num_row_groups):
                end = first + parquet.metadata.row_group(group).num_rows
                here = wanted[(wanted >= first) & (wanted < end)]
                if len(here):
                    table = parquet.read_row_group(group, columns=list(columns)).take(pa.array(here - first))
                    yield here, table.combine_chunks().to_batches()[0]
                first = end

    def _plausible(self, part: int, pairs: np.ndarray) -> tuple[np.ndarray, pa.Table]:
        """Return the pairs whose signatures may be at the threshold, and FILE rows of all files of `pairs`."""
        ids, minima, described = self._candidates(part, pairs[pairs >> 32 == part])
        kept = [np.empty((0, 2), np.int64)]
        for other, some in _by_other(pairs):
            their_ids, their_minima, theirs = (ids, minima, []) if other == part else self._candidates(other, some[:, 1])
            places = np.stack([np.searchsorted(ids, some[:, 0]), np.searchsorted(their_ids, some[:, 1])], axis=1)
            kept.append(some[verify.plausible(minima, their_minima, places, self.options)])
            described += theirs
        return np.concatenate(kept), pa.Table.from_batches(described, clusters.FILE)

    def _candidates(self, part: int, files: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[pa.RecordBatch]]:
        """Return the distinct ids, ascending, the signatures, uint32[ids, permutations], and FILE blocks of files of a part."""
        columns = [*clusters.RANKING, *clusters.IDENTITY, "signature"]
        ids, minima, described = [np.empty(0, np.int64)], [np.empty((0, self.options.permutations), np.uint32)], []
        for here, block in self._rows("signatures", part, files, columns):
            ids.append(here)
            minima.append(matrix(block.column("signature"), self.options.permutations))
            described.append(clusters.describe(block, here))
        return np.concatenate(ids), np.concatenate(minima), described


def _keyed(work: Callable[..., Iterator[Keyed]]) -> beam.ParDo:
    # Said out loud, so that blocks travel by the Arrow coder.
    return beam.FlatMap(work).with_output_types(tuple[int, pa.RecordBatch])


def _by_part(removed: pa.RecordBatch, column: str) -> Iterator[Keyed]:
    return bands.partition(removed, removed.column(column).to_numpy() >> 32)


def _by_other(pairs: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    parts = pairs[:, 1] >> 32
    return ((part, pairs[parts == part]) for part in np.unique(parts).tolist())


def _verdicts(removed: pa.Table) -> pa.RecordBatch:
    """REMOVAL rows, all null where a file stays -> VERDICTS rows."""
    is_exact = removed.column("exact")
    verdict = {
        "keep": pc.is_null(is_exact),
        "reason": pc.if_else(is_exact, "exact_duplicate", "near_duplicate"),
        **{name: removed.column(name) for name in ("kept_repo_name", "kept_path", "kept_content_id", "jaccard")},
        "cluster_id": removed.column("kept_content_id"),
    }
    table = pa.table(list(verdict.values()), schema=schema.VERDICTS).combine_chunks()
    return table.to_batches()[0]
