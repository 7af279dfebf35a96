"""A few rounds of `make soak`: it ends, says what it did, and its rounds are a function of the seed."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT
from soak import FAULTS, rounds

from starmill.pipelines.stages import STAGES


def test_rounds_come_again_from_any_number() -> None:
    def some(seed: int, first: int, count: int) -> list[tuple[int, str, float, int]]:
        return [(n, fault, draw.random(), i) for n, fault, draw, i in itertools.islice(rounds(seed, first, None), count)]

    assert some(3, 0, 50)[20:] == some(3, 20, 30) != some(4, 20, 30)
    assert {(fault, i) for _, fault, _, i in some(0, 0, 1000)} == set(itertools.product(FAULTS, range(len(STAGES))))


@pytest.mark.slow
def test_a_soak_of_a_kill_and_of_damage(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests/hostile/soak.py"), "--seed", "1", "--minutes", "5", "--rounds", "2"]
    where = {"PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{ROOT}/tests/end_to_end", "TMPDIR": str(tmp_path)}
    for fault in ("kill", "damage"):
        done = subprocess.run(
            [*command, "--only", fault], env={**os.environ, **where}, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("seed 1\n") and "2 rounds" in done.stdout and "0 hung or differed" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_soak_that_is_interrupted_says_what_it_did(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests/hostile/soak.py"), "--seed", "1", "--only", "signal"]
    where = {"PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{ROOT}/tests/end_to_end", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env={**os.environ, **where}, stdout=subprocess.PIPE, text=True) as soak:
        assert soak.stdout is not None
        assert [soak.stdout.readline()[:7] for _ in range(2)] == ["seed 1\n", "round 0"]
        soak.send_signal(signal.SIGINT)
        said, _ = soak.communicate(timeout=100)
    assert soak.returncode == 0 and "stopped; so far:\nfault" in said and "1 rounds, 0 SIGKILLs, 0 hung or differed" in said
    assert not list(tmp_path.iterdir())
