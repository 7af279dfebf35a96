"""A launch of the flex template up to Google's door: Beam's own client stages each stage's job into a bucket, on loopback.

Dataflow itself cannot be had here. The graph that it would get is read back from the bucket, its image replaced by this environment, and
run by Beam's local runner: out of the staged bytes alone come the local run's datasets.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from buckets import BUCKET, fake_gcs, gcs_environment
from pages import ROOT

from starmill.core.dataset import Workspace
from starmill.pipelines import stages
from starmill.pipelines.stages import STAGES

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(1800)]  # the first run compiles the store

IMAGE = "us-docker.pkg.dev/my-project/starmill/pipelines:0.1.0"
URL = f"gs://{BUCKET}"
ON_LOOPBACK = """
import sys
def watch(event, arguments):
    if event == "socket.connect" and not str(arguments[1]).startswith("('127.0.0.1'"):
        raise AssertionError(f"{event} {arguments}")
sys.addaudithook(watch)
"""
LAUNCH = "import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
KEEP_LICENSES = """
from pathlib import Path
from starmill.core.dataset import Workspace
for file in Path("work/cache").rglob("*"):
    if file.is_file():
        Workspace(sys.argv[1]).publish(str(file.relative_to("work")), file.read_bytes())
"""
RUN_STAGED = """
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment
graph = beam_runner_api_pb2.Pipeline.FromString(open(sys.argv[1], "rb").read())
for environment in graph.components.environments.values():
    environment.CopyFrom(EmbeddedPythonEnvironment.default().to_runner_api(None))
assert FnApiRunner().run_via_runner_api(graph, PipelineOptions([])).wait_until_finish() == "DONE"
"""


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder behind the bucket, and a client's environment."""
    folder = tmp_path_factory.mktemp("store")
    with fake_gcs(folder) as port:
        # Beam would look for an account, also in the network of a machine of Google's: it is not let, and gives up after a while.
        yield folder / BUCKET, {**os.environ, **gcs_environment(port), "NO_GCE_CHECK": "true"}


def test_what_a_launch_stages_makes_the_stage(bucket: tuple[Path, dict[str, str]], milled: Path) -> None:
    store, environment = bucket

    def run(code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", ON_LOOPBACK + code, *arguments]
        done = subprocess.run(command, cwd=milled, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    program = [str(ROOT / "infra" / "docker" / "template.py"), "--recipe=recipe.yaml", f"--workspace={URL}/work"]
    run(KEEP_LICENSES, f"{URL}/work")
    run(LAUNCH, *program, "--stage=ingest")  # here, where the folders are
    for stage in [*STAGES][1:]:
        launch = [*program, f"--stage={stage}", f"--sdk_container_image={IMAGE}"]
        google = [
            "--runner=DataflowRunner",
            "--no_auth",
            "--project=my-project",
            "--region=us-central1",
            f"--job_name=mill-{stage}",
        ]
        places = [
            f"--temp_location={URL}/tmp",
            f"--staging_location={URL}/{stage}",
            f"--template_location={URL}/job-{stage}.json",
        ]
        said = run(LAUNCH, *launch, *google, *places)
        assert not (store / "work" / stages.load(stage).dataset / "manifest.json").exists(), (
            "nothing of it was run, and nobody waits"
        )
        assert f"{stage}: the job is written down" in said

        job = json.loads((store / f"job-{stage}.json").read_text())
        [graph] = (store / stage).rglob("pipeline.pb")
        assert job["name"] == f"mill-{stage}" and job["type"] in ("JOB_TYPE_BATCH", 1)
        [pool] = job["environment"]["workerPools"]
        assert [i["containerImage"] for i in pool["sdkHarnessContainerImages"]] == [IMAGE] and not pool.get("packages", [])[1:]
        assert job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"] == f"{URL}/{graph.relative_to(store)}"
        run(RUN_STAGED, str(graph))
        finished = json.loads((store / "work" / stages.load(stage).dataset / "manifest.json").read_text())
        local = Workspace(str(milled / "work")).manifest(stages.load(stage).dataset)
        assert local and finished["digest"] == local.digest, stage
