"""Dataflow: the options of a job are checked before anything is submitted; a dry run shows the job's graph, without an account.

With `--dry_run=True` Beam translates a pipeline for Dataflow and stops before it makes a client. Beam checks options only while it makes a
pipeline, and looks in the cloud for a default bucket where the given one is ill-formed: here options are checked before.
"""

import importlib.util
import re
from collections import Counter
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    TestOptions,
    WorkerOptions,
)
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

from starmill.core.credentials import refuse_credentials
from starmill.core.errors import UsageError
from starmill.pipelines.runners.runner import Runner, name_of

# https://cloud.google.com/storage/docs/buckets#naming
BUCKET = re.compile(r"gs://[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9](/.*)?")
# https://cloud.google.com/resource-manager/docs/creating-managing-projects; some old ones begin with a domain.
PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]")
# A tag or a digest: all workers of a run must run the same code.
IMAGE = re.compile(r"[a-z0-9][^\s@]*(:(?!latest$)[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})")


class DataflowError(UsageError):
    """A missing or ill-formed option of a job on Dataflow; the message names the option and its form."""


@dataclass(frozen=True)
class Dataflow(Runner):
    """Runs graphs on Google's Dataflow, whose workers share nothing with this machine but buckets."""

    sees_this_machine = False

    @property
    def is_dry_run(self) -> bool:
        """Whether graphs are translated for Dataflow and not run."""
        return bool(self.parsed.view_as(TestOptions).dry_run)

    def check(self, workspace: str) -> None:
        """Check the options of a job, without any request.

        Raises DataflowError, and UsageError, without quoting the URL, for a URL with credentials.
        """
        for value in (workspace, *self.options):
            refuse_credentials(value)
        if "--dry_run" in self.options:
            raise DataflowError("--dry_run takes a value: --dry_run=True")
        cloud, image = self.parsed.view_as(GoogleCloudOptions), self.parsed.view_as(WorkerOptions).sdk_container_image
        wanted = [
            ("--workspace", workspace, BUCKET, "Dataflow's workers share nothing but buckets: --workspace gs://my-bucket/work"),
            ("--project", cloud.project, PROJECT, "the id of a project of yours, not its name or number: --project=my-project"),
            ("--region", cloud.region, re.compile(r"[a-z]+-[a-z]+\d+"), "where the workers are to be: --region=us-central1"),
            ("--temp_location", cloud.temp_location, BUCKET, "a folder in a bucket: --temp_location=gs://my-bucket/tmp"),
            (
                "--sdk_container_image",
                image,
                IMAGE,
                "the image with this version of starmill, by a tag (not latest) or a digest: "
                "--sdk_container_image=us-docker.pkg.dev/my-project/starmill/pipelines:0.1.0 (docs/dataflow.md makes one)",
            ),
        ]
        for name, value, pattern, fix in wanted:
            if not value or not pattern.fullmatch(value):
                raise DataflowError(f"a job on Dataflow needs {name}{f', and {value} is none' if value else ''}: {fix}")
        try:
            found = importlib.util.find_spec("google.cloud.dataflow")
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise DataflowError(
                "Dataflow's client is not installed: pip install -c constraints.txt '.[pipelines,cloud,dataflow]'"
            )

    def pipeline(self, parts: int) -> beam.Pipeline:
        """Return an empty pipeline with our defaults for a job on Dataflow."""
        # Beam would pickle __main__, which is this command line, and load it on each worker.
        ours = ["--no_save_main_session"]
        if self.is_dry_run:  # which sends nothing: Beam would ask pip for a list of what is installed here, a second a stage
            ours.append("--experiments=disable_logging_submission_environment")
        return beam.Pipeline(options=PipelineOptions([*ours, *self.options]))


def of(options: tuple[str, ...], workers: int) -> Runner | None:
    """Return the runner, if Beam's options name it."""
    return Dataflow(options) if name_of(options) == "dataflowrunner" else None


def describe(proto: beam_runner_api_pb2.Pipeline) -> str:
    """Return one line about a translated pipeline: steps, shuffles, bytes, images."""
    leaves = [t for t in proto.components.transforms.values() if not t.subtransforms]
    urns = Counter(t.spec.urn for t in leaves)
    payloads = [e.payload for e in proto.components.environments.values() if e.urn == common_urns.environments.DOCKER.urn]
    images = sorted({beam_runner_api_pb2.DockerPayload.FromString(p).container_image for p in payloads})
    return (
        f"{len(leaves)} steps, shuffles: {urns[common_urns.primitives.GROUP_BY_KEY.urn]}, {proto.ByteSize():,} bytes, "
        f"on {', '.join(images)}"
    )
