"""A child ends after its parent is killed, also where the parent was gone before it started; signals have handlers for a while."""

import signal
import subprocess
import sys
import time

import psutil

from starmill.core.process import handling

CHILD = "import sys, time; from starmill.core.process import die_with; die_with(int(sys.argv[1])); print('up', flush=True); time.sleep(100)"
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())])
print(child.pid, flush=True)
time.sleep(100)
"""


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_child_ends_after_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert parent.stdout.readline() == "up\n" and child.is_running()
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == "", "at the end of the pipe, which the child holds too"
    deadline = time.monotonic() + 30  # the pipe closes a moment before the process is gone
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)


def test_a_child_of_a_parent_that_is_gone_already_ends() -> None:
    assert subprocess.run([sys.executable, "-c", CHILD, "1234567890"], stdout=subprocess.DEVNULL, timeout=60).returncode == 1


def test_a_signal_is_handled_in_the_block_and_as_before_after_it() -> None:
    before, came = signal.getsignal(signal.SIGUSR1), []
    with handling(lambda number, _: came.append(number), (signal.SIGUSR1,)):
        signal.raise_signal(signal.SIGUSR1)
    assert came == [signal.SIGUSR1] and signal.getsignal(signal.SIGUSR1) is before
