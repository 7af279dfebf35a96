"""A job's defaults."""

from starmill.evaluation.sandbox import Job, Verdict


def test_a_job_is_apart_unless_said() -> None:
    assert not Job("", "").together and Verdict(True) == Verdict(True, "", "")
