"""Judging many: in order, several at a time, and what a lost interpreter comes to."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
import toolchains

from starmill.core import sandbox
from starmill.core.errors import MachineError
from starmill.evaluation.sandbox import Job
from starmill.evaluation.sandbox.judge import Judge


@pytest.fixture(autouse=True)
def namespaces() -> None:
    toolchains.namespaces()


def jobs(count: int) -> Iterator[Job]:
    for number in range(count):
        yield Job(
            f"import time\ntime.sleep({0.05 if number % 7 == 0 else 0})\nx = {number}", f"assert x % 3 == 0 and x == {number}"
        )


def test_verdicts_are_in_the_order_of_jobs_and_jobs_are_taken_as_needed() -> None:
    taken = []
    with Judge(workers=2) as judge:
        verdicts = judge.judge(taken.append(job) or job for job in jobs(40))  # type: ignore[func-returns-value]
        first = next(verdicts)
        assert len(taken) < 20
        assert [first.passed, *(verdict.passed for verdict in verdicts)] == [number % 3 == 0 for number in range(40)]


def test_a_lost_interpreter_is_made_anew() -> None:
    with Judge() as judge:
        judge._all[0].process.send_signal(signal.SIGKILL)
        assert [verdict.passed for verdict in judge.judge([Job("x = 1", "assert x")] * 2)] == [True, True]


def test_one_that_is_lost_each_time_is_trouble_of_the_machine() -> None:
    stop = threading.Event()

    def killer() -> None:
        while not stop.is_set():
            for process in psutil.Process().children():
                process.kill()
            time.sleep(0.05)

    with Judge() as judge:
        thread = threading.Thread(target=killer)
        thread.start()
        try:
            with pytest.raises(MachineError, match="trouble of the machine"):
                list(judge.judge([Job("import time\ntime.sleep(2)", "")]))
        finally:
            stop.set()
            thread.join()


def test_its_end_leaves_no_process() -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with Judge(workers=2) as judge:
        list(judge.judge(jobs(3)))
    for _ in range(100):
        if {process.pid for process in psutil.Process().children(recursive=True)} <= before:
            return
        time.sleep(0.05)
    pytest.fail("processes are left")


def test_without_namespaces_it_runs_only_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise sandbox.NotIsolated("no user namespace")

    monkeypatch.setattr(sandbox, "probe", refused)
    with pytest.raises(sandbox.NotIsolated):
        Judge()
    with Judge(unsafe=True) as judge:
        assert judge.level == "limits"
        good, bad, slow = judge.judge([Job("x = 1", "assert x"), Job("x = 1", "assert x == 2"), Job("while 1: pass", "", 1)])
        assert (good.passed, bad.reason, slow.reason) == (True, "wrong", "cpu")


def test_libraries_that_are_preloaded_can_be_imported() -> None:
    with Judge(preload=["numpy"]) as judge:
        (found,) = judge.judge([Job("import numpy as np\nprint(np.arange(3).sum())", "pass", 10)])
    assert found.passed and found.output == "3\n" and os.getpid()


def test_what_cannot_be_preloaded_is_said() -> None:
    with pytest.raises(MachineError, match="absent_module"):
        Judge(preload=["absent_module"])
