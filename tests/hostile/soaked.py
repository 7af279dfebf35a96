"""A workspace that is soaked (soak.py): a tree, a run that is disturbed in the middle of a stage, and what must come of it."""

import contextlib
import hashlib
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import hostile_repositories
import psutil
from plain_tree import tree

from starmill.pipelines.stages import STAGES

HANG = 600  # seconds after which a run that was disturbed is said to hang
RECIPE = """
workspace: {workspace}
sources: {{input: {{kind: folders, roots: [{tree}]}}}}
ingest: {{part_bytes: 60000, max_files: 2000, max_names_bytes: 4000000}}
release: {{benchmarks: [smoke]}}
tokenizer: {{vocab_size: 512, sample_bytes: 200000}}
"""
NOT_COMPARED = {"timings.json", ".lock", "cache"}  # how long it took, who holds it, and what is believed by a digest of its own
ENDED = re.compile(
    r"^starmill: |run the same command to continue|counts as absent|are damaged", re.MULTILINE
)  # a cause in plain words
VICTIMS = ("driver", "worker", "child")


class Bad(Exception):
    """A hang, or a difference."""


class Soak:
    """A tree, the workspace before and after each stage, and the counts of what was done."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.done, self.kills = folder, Counter[tuple[str, str, str]](), 0
        self.seconds: dict[str, float] = {}
        self.run: subprocess.Popen[bytes] | None = None  # the last one that was started
        self.recipe = folder / "recipe.yaml"
        (folder / "snapshots").mkdir(parents=True)
        (folder / "snapshots/before-0").mkdir()
        tree(folder / "tree", 6, 5)
        for name in ("r001", "r004"):  # ScanCode has work
            text = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software\n"
            (folder / "tree" / name / "LICENSE").write_text(f"MIT License\n\nCopyright {name}\n\n{text}")
        hostile_repositories.whole(folder / "tree/r006.git")
        self.recipe.write_text(RECIPE.format(workspace=folder / "now", tree=folder / "tree"))
        for i, stage in enumerate(STAGES):
            began = time.monotonic()
            ended, said = self.end(self.start(stage, folder / "now", workers=1))
            if ended:
                raise SystemExit(f"{stage} fails without a fault:\n{said}")
            self.seconds[stage] = time.monotonic() - began
            shutil.copytree(folder / "now", folder / f"snapshots/before-{i + 1}")
        self.wanted = [files(folder / f"snapshots/before-{i}") for i in range(len(STAGES) + 1)]

    def workspace(self, after: int) -> Path:
        """Return a fresh workspace with the first `after` stages done."""
        place = self.folder / "now"
        shutil.rmtree(place, ignore_errors=True)
        if after:
            shutil.copytree(self.folder / f"snapshots/before-{after}", place)
        return place

    def start(
        self, command: str, place: Path, *more: str, workers: int = 2, before: tuple[str, ...] = ()
    ) -> "subprocess.Popen[bytes]":
        """Start a command on a workspace, in a session of its own."""
        words = f"-m starmill.cli {command} {self.recipe} --workspace {place} --workers {workers}".split()
        quiet = [] if command == "verify" else ["--no-funnel"]
        with open(self.folder / "said", "wb") as said:
            self.run = subprocess.Popen(
                [*before, sys.executable, *words, *quiet, *more],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self.run

    def stop(self) -> None:
        """End the run at work, which is in a session of its own."""
        if self.run is not None:
            for process in [*below(self.run.pid), self.run]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.run.wait()

    def end(self, run: "subprocess.Popen[bytes]") -> tuple[int, str]:
        """Wait for the end of a run, and return its status and what it said. Raises Bad if it hangs, or names no cause."""
        try:
            run.wait(HANG)
        except subprocess.TimeoutExpired:
            raise Bad(f"HANG: {self.said()[-1500:]}") from None
        finally:
            self.stop()
        if (said := self.said()) and run.returncode > 0 and not ENDED.search(said):
            raise Bad(f"NO CAUSE NAMED: {said[-1500:]}")
        return run.returncode, said

    def said(self) -> str:
        """Return what the last run said."""
        return (self.folder / "said").read_text(errors="replace")

    def finish(self, command: str, place: Path, after: int, run: "subprocess.Popen[bytes]") -> str:
        """Wait for a disturbed run, run again until it succeeds, compare. Raises Bad for a hang or a difference."""
        outcome = "went on"
        for again in range(4):
            status, said = self.end(run)
            if status == 0:
                self.compare(place, after)
                return outcome
            outcome = f"ended, was run again {again + 1}x"
            run = self.start(command, place)
        raise Bad(f"FAILS AGAIN AND AGAIN: {said[-1500:]}")

    def compare(self, place: Path, after: int) -> None:
        """Raises Bad where the files are not those of a run without faults."""
        found, wanted = files(place), self.wanted[after]
        if found != wanted:
            differing = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
            raise Bad(f"DIFFERENT: {differing[:9]}")


def files(place: Path) -> dict[str, str]:
    """Return the digest of each file of a workspace, those that are being written too."""
    found = ((p, p.relative_to(place)) for p in place.rglob("*") if p.is_file())
    return {str(n): hashlib.sha256(p.read_bytes()).hexdigest() for p, n in found if NOT_COMPARED.isdisjoint(n.parts)}


def below(pid: int) -> list[psutil.Process]:
    """Return the processes that a process started, and those that they did."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def victims(run: "subprocess.Popen[bytes]", victim: str) -> list[int]:
    """Return the processes of a run that are its driver, a worker, or any other child (ScanCode)."""
    if victim == "driver":
        return [run.pid]
    found = []
    for process in below(run.pid):
        with contextlib.suppress(psutil.Error):
            if ("starmill.pipelines.runners.worker" in process.cmdline()) is (victim == "worker"):
                found.append(process.pid)
    return found


def await_victim(run: "subprocess.Popen[bytes]", victim: str, within: float, draw: random.Random) -> int | None:
    """Return a process of this kind at some moment of the stage, or None where the run is over before, or never had one."""
    deadline = time.monotonic() + HANG
    while run.poll() is None and not victims(run, victim) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(draw.uniform(0, within))
    found = victims(run, victim)
    return draw.choice(found) if found and run.poll() is None else None
