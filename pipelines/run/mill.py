"""The five stages of a recipe: what the parts of each are, what their keys depend on, and the graph that makes them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from apache_beam.portability.api import beam_runner_api_pb2

from starmill.core import recipe
from starmill.core.dataset import STAGES, Manifest, Sidecar, Workspace
from starmill.pipelines.run.stage import Build, Engine, StageError, key, parts, run, try_out
from starmill.pipelines.runners import dataflow, flink
from starmill.pipelines.stages import ingest, vocabulary
from starmill.pipelines.stages.curate import Curate, CuratePart
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.pipelines.stages.dedup import preview
from starmill.pipelines.stages.dedup.candidates import Candidates
from starmill.pipelines.stages.ingest import IngestPart, Planned, Source
from starmill.pipelines.stages.release import Release, ReleasePart
from starmill.pipelines.stages.tokenize import TokenizePart
from starmill.pipelines.stages.vocabulary import TokenizerOptions
from starmill.transforms.beam import PartRef, ProcessParts
from starmill.transforms.dedup.minhash import MinHash
from starmill.transforms.measure.language import library_path
from starmill.transforms.render.code import Format


@dataclass(frozen=True)
class Recipe:
    """A data recipe: where the data lies, and the options of every stage."""

    workspace: str  # the folder or fsspec URL of all datasets
    source: Source = field(default_factory=Source)
    curate: Curate = field(default_factory=Curate)
    minhash: MinHash = field(default_factory=MinHash)
    release: Release = field(default_factory=Release)
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    format: Format = field(default_factory=Format)
    max_error_rate: float = 0.01  # of the files of a stage; above it the stage fails


def run_stage(stage: str, options: Recipe, engine: Engine) -> Manifest | None:
    """Run one stage of the recipe; None of a job that nobody waits for. Raises StageError when the stage before is not complete."""
    runners: dict[str, Callable[[Recipe, Workspace, Engine], Manifest | None]] = {
        "ingest": _ingest,
        "curate": _curate,
        "dedup": _dedup,
        "release": _release,
        "tokenize": _tokenize,
    }
    return runners[stage](options, Workspace(options.workspace), engine)


def graph(stage: str, options: Recipe) -> Build:
    """Return the graph of a stage without a look into the workspace: a dry run's, over any parts."""
    workspace = Workspace(options.workspace)
    works: dict[str, Callable[[], Callable[[PartRef], Sidecar]]] = {
        "ingest": lambda: Planned(workspace, IngestPart(workspace, options.source)),
        "curate": lambda: CuratePart(workspace, options.curate, options.minhash),
        "release": lambda: ReleasePart(workspace, options.release.decontaminate(), options.release.redact),
        "tokenize": lambda: TokenizePart(workspace, options.format, ""),
    }
    if stage == "dedup":
        sketch = dedup.Dedup(Candidates.of(workspace, replace(options.minhash, earlier=())))
        return lambda pipeline, due: sketch.wire(sketch.parts(pipeline, due))
    return parts(ProcessParts(works[stage]()))


def translate(stage: str, options: Recipe, engine: Engine) -> beam_runner_api_pb2.Pipeline:
    """Return a stage's graph as Dataflow would get it, over two parts that need not be. Sends and reads nothing."""
    pipeline = engine.pipeline(2)
    graph(stage, options)(pipeline, [PartRef(part, "") for part in range(2)])
    return pipeline.run().job.proto_pipeline


def plan(options: Recipe) -> list[str]:
    """Return what a run of the recipe would do, as lines: the parts of its source, and which stages are complete already."""
    workspace, plans = Workspace(options.workspace), ingest.plan(options.source)
    lines = [f"workspace {workspace.root}"]
    for part, planned in enumerate(plans):
        repositories = ingest.repositories_of(planned)
        size, names = sum(r.size_bytes for r in repositories), f"{repositories[0].name} .. {repositories[-1].name}"
        lines.append(f"part {part:5d}  {len(repositories):6,} repositories {size / 1e6:10,.1f} MB  {names}")
    for stage, folder in STAGES.items():
        lines.append(
            f"stage {stage:<9} {'complete' if workspace.manifest(stage) else 'to be made'} in {workspace.path(folder)}"
        )
    return lines


def _ingest(options: Recipe, workspace: Workspace, engine: Engine) -> Manifest | None:
    plans = ingest.plan(options.source)
    if not plans:
        raise StageError(
            f"ingest: no repositories found in {options.source}; give --input DIR with git repositories or folders"
        )
    refs = [PartRef(k, key("ingest", options.source, ingest.part_key_material(p)), p) for k, p in enumerate(plans)]
    before = workspace.manifest("ingest")
    is_up_to_date = before is not None and before.key == key("ingest", [r.key for r in refs])
    if options.source.kind == "folders" and dataflow.is_dataflow(engine.beam_options) and not is_up_to_date:
        raise StageError(
            "ingest: Dataflow's workers do not see the folders of this machine; run `starmill ingest` without a runner here, into the "
            "same workspace, then this command again"
        )
    work = Planned(workspace, IngestPart(workspace, options.source))
    return run(
        workspace,
        "ingest",
        refs,
        lambda pipeline, due: parts(ProcessParts(work))(pipeline, work.publish(due)),
        engine,
        options.max_error_rate,
    )


def _curate(options: Recipe, workspace: Workspace, engine: Engine) -> Manifest | None:
    before = _complete(workspace, "ingest", "curate")
    library_path()  # fail here, not in a worker
    refs = _follow("curate", before, options.curate, options.minhash.signed())
    work = CuratePart(workspace, options.curate, options.minhash)
    return run(workspace, "curate", refs, parts(ProcessParts(work)), engine, options.max_error_rate)


def thresholds(options: Recipe, engine: Engine) -> list[str]:
    """Return what each threshold of dedup would remove, as lines of a table. Raises StageError before curate is complete."""
    workspace = Workspace(options.workspace)
    refs = [PartRef(p.part, "") for p in _complete(workspace, "curate", "dedup").parts]
    engine = replace(engine, beam_options=flink.named(engine.beam_options, workspace.root, "dedup-dry-run"))
    try_out(lambda pipeline, due: preview.build(pipeline, workspace, due, options.minhash), refs, engine)
    return preview.table(workspace)


def _dedup(options: Recipe, workspace: Workspace, engine: Engine) -> Manifest | None:
    before = _complete(workspace, "curate", "dedup")
    earlier = [_complete(Workspace(url), "dedup", "minhash.earlier").digest for url in options.minhash.earlier]
    refs = [PartRef(p.part, key("dedup", options.minhash, before.digest, earlier)) for p in before.parts]
    return run(
        workspace,
        "dedup",
        refs,
        lambda pipeline, due: dedup.build(pipeline, workspace, due, options.minhash),
        engine,
        options.max_error_rate,
        whole=True,  # every verdict depends on every part
    )


def _release(options: Recipe, workspace: Workspace, engine: Engine) -> Manifest | None:
    curated, verdicts = _complete(workspace, "curate", "release"), _complete(workspace, "dedup", "release")
    decontaminate = options.release.decontaminate()
    refs = [
        PartRef(c.part, key("release", decontaminate, options.release.redact, c.digest(), v.digest()))
        for c, v in zip(curated.parts, verdicts.parts, strict=True)
    ]
    work = ReleasePart(workspace, decontaminate, options.release.redact)
    return run(workspace, "release", refs, parts(ProcessParts(work)), engine, options.max_error_rate)


def _tokenize(options: Recipe, workspace: Workspace, engine: Engine) -> Manifest | None:
    before = _complete(workspace, "release", "tokenize")
    sha256 = vocabulary.prepare(workspace, options.tokenizer).sha256
    refs = _follow("tokenize", before, options.format, sha256)
    work = TokenizePart(workspace, options.format, sha256)
    return run(workspace, "tokenize", refs, parts(ProcessParts(work)), engine, options.max_error_rate)


def _follow(stage: str, before: Manifest, *material: object) -> list[PartRef]:
    return [PartRef(p.part, key(stage, *material, p.digest())) for p in before.parts]


def _complete(workspace: Workspace, stage: str, wanted_by: str) -> Manifest:
    manifest = workspace.manifest(stage)
    if manifest is None:
        place = workspace.path(STAGES[stage])
        raise StageError(
            f"{wanted_by}: {place} has no manifest, so stage {stage} is not complete; run `starmill {stage}` first"
        )
    return manifest


def load(path: str, overrides: list[str], inputs: list[str], workspace: str | None) -> Recipe:
    """Read a data recipe; `inputs` (folders of checkouts) replace its source, `workspace` its place."""
    values = recipe.override(recipe.read(path), overrides)
    if inputs:
        missing = [i for i in inputs if not Path(i).is_dir()]
        if missing:
            raise recipe.RecipeError(f"--input {missing[0]}: no such folder")
        values["source"] = {**values.get("source", {}), "kind": "folders", "roots": inputs}
    if workspace:
        values["workspace"] = workspace
    return recipe.build(Recipe, values, where=path)
