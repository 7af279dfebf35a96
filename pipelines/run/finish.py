"""The end of a stage: its manifest is written unless parts have other keys, or too many files ended as errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam

from starmill.core.dataset import Manifest, Workspace, sidecar_path
from starmill.core.part import PartRef
from starmill.pipelines.run.job import StageError
from starmill.pipelines.stages.stage import Build

# Digits of a part's key that identify the key at the end of a stage: whole keys would be most of a job that writes its manifest itself.
MARK = 16
OTHER_JOB = (
    "another job is writing this workspace. End it (on a cluster: cancel what a killed run left there), or use another --workspace; "
    "then run the same command to continue"
)


@dataclass(frozen=True)
class Finish:
    """Writes the manifest of a stage's published parts. Picklable, so that a graph can end with it."""

    workspace: Workspace
    stage: str
    dataset: str
    key: str
    marks: tuple[str, ...]  # the first MARK digits of each part's key
    version: str
    max_error_rate: float

    def __call__(self) -> Manifest:
        """Write the manifest. Raises StageError."""
        # A cluster replaces a dead worker, whose temporary files remain.
        self.workspace.sweep_temporary()
        try:
            return self.workspace.finish(self.dataset, self.key, len(self.marks), self.version, self._check)
        except FileNotFoundError as error:
            raise StageError(f"stage {self.stage}: {error}, though the part was made: {OTHER_JOB}") from None

    def after(self, build: Build) -> Build:
        """Return the graph of `build` followed by this end of the stage."""

        def whole(pipeline: beam.Pipeline, due: Sequence[PartRef]) -> beam.PCollection:
            numbers = build(pipeline, due) | "To one key" >> beam.Map(lambda part: (0, part)).with_output_types(tuple[int, int])
            return numbers | "All parts" >> beam.GroupByKey() | "Finish" >> beam.Map(lambda _: self().digest)

        return whole

    def _check(self, manifest: Manifest) -> None:
        for part, mark in zip(manifest.parts, self.marks, strict=True):
            if not part.key.startswith(mark):
                place, key = self.workspace.path(sidecar_path(self.dataset, part.part)), part.key[:MARK]
                raise StageError(
                    f"stage {self.stage}: part {part.part} ({place}) has the key {key}.. instead of {mark}..: {OTHER_JOB}"
                )
        for part, output in self.workspace.torn(manifest.parts):
            raise StageError(
                f"stage {self.stage}: part {part.part}: {self.workspace.path(output.path)} does not have the {output.bytes} bytes "
                f"that its sidecar says: {OTHER_JOB}"
            )
        self._check_errors(manifest)

    def _check_errors(self, manifest: Manifest) -> None:
        total, errors = sum(c.files for p in manifest.parts for c in p.counts), sum(p.errors for p in manifest.parts)
        if errors > self.max_error_rate * total:
            worst = max((c for p in manifest.parts for c in p.counts if c.is_error), key=lambda c: c.files)
            raise StageError(
                f"stage {self.stage}: {errors} of {total} files ended as errors, above max_error_rate={self.max_error_rate}; "
                f"most are {worst.reason}. The rows are in {self.workspace.path('dropped/' + self.stage)}; their parts are made again by "
                "the next run. Fix the cause, or raise the rate."
            )
