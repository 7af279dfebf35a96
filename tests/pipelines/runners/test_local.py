"""The local runner is named, and starts no more workers than there are parts."""

from starmill.pipelines.runners.local import Local


def test_workers() -> None:
    pipeline = Local(("--job_name=x",), workers=8).pipeline(3)
    assert pipeline._options._flags == ["--direct_num_workers=3", "--job_name=x"]
    assert type(Local().pipeline(3).runner).__name__ == "FnApiRunner"
