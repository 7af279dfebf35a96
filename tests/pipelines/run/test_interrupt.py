"""One run at a time, and a clean end: a real process with a real worker, ended by SIGINT, SIGTERM and SIGHUP."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from starmill.cli import __main__ as cli
from starmill.core.dataset import Workspace
from starmill.pipelines.run.interrupt import WorkspaceBusy, exclusive, stopping_by_exception

RUN = """
import subprocess, sys, time
from starmill.core.dataset import Workspace
from starmill.core.files import writer_of
from starmill.pipelines.run.interrupt import exclusive, stopping_cleanly
workspace = Workspace(sys.argv[1])
with exclusive(workspace), stopping_cleanly(workspace):
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(sys.argv[1] + "/.tmp-" + writer_of("part-00000.parquet") + "part-00000.parquet", "w").write("half")
    print(worker.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_workers_and_leaves_no_temporary_file(tmp_path: Path, number: signal.Signals) -> None:
    run = subprocess.Popen(
        ["env", "--default-signal=HUP", sys.executable, "-c", RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    with pytest.raises(WorkspaceBusy, match="another run"), exclusive(Workspace(str(tmp_path))):
        pass
    run.send_signal(number)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert "run the same command to continue" in errors
    for _ in range(1000):
        if not os.path.exists(f"/proc/{worker}") or "Z" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2][:3]:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the worker lives on")
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]
    with exclusive(Workspace(str(tmp_path))):
        pass  # the lock died with its holder


def test_a_signal_ends_a_run_in_the_middle_of_a_line_that_nobody_reads(tmp_path: Path) -> None:
    printing = RUN.replace("time.sleep(600)\n", "while True: sys.stderr.write('a line that waits\\n')\n")
    run = subprocess.Popen([sys.executable, "-c", printing, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert run.stdout is not None and run.stdout.readline()
        time.sleep(0.5)  # the pipe is full by then, or else the signal meets an ordinary line
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 128 + signal.SIGTERM
        assert [p.name for p in tmp_path.iterdir()] == [".lock"]
    finally:
        run.kill()
        run.communicate()


def test_sigterm_becomes_an_exception_where_a_job_is_to_be_canceled() -> None:
    with pytest.raises(KeyboardInterrupt), stopping_by_exception():
        signal.raise_signal(signal.SIGTERM)  # to this very thread: a test process of pytest-xdist has others


def test_a_process_that_goes_on_has_its_own_handlers_again(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    (tmp_path / "in").mkdir()
    # In this very process, as a caller of the command would have it; there is nothing to mill, so that it fails soon.
    arguments = ["ingest", "smoke", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "w"), "--quiet"]
    assert cli.main(arguments) == 1
    assert [signal.getsignal(number) for number in numbers] == before
    with stopping_by_exception():
        assert signal.getsignal(signal.SIGTERM) == signal.default_int_handler
    assert [signal.getsignal(number) for number in numbers] == before
