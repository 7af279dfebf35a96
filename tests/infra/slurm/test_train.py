"""The batch script beside programs that stand for Slurm's: what it asks of srun, and whose status it takes for srun's.

What it does on a real cluster is tested in end_to_end/test_slurm.py, where no signal comes at a chosen moment.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "infra" / "slurm" / "train.sbatch"
# srun writes what it was asked, and ends with the status that a test writes; signals it notes. The others write that they were called.
PROGRAMS = {
    "srun": """\
echo "$$" > pid
trap 'echo USR1 >> signals' USR1
printf '%s\\n' "$@" > asked
until [ -s status ]; do /bin/sleep 0.02; done
exit "$(cat status)"
""",
    "scontrol": """\
if [ "$1" = requeue ]; then echo "$2" >> requeued; else echo node-a; fi
""",
    "sleep": "exit 0\n",
}


def test_it_is_bash_and_says_how_it_is_called() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    done = subprocess.run(["bash", str(SCRIPT), "python", "8"], capture_output=True, text=True)
    assert done.returncode == 2 and "RANKS_PER_NODE RECIPE" in done.stderr


def test_slurm_reads_its_options() -> None:
    lines = SCRIPT.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    options = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert options and max(options) < first, "sbatch reads none below the first command"


@contextmanager
def job(place: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the script as a job of two nodes in `place`, once srun is there."""
    for name, text in PROGRAMS.items():
        (place / name).write_text(f"#!/bin/bash\n{text}")
        (place / name).chmod(0o755)
    environment = {"PATH": f"{place}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"}
    environment |= {"SLURM_JOB_NODELIST": "node-[a-b]", "SLURM_JOB_CPUS_PER_NODE": "16(x2),4", **more}
    command = ["bash", str(SCRIPT), "python", "1", "recipe.yaml"]
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.DEVNULL) as running:
        try:
            until(lambda: (place / "asked").exists())
            yield running
        finally:
            (place / "status").write_text("0")


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("more", "cpus"), [({}, 4), ({"SLURM_CPUS_PER_TASK": "6"}, 6)])
def test_the_step_has_the_cpus_of_the_job(more: dict[str, str], cpus: int, tmp_path: Path) -> None:
    with job(tmp_path, **more):
        assert f"--cpus-per-task={cpus}" in (tmp_path / "asked").read_text().splitlines()


@pytest.mark.parametrize("ended", [0, 1])
def test_a_training_that_ends_as_it_is_warned_is_not_taken_for_saved(ended: int, tmp_path: Path) -> None:
    """It ends while the script passes the warning on: `kill` does not return before srun is gone."""
    gone = 'while builtin kill -0 "$2" 2> /dev/null; do /bin/sleep 0.02; done'
    slow = f'() {{ builtin kill "$@" || return; echo {ended} > status; {gone}; }}'
    with job(tmp_path, **{"BASH_FUNC_kill%%": slow}) as script:
        script.send_signal(signal.SIGUSR1)
        assert script.wait(60) == ended
    assert not (tmp_path / "requeued").exists()


def test_what_saved_after_the_warning_is_queued_again(tmp_path: Path) -> None:
    with job(tmp_path) as script:
        script.send_signal(signal.SIGUSR1)
        until((tmp_path / "signals").exists)
        assert script.poll() is None, "it waits for the ranks to save"
        (tmp_path / "status").write_text("138")
        assert script.wait(60) == 138
    assert (tmp_path / "requeued").read_text() == "7\n"


def test_what_was_not_warned_is_not_queued_again(tmp_path: Path) -> None:
    with job(tmp_path) as script:  # cancelled: the ranks hear of it from Slurm
        script.send_signal(signal.SIGTERM)
        (tmp_path / "status").write_text("143")
        assert script.wait(60) == 143
    assert not (tmp_path / "requeued").exists()
