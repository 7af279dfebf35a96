"""The real graphs of all stages, translated for Dataflow without an account or a network: coders, shuffles, fusion, images.

Nothing here was run on Dataflow; what Dataflow would get is Beam's own translation.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.runners.dataflow.internal import apiclient
from apache_beam.runners.portability.fn_api_runner import translations

from starmill.core.errors import UsageError
from starmill.pipelines import recipe as recipes
from starmill.pipelines.run import dry
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.runners.dataflow import Dataflow, DataflowError, describe
from starmill.pipelines.stages import STAGES
from starmill.transforms.dedup import bands, clusters, hot, rounds

ROOT = Path(__file__).resolve().parents[3]
WORKSPACE, IMAGE = "gs://my-bucket/work", "us-docker.pkg.dev/my-project/starmill/pipelines:0.1.0"
NEEDED = {
    "--project": "my-project",
    "--region": "us-central1",
    "--temp_location": "gs://my-bucket/tmp",
    "--sdk_container_image": IMAGE,
}
DRY = ("--runner=DataflowRunner", "--dry_run=True", *(f"{k}={v}" for k, v in NEEDED.items()))
GROUP, RESHUFFLE = common_urns.primitives.GROUP_BY_KEY.urn, common_urns.composites.RESHUFFLE.urn
# The coders that any runner knows: https://beam.apache.org/documentation/runtime/model/ and the model's standard_coders.yaml.
KNOWN = {
    f"beam:coder:{name}:v1"
    for name in ("bytes", "string_utf8", "kv", "varint", "iterable", "tuple", "windowed_value", "global_window")
}


@pytest.fixture(scope="module")
def protos() -> dict[str, api.Pipeline]:
    """Every stage with every option of the graph in it: rounds, whole repositories, near duplicates."""
    recipe = recipes.load(str(ROOT / "recipes/data/stack-v2.yaml"), [], [], WORKSPACE)
    return {stage: dry.translate(stage, recipe, Dataflow(DRY)) for stage in STAGES}


def leaves(proto: api.Pipeline) -> dict[str, api.PTransform]:
    """The transforms that do something, by id, those inside a Reshuffle left out: Dataflow has its own."""
    inside: set[str] = set()
    transforms = proto.components.transforms
    todo = [t for t in transforms.values() if t.spec.urn == RESHUFFLE]
    while todo:
        below = [k for t in todo for k in t.subtransforms]
        inside |= {*below}
        todo = [transforms[k] for k in below]
    return {k: t for k, t in transforms.items() if k not in inside and (not t.subtransforms or t.spec.urn == RESHUFFLE)}


def shuffles(proto: api.Pipeline) -> dict[str, api.PTransform]:
    return {t.unique_name: t for t in leaves(proto).values() if t.spec.urn in (GROUP, RESHUFFLE)}


def coder(components: api.Components, name: str) -> Iterator[str]:
    """The URNs of a coder and of its parts, outside in."""
    found = components.coders[name]
    yield found.spec.urn
    for part in found.component_coder_ids:
        yield from coder(components, part)


def coders_of(proto: api.Pipeline, collections: Iterator[str] | list[str]) -> set[tuple[str, ...]]:
    parts = proto.components
    return {
        tuple(u.removeprefix("beam:coder:").removesuffix(":v1") for u in coder(parts, parts.pcollections[c].coder_id))
        for c in collections
    }


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_shuffled_has_a_coder_that_any_runner_knows(protos: dict[str, api.Pipeline], stage: str) -> None:
    proto = protos[stage]
    found = shuffles(proto)
    assert found
    for name, transform in found.items():
        for collection in (*transform.inputs.values(), *transform.outputs.values()):
            urns = {*coder(proto.components, proto.components.pcollections[collection].coder_id)}
            assert urns <= KNOWN, f"{name}: {urns - KNOWN}"


@pytest.mark.parametrize("stage", [s for s in STAGES if s != "dedup"])
def test_a_map_stage_shuffles_references_and_is_one_step(protos: dict[str, api.Pipeline], stage: str) -> None:
    proto = protos[stage]
    [spread] = shuffles(proto).values()
    assert coders_of(proto, [*spread.inputs.values()]) == {("tuple", "varint", "string_utf8", "string_utf8", "string_utf8")}
    [process] = [t for t in leaves(proto).values() if t.unique_name == "ProcessParts/Process"]
    # The break of fusion: without it, one worker would do all parts.
    assert [*process.inputs.values()] == [*spread.outputs.values()]
    assert coders_of(proto, [*process.outputs.values()]) == {("varint",)}
    assert len(fused(proto)) == 2, "what makes the references, and the work"


def test_dedup_shuffles_packed_blocks_without_text(protos: dict[str, api.Pipeline]) -> None:
    proto = protos["dedup"]
    found = shuffles(proto)
    keyed = {("kv", "varint", "bytes"), ("kv", "varint", "kv", "string_utf8", "bytes")}
    reference = ("tuple", "varint", "string_utf8", "string_utf8", "string_utf8")
    for name, transform in found.items():
        wanted = {reference} if name == "Spread parts" else keyed
        assert coders_of(proto, [*transform.inputs.values()]) <= wanted, name
    # What the bytes are: blocks of these schemas, and references. No column of any is a file's text.
    packed = [s for module in (bands, clusters, hot, rounds) for s in vars(module).values() if isinstance(s, pa.Schema)]
    assert len(packed) >= 7
    assert "content" not in {name for schema in packed for name in schema.names}
    resolved = {n for n in found if n.startswith(("Group Mark kept", "Group Remove below"))}
    assert len(resolved) == 2 * 6, "the recipe's rounds"


def test_what_reads_parts_is_spread_first(protos: dict[str, api.Pipeline]) -> None:
    steps = [[t.unique_name for t in s.transforms if t.spec.urn.startswith("beam:transform")] for s in fused(protos["dedup"])]
    [first] = [names for names in steps if any(name.startswith("Parts/") for name in names)]
    assert {name.partition("/")[0] for name in first} == {"Parts", "Number parts", "Join verdicts", "Join copies"}, (
        "all that one worker does, alone"
    )
    transforms = leaves(protos["dedup"]).values()
    [spread] = [t for t in transforms if t.spec.urn == RESHUFFLE]
    for reader in [t for t in transforms if t.unique_name in ("Read identities", "Read roots")]:
        assert [*reader.inputs.values()] == [*spread.outputs.values()]


def fused(proto: api.Pipeline) -> list[translations.Stage]:
    """The stages that run on workers, as Beam's own optimizer fuses them."""
    context = translations.TransformContext(proto.components, frozenset({GROUP, RESHUFFLE, common_urns.primitives.IMPULSE.urn}))
    stages = list(translations.leaf_transform_stages(proto.root_transform_ids, proto.components, known_composites={RESHUFFLE}))
    for phase in (translations.annotate_downstream_side_inputs, translations.sink_flattens, translations.greedily_fuse):
        stages = list(phase(stages, context))
    runners = {GROUP, RESHUFFLE, common_urns.primitives.IMPULSE.urn}
    return [s for s in stages if not any(t.spec.urn in runners for t in s.transforms)]


@pytest.mark.parametrize("stage", STAGES)
def test_workers_run_our_image_and_get_nothing_else(protos: dict[str, api.Pipeline], stage: str) -> None:
    components = protos[stage].components
    [environment] = components.environments.values()
    assert environment.urn == common_urns.environments.DOCKER.urn
    assert api.DockerPayload.FromString(environment.payload).container_image == IMAGE
    # No main session, no package: the image has it all. A real job has one file, Beam's list of what the driver had installed.
    assert [d.role_payload.decode().strip("\n'") for d in environment.dependencies] == []
    steps = [t for t in components.transforms.values() if t.spec.urn == common_urns.primitives.PAR_DO.urn]
    for step in steps:
        assert not api.ParDoPayload.FromString(step.spec.payload).side_inputs, "each would be held in memory by every worker"
    assert len({t.unique_name for t in components.transforms.values()}) == len(components.transforms)
    assert protos[stage].ByteSize() < 200_000 and IMAGE in describe(protos[stage])


def test_the_job_request_asks_for_our_image_and_fits(protos: dict[str, api.Pipeline]) -> None:
    # What is sent beside the graph, made by Beam's own code, which the client would hand to Google.
    options = PipelineOptions(
        [*Dataflow(DRY).pipeline(1)._options._flags, "--machine_type=n2-highmem-4", "--max_num_workers=200"]
    )
    options.view_as(GoogleCloudOptions).staging_location = "gs://my-bucket/tmp"
    environment = apiclient.Environment([], options, "8", "gs://my-bucket/tmp/pipeline.pb", protos["dedup"]).proto
    [pool] = environment.worker_pools
    [image] = pool.sdk_harness_container_images
    assert image.container_image == IMAGE and image.use_single_core_per_container, "a process for each core"
    assert pool.machine_type == "n2-highmem-4" and pool.autoscaling_settings.max_num_workers == 200
    assert environment.temp_storage_prefix == "storage.googleapis.com/my-bucket/tmp"
    sent = dict(environment.sdk_pipeline_options["options"])
    assert sent["save_main_session"] is False and sent["runner"] == "DataflowRunner"
    # The limit of a request is 20 MB: https://cloud.google.com/dataflow/quotas. The graph itself is staged in the bucket.
    assert environment._pb.ByteSize() < 100_000


def test_names_are_those_of_the_next_run_and_hints_reach_the_workers() -> None:
    # An update of a job, and its page, go by the names of the steps.
    recipe = recipes.load("smoke", [], [], WORKSPACE)
    hinted = Dataflow((*DRY, "--resource_hints=min_ram=16GB"))
    first, second = dry.translate("dedup", recipe, Dataflow(DRY)), dry.translate("dedup", recipe, hinted)
    assert {t.unique_name for t in first.components.transforms.values()} == {
        t.unique_name for t in second.components.transforms.values()
    }
    [environment] = second.components.environments.values()
    assert environment.resource_hints[common_urns.resource_hints.MIN_RAM_BYTES.urn] == b"16000000000"


NO_NETWORK = """
import sys
def watch(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.send")):
        raise AssertionError(f"{event} {arguments}")
    if event in ("open", "os.listdir", "os.scandir") and "unread-input" in str(arguments[0]):
        raise AssertionError(f"{event} {arguments}")
    if event == "subprocess.Popen" and "pip" in arguments[1]:
        raise AssertionError(f"{event} {arguments}")
sys.addaudithook(watch)
from starmill.cli.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_dry_run_touches_no_network_and_no_input(tmp_path: Path) -> None:
    (tmp_path / "unread-input").mkdir()
    given = ["run", "stack-v2", "--set", "sources.input.roots=[unread-input]", "--workspace", WORKSPACE]
    command = [sys.executable, "-c", NO_NETWORK, *given, "--", *DRY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*STAGES] and all(line.endswith(f"on {IMAGE}") for line in lines)
    assert [p.name for p in tmp_path.iterdir()] == ["unread-input"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--project", None, "needs --project: the id of a project"),
        ("--project", "123456", "needs --project, and 123456 is none"),
        ("--region", None, "needs --region: where the workers"),
        ("--region", "us-central1-a", "us-central1-a is none"),
        ("--temp_location", None, "needs --temp_location: a folder in a bucket"),
        ("--temp_location", "/tmp", "needs --temp_location, and /tmp is none"),
        ("--temp_location", "gs://b/t", "needs --temp_location, and gs://b/t is none"),
        ("--sdk_container_image", None, "needs --sdk_container_image: the image with this version"),
        ("--sdk_container_image", "us-docker.pkg.dev/p/r/worker", "by a tag"),
        ("--sdk_container_image", "us-docker.pkg.dev/p/r/worker:latest", "not latest"),
        ("--dry_run", "", "takes a value: --dry_run=True"),
    ],
)
def test_what_is_missing_is_said_before_anything_happens(option: str, value: str | None, message: str) -> None:
    given = {**NEEDED, option: value}
    options = ["--runner=DataflowRunner", *(f"{k}={v}" if v else k for k, v in given.items() if v is not None)]
    with pytest.raises(DataflowError, match=message):
        choose(tuple(options)).check(WORKSPACE)


def test_a_workspace_on_this_machine_is_refused() -> None:
    for place in ("runs/smoke", "/srv/work", "s3://bucket/work", "gs://no_Capitals/work"):
        with pytest.raises(DataflowError, match=r"needs --workspace, .*gs://my-bucket/work"):
            Dataflow(DRY).check(place)


@pytest.mark.parametrize("image", [IMAGE, f"{IMAGE.partition(':')[0]}@sha256:{'0f' * 32}", "registry:5000/worker:v1"])
def test_a_complete_job_passes_and_other_runners_are_not_looked_at(image: str) -> None:
    choose((*DRY, f"--sdk_container_image={image}")).check(WORKSPACE)
    assert isinstance(choose(("--runner=apache_beam.runners.DataflowRunner", *DRY[1:])), Dataflow)
    for other in ((), ("--runner=FnApiRunner",), ("--runner=FlinkRunner", "--flink_master=host:8081")):
        assert not isinstance(choose(other), Dataflow) and not choose((*other, "--dry_run=True")).is_dry_run
    assert choose(DRY).is_dry_run and not choose(tuple(o for o in DRY if "dry_run" not in o)).is_dry_run
    assert not choose((*DRY, "--template_location=gs://my-bucket/t.json")).waits and choose(DRY).waits


def test_folders_of_this_machine_are_not_sent_to_dataflow(tmp_path: Path) -> None:
    (tmp_path / "tree" / "one").mkdir(parents=True)
    (tmp_path / "tree" / "one" / "a.py").write_text("x = 1\n")
    recipe = recipes.load("smoke", [], [str(tmp_path / "tree")], str(tmp_path / "work"))
    options = tuple(o for o in DRY if "dry_run" not in o)
    with pytest.raises(UsageError, match="do not see the folders of this machine; run `starmill ingest`"):
        run_stage("ingest", recipe, Dataflow(options), quiet=True)
