"""Which runner Beam's options choose, and that what nobody here knows is handed through untouched."""

import pytest

from starmill.pipelines.runners import choose
from starmill.pipelines.runners.dataflow import Dataflow
from starmill.pipelines.runners.flink import Flink
from starmill.pipelines.runners.local import Local
from starmill.pipelines.runners.runner import Runner


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ((), Local),
        (("--job_name=x",), Local),
        (("--runner=FlinkRunner",), Flink),
        (("--runner", "PortableRunner"), Flink),
        (("--runner=apache_beam.runners.DataflowRunner",), Dataflow),
        (("--runner=DataflowRunner", "--dry_run"), Dataflow),
        (("--runner=SparkRunner",), Runner),
    ],
)
def test_the_options_choose(options: tuple[str, ...], kind: type) -> None:
    assert type(choose(options)) is kind
    assert choose(options).is_local is (kind is Local) and choose(options).sees_this_machine is (kind is not Dataflow)


def test_beams_options_pass_through_untouched() -> None:
    given = ("--runner=FlinkRunner", "--flink_master=localhost:8081", "--parallelism=7", "--of_a_runner_to_come=x")
    pipeline = choose(given, workers=8).pipeline(100)
    assert pipeline._options._flags == list(given)
    assert type(pipeline.runner).__name__ == "FlinkRunner"


def test_nobody_waits_for_a_template() -> None:
    assert choose(()).waits and not choose(("--template_location=job.json",)).waits
