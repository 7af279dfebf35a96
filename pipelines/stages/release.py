"""Release: what dedup kept, decontaminated and redacted: the dataset that one would publish."""

from dataclasses import dataclass
from pathlib import Path

import fsspec

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, part_path
from starmill.core.errors import NotThere
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.pipelines.stages.stage import Options, Stage, of_parts
from starmill.transforms.beam import PartRef
from starmill.transforms.clean.decontaminate import Decontaminate, Needle, needles
from starmill.transforms.clean.redact import Redact
from starmill.transforms.step import chain

SHIPPED = Path(__file__).resolve().parents[2] / "recipes" / "benchmarks"


@dataclass(frozen=True)
class Release:
    """The options of the stage.

    `benchmarks`: HumanEval-style JSONL files whose texts must not be trained on; a bare name (`smoke`) means one that ships.
    """

    benchmarks: tuple[str, ...] = ()  # paths, URLs or shipped names
    redact: Redact = Redact()

    def decontaminate(self) -> Decontaminate:
        """Read the benchmark files into the step. Raises FileNotFoundError or ValueError, naming the file and the line."""
        found: list[Needle] = []
        for name in self.benchmarks:
            url = _resolved(name)
            try:
                with fsspec.open(url, "rt", encoding="utf-8", compression="infer") as file:
                    found += needles(file, url)
            except FileNotFoundError:
                raise NotThere(f"release.benchmarks: {url}: no such file") from None
        return Decontaminate(tuple(found))


def _resolved(name: str) -> str:
    """Return the URL of a benchmark file. Raises NotThere for a bare name that neither is here nor ships."""
    if "/" in name or "." in name or Path(name).exists():
        return name
    shipped = {path.stem: str(path) for path in sorted(SHIPPED.glob("*.jsonl"))}
    if name not in shipped:
        raise NotThere(
            f"release.benchmarks: no benchmark '{name}' ships; give the path or URL of a JSONL file, or one of: {', '.join(shipped)}"
        )
    return shipped[name]


@dataclass(frozen=True)
class ReleasePart:
    """curated/part-k and verdicts/part-k -> dataset/part-k, dropped/release/part-k. The join is by row number."""

    workspace: Workspace
    decontaminate: Decontaminate
    redact: Redact
    max_error_rate: float = 1.0

    def __call__(self, ref: PartRef) -> Sidecar:
        """Release one part and publish it; what dedup removed is in dropped/dedup already."""
        ledger = Ledger(
            "release",
            "dataset",
            ref.part,
            ref.key,
            lineage(self.workspace, ref.part, "curated", "verdicts"),
            self.max_error_rate,
        )
        keep = self.workspace.table(part_path("verdicts", ref.part), ["keep"]).column("keep").combine_chunks()
        dataset = ParquetPart(schema.DATASET)
        row = 0
        for block in self.workspace.blocks(part_path("curated", ref.part)):
            unique = block.filter(keep.slice(row, block.num_rows))
            row += block.num_rows
            kept, dropped = chain(unique, (self.decontaminate, self.redact), "release")
            ledger.drop(dropped)
            ledger.keep(kept)
            dataset.write(schema.conform(kept, schema.DATASET))
        ledger.add(part_path("dataset", ref.part), dataset.close(), dataset.rows)
        return ledger.commit(self.workspace)


def _work(options: Options, workspace: Workspace) -> ReleasePart:
    return ReleasePart(workspace, options.release.decontaminate(), options.release.redact, options.max_error_rate)


STAGE = Stage(
    name="release",
    dataset="dataset",
    needs=("curated", "verdicts"),
    reads=lambda options: (options.release.decontaminate(), options.release.redact),
    graph=of_parts(_work),
    sketch=of_parts(_work),
)
