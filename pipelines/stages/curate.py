"""Curate: annotate every file (licence, language, measures), then decide by rules over the annotations, in StarCoder2's order.

Emits, beside the kept rows, the MinHash signature and the rank columns of each: dedup never reads text that nothing resembles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import pyarrow as pa

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, part_path
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.pipelines.stages.stage import Options, Stage, of_parts
from starmill.transforms.beam import PartRef
from starmill.transforms.decide.quality import Quality
from starmill.transforms.dedup.minhash import MinHash, signature_rows
from starmill.transforms.measure.language import DetectLanguage, library_path
from starmill.transforms.measure.licenses import KeepLicensed, Licenses
from starmill.transforms.measure.text import Measure
from starmill.transforms.step import Step, chain


@dataclass(frozen=True)
class Curate:
    """The options of the stage, one section a concern."""

    licenses: Licenses = Licenses()
    keep: KeepLicensed = KeepLicensed()
    quality: Quality = Quality()

    def steps(self) -> tuple[Step, ...]:
        """Return the chain after the licences: annotations first, so that each decision can be read off the columns."""
        return (DetectLanguage(), Measure(), self.keep, *self.quality.steps())


@dataclass(frozen=True)
class WorkspaceCache:
    """What ScanCode found, by text, kept in the workspace: a resumed run does not detect a text twice."""

    workspace: Workspace
    folder: str

    def get(self, key: str) -> list[str] | None:
        """Return the licences found in a text, or None if it was not looked at yet."""
        try:
            return self.workspace.read(f"{self.folder}/{key[:2]}/{key}").decode().split()
        except FileNotFoundError:
            return None

    def put(self, key: str, licenses: list[str]) -> None:
        """Remember the licences of a text."""
        self.workspace.publish(f"{self.folder}/{key[:2]}/{key}", " ".join(licenses).encode())


@dataclass(frozen=True)
class CuratePart:
    """files/part-k -> curated/part-k, signatures/part-k, dropped/curate/part-k."""

    workspace: Workspace
    options: Curate
    minhash: MinHash
    max_error_rate: float = 1.0

    def __call__(self, ref: PartRef) -> Sidecar:
        """Run the chain over one part, row group by row group, and publish it."""
        source = part_path("files", ref.part)
        part = partial(self._blocks, source)
        cache = WorkspaceCache(self.workspace, f"cache/scancode-{version('scancode-toolkit')}")
        steps = (self.options.licenses.detect(part, cache), *self.options.steps())
        ledger = Ledger("curate", "curated", ref.part, ref.key, lineage(self.workspace, ref.part, "files"), self.max_error_rate)
        curated, signatures = ParquetPart(schema.CURATED), ParquetPart(schema.SIGNATURES)
        for block in self.workspace.blocks(source):
            kept, dropped = chain(block, steps, "curate")
            ledger.drop(dropped)
            ledger.keep(kept)
            kept = schema.conform(kept, schema.CURATED)
            curated.write(kept)
            signatures.write(signature_rows(kept, self.minhash))
        ledger.add(part_path("curated", ref.part), curated.close(), curated.rows)
        ledger.add(part_path("signatures", ref.part), signatures.close(), signatures.rows)
        return ledger.commit(self.workspace)

    def _blocks(self, source: str, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        return self.workspace.blocks(source, columns)


def _work(options: Options, workspace: Workspace) -> CuratePart:
    return CuratePart(workspace, options.curate, options.minhash, options.max_error_rate)


def _library(options: Options, workspace: Workspace) -> tuple[()]:
    library_path()  # a missing library is told here, not by a worker
    return ()


STAGE = Stage(
    name="curate",
    dataset="curated",
    needs=("files",),
    reads=lambda options: (options.curate, options.minhash.signed()),
    material=_library,
    graph=of_parts(_work),
    sketch=of_parts(_work),
)
