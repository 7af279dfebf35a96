"""Workers of a killed driver end by themselves, and print nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DRIVER = """
import sys, time
import apache_beam as beam
from starmill.pipelines.runners.local import Local
def work(n):
    open(sys.argv[1], "a").write(f"{__import__('os').getpid()} ")
    time.sleep(600)
pipeline = Local(workers=2).pipeline(2)
_ = pipeline | beam.Create([1, 2]) | beam.Reshuffle() | beam.Map(work)
pipeline.run()
"""


def alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}") and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


def test_no_orphan_survives(tmp_path: Path) -> None:
    marks = tmp_path / "pids"
    script = DRIVER.replace("sys.argv[1]", repr(str(marks)))
    driver = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (marks.exists() and len(marks.read_text().split()) == 2):
        time.sleep(0.1)
    workers = [int(p) for p in marks.read_text().split()]
    assert len(set(workers)) == 2 and driver.pid not in workers
    driver.send_signal(signal.SIGKILL)
    _, errors = driver.communicate(timeout=60)  # returns when the last holder of the pipe is gone
    assert not any(alive(p) for p in workers)
    assert "INFO" not in errors
