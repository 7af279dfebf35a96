"""Ranks that wait for one say which, where, and what it does; the slow test has ranks of gloo, of which one sleeps, or is stopped."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch.distributed as dist
import yaml
from small_workspace import RECIPE, build

from starmill.trainer.watch import Watch, slow, waited_for

STATE = {"count": 9, "doing": "forward of step 3", "seconds": 70.0, "host": "a"}


def test_who_is_waited_for() -> None:
    behind = {"count": 8, "doing": "data of step 3", "seconds": 75.2, "host": "b"}
    told, speaks = waited_for([behind, STATE, STATE])
    assert told == "rank 0 on b has been at data of step 3 for 75 s; the others have been at forward of step 3 for 70 s"
    assert speaks == 1
    assert waited_for([STATE, None, behind])[0].startswith("rank 1 does not answer, rank 2 on b")
    assert waited_for([STATE, STATE]) == ("all ranks have been at forward of step 3 for 70 s, none behind the others", 0)
    assert waited_for([None])[1] == -1


def test_a_rank_that_waits_asks_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    store = dist.HashStore()
    ranks = [Watch(store.clone(), rank, 3, patience=2.0) for rank in range(3)]
    said = threading.Event()
    for rank in ranks:
        rank.doing("data of step 7")
        rank.start()
    ranks[0].doing("forward of step 7")
    ranks[2].doing("forward of step 7")
    for _ in range(600):
        if ranks[0].finding and ranks[2].finding:
            break
        said.wait(0.1)
    for rank in ranks:
        rank.stop()
    assert "rank 1 on " in ranks[0].finding and "has been at data of step 7 for" in ranks[0].finding
    assert "the others have been at forward of step 7" in ranks[2].finding
    assert capsys.readouterr().err.count("rank 1 on") == 1, "one of them speaks"


def test_parts_of_a_step_that_take_one_rank_longer() -> None:
    usual = {"data": 0.1, "forward": 1.0, "optimizer": 0.001}
    assert slow([(0, "a", usual), (2, "b", usual)]) == {}
    assert slow([(0, "a", usual), (2, "b", {**usual, "data": 0.9})]) == {"rank 2 on b, data": 0.9}
    assert slow([(0, "a", usual), (2, "b", {**usual, "optimizer": 0.01})]) == {}, "ten times of nothing"
    rows = [(n, "a", usual) for n in range(3)]
    assert slow([*rows, (3, "a", {**usual, "forward": 2.5})]) == {"rank 3 on a, forward": 2.5}


# A rank that does nothing for an hour, as one whose disk hangs, or stops itself, as one whose host does; or only takes a while each step.
RUN = """
import os, signal, sys, time
from starmill.trainer import loop
from starmill.trainer.config import load
from starmill.trainer.data.corpus import Corpus

plain, how = Corpus.batches, sys.argv[2]

def batches(self, *given):
    for number, batch in enumerate(plain(self, *given)):
        if os.environ["RANK"] == "1":
            if how == "slow":
                time.sleep(0.5)
            elif number == 5:
                time.sleep(3600) if how == "sleeps" else os.kill(os.getpid(), signal.SIGSTOP)
        yield batch

Corpus.batches = batches
from starmill.core.errors import StarmillError
try:
    sys.exit(loop.train(load(sys.argv[1], [])))
except StarmillError as error:
    sys.exit(f"error: {error}")
"""


def ranks(tmp_path: Path, how: str, timeout_s: int) -> list[subprocess.Popen[str]]:
    build(tmp_path / "w")
    values = {**RECIPE, "workspace": str(tmp_path / "w"), "output": str(tmp_path / "o"), "log_every": 1}
    values["data"] = {**RECIPE["data"], "micro_batch": 1, "prefetch": 1}
    values["parallel"] = {"timeout_s": timeout_s}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    made = []
    for rank in ("0", "1"):
        shared = {
            "WORLD_SIZE": "2",
            "STARMILL_RANKS": str(tmp_path / "meet"),
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        environment = {**os.environ, "RANK": rank, "LOCAL_RANK": rank, **shared}
        words = [sys.executable, "-c", RUN, str(tmp_path / "recipe.yaml"), how]
        made.append(subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("how", ["sleeps", "stops"])
def test_a_rank_that_hangs_is_named(tmp_path: Path, how: str) -> None:
    first, second = ranks(tmp_path, how, 20)
    try:
        _, said = first.communicate(timeout=300)
    finally:
        second.send_signal(signal.SIGKILL)
        second.communicate()
    assert first.returncode == 1
    name = "rank 1 does not answer" if how == "stops" else f"rank 1 on {os.uname().nodename} has been at data of step"
    *warned, failed = (line for line in said.splitlines() if "rank 1 " in line)
    assert (
        any(name in line for line in warned)
        and name in failed
        and "parallel.timeout_s=20" in failed
        and failed.startswith("error: ")
    )


@pytest.mark.slow
def test_a_slow_rank_is_named(tmp_path: Path) -> None:
    said = [process.communicate(timeout=300)[1] for process in ranks(tmp_path, "slow", 600)]
    assert f"slow: rank 1 on {os.uname().nodename}, data took" in said[0]
    lines = map(json.loads, (tmp_path / "o/metrics.jsonl").read_text().splitlines())
    assert any(key.endswith(", data") and took > 0.3 for line in lines for key, took in line.get("slow_ranks", {}).items())
