"""An hour of trouble: kills, faults and hostile inputs, one after the other, and a table of what came of them.

    PYTHONPATH=tests/end_to_end python tests/hostile/soak.py [--minutes 60] [--seed 0] [--first 0] [--rounds N] [--only kill] [--folder DIR]

Each round makes a fault in a run that is in the middle of a stage, lets the run end, runs again where it ended in an error, and
compares every file of the workspace with those of a run without faults. What a round does is a function of the seed and of its number:
`--seed S --first N --rounds 1` does it again. Only processes that a round started are killed. Exit status 1: something hung, or differed.
"""

import argparse
import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hostile_files
import hostile_repositories
import psutil
from plain_tree import tree

from starmill.core import seeds
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
            return subprocess.Popen(
                [*before, sys.executable, *words, *quiet, *more],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def end(self, run: "subprocess.Popen[bytes]") -> tuple[int, str]:
        """Wait for the end of a run, and return its status and what it said. Raises Bad if it hangs, or names no cause."""
        try:
            run.wait(HANG)
        except subprocess.TimeoutExpired:
            raise Bad(f"HANG: {self.said()[-1500:]}") from None
        finally:
            for process in [*below(run.pid), run]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            run.wait()
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


# The faults: each takes the soak, a source of random numbers and a stage's place in STAGES, and returns the outcome.


def kill(soak: Soak, draw: random.Random, i: int) -> str:
    """SIGKILL, up to three times in a row, each in whatever the run before it left."""
    place, stage, killed = soak.workspace(i), STAGES[i], []
    for _ in range(draw.choice((1, 2, 3))):
        run = soak.start(stage, place)
        victim = draw.choice(VICTIMS if stage == "measure" else VICTIMS[:2])  # ScanCode is the only child
        share = {"driver": 0.9, "worker": 0.1, "child": 0.2}[victim]
        pid = await_victim(run, victim, share * soak.seconds[stage], draw)
        if pid is not None:
            before = below(run.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                soak.kills += 1
                killed.append(victim)
            if victim == "driver":
                run.wait()
                _, left = psutil.wait_procs(before, timeout=120)  # ScanCode reads its index before it looks up
                if left:
                    raise Bad(f"LEFT BEHIND by a killed driver: {left}")
        if victim != "driver" or pid is None:
            status, _ = soak.end(run)
            if status == 0:
                soak.compare(place, i + 1)
                return f"{'+'.join(killed) or 'nothing'} killed: went on"
    outcome = soak.finish(stage, place, i + 1, soak.start(stage, place))
    return f"{'+'.join(killed)} killed: run again" + ("" if outcome == "went on" else f", {outcome}")


def tell(soak: Soak, draw: random.Random, i: int) -> str:
    """SIGINT, SIGTERM or SIGHUP to the driver."""
    place, number = soak.workspace(i), draw.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    run = soak.start(STAGES[i], place, before=("env", "--default-signal=INT,HUP"))
    if await_victim(run, "driver", 0.9 * soak.seconds[STAGES[i]], draw) is not None:
        run.send_signal(number)
    return f"{number.name}: {soak.finish(STAGES[i], place, i + 1, run)}"


def stand_still(soak: Soak, draw: random.Random, i: int) -> str:
    """Processes that stand still for seconds, as on a medium that does not answer."""
    place = soak.workspace(i)
    run = soak.start(STAGES[i], place)
    pid = await_victim(run, draw.choice(("driver", "worker")), 0.5 * soak.seconds[STAGES[i]], draw)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(draw.uniform(1, 8))
            os.kill(pid, signal.SIGCONT)
    return soak.finish(STAGES[i], place, i + 1, run)


def pages(place: Path) -> int:
    """Return how many blocks of 4 kB the files of a folder take in memory."""
    return sum(-(-p.stat().st_size // 4096) for p in place.rglob("*") if p.is_file())


def no_room(soak: Soak, draw: random.Random, i: int) -> str:
    """A file system that gets full: of memory, in a mount namespace of its own; then it gets room."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        return "not possible here: no mount namespace of one's own"
    place = soak.workspace(i)
    place.mkdir(exist_ok=True)
    before, after = (pages(soak.folder / f"snapshots/before-{n}") for n in (i, i + 1))
    room = before + 4 + int((after - before) * draw.random() ** 2)
    script = f"""mount -t tmpfs -o size={4 * room}k none "$0" && cp -a "$1/." "$0" && shift && "$@"; echo "status $?"
        mount -o remount,size=1g "$0" && "$@" && mkdir "$0.out" && cp -a "$0/." "$0.out" """
    copy = soak.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(place, copy)
    run = soak.start(STAGES[i], place, before=("unshare", "-m", "sh", "-c", script, str(place), str(copy)))
    status, said = soak.end(run)
    shutil.rmtree(place)
    if status:
        raise Bad(f"NO ROOM: {said[-1500:]}")
    Path(f"{place}.out").rename(place)
    soak.compare(place, i + 1)
    return "had room enough" if "status 0" in said else "ended, run again with room"


def short_files(soak: Soak, draw: random.Random, i: int) -> str:
    """No file may grow beyond a few kilobytes (RLIMIT_FSIZE)."""
    place = soak.workspace(i)
    script = f'set -o pipefail; prlimit --fsize={draw.randrange(1, 40_000)} "$@" 2>&1 | cat'  # what it says is no such file
    run = soak.start(STAGES[i], place, before=("bash", "-c", script, "bash"))
    return soak.finish(STAGES[i], place, i + 1, run)


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "a bit": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0x10]) + data[len(data) // 2 + 1 :] if data else b"x"
    ),
    "cut": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "0xff": lambda data: b"\xff" * len(data),
    "other JSON": lambda data: b'{"stage": "ingest"}',
    "a list": lambda data: b"[]",
    "removed": lambda data: None,
}


def damage(soak: Soak, draw: random.Random, i: int) -> str:
    """A published file, a sidecar or a manifest that changes between two runs."""
    del i
    place, how = soak.workspace(len(STAGES)), draw.choice([*DAMAGE])
    path = draw.choice(sorted(p for p in place.rglob("*") if p.is_file() and p.name[0] != "." and p.name not in NOT_COMPARED))
    data = DAMAGE[how](path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)
    found, _ = soak.end(soak.start("verify", place, "--all"))
    outcome = soak.finish("run", place, len(STAGES), soak.start("run", place))
    what = "sidecar or manifest" if path.suffix == ".json" else "data"
    return f"{how}, {what}: {'named' if found else 'not named'}, {outcome}"


def hostile(soak: Soak, draw: random.Random, i: int) -> str:
    """A tree of a dozen hostile kinds, to the end with one worker and with two."""
    del i
    top, private = soak.folder / "hostile/input", soak.folder / "hostile/private"
    subprocess.run(["rm", "-rf", str(top.parent)], check=True)
    top.mkdir(parents=True)
    hostile_repositories.commit(private, {"secret.py": hostile_files.code("private")})
    hostile_files.write(top / "good", b"a.py", hostile_files.code("good"))
    chosen = draw.sample(hostile_kinds(), 12)
    for name, make in chosen:
        make(top / name, private)
    found = []
    for workers in (1, 2):
        place = soak.workspace(0)
        status, said = soak.end(soak.start("run", place, "--input", str(top), workers=workers))
        if status:
            raise Bad(f"HOSTILE {[name for name, _ in chosen]}: {said[-1500:]}")
        found.append(files(place))
    if found[0] != found[1]:
        raise Bad(f"DIFFERENT for two workers: {[name for name, _ in chosen]}")
    return "ended, one worker and two alike"


def hostile_kinds() -> list[tuple[str, Callable[[Path, Path], object]]]:
    """Return every kind of hostile file, folder and repository, with what makes it."""
    raw = {k: (n.encode(), d) for k, (n, d) in hostile_files.FILES.items()}
    raw |= {k: (n, hostile_files.code(k)) for k, n in hostile_files.NAMES.items()}
    made = [(k, lambda folder, private, of=of: hostile_files.write(folder, *of)) for k, of in raw.items()]
    return [*made, *hostile_files.FOLDERS.items(), *hostile_repositories.COUNTED.items(), *hostile_repositories.REFUSED.items()]


# fault -> (what makes it, how often of 20 rounds)
FAULTS: dict[str, tuple[Callable[[Soak, random.Random, int], str], int]] = {
    "kill": (kill, 9),
    "signal": (tell, 2),
    "stand still": (stand_still, 1),
    "disk full": (no_room, 2),
    "short files": (short_files, 1),
    "damage": (damage, 4),
    "hostile input": (hostile, 1),
}


def rounds(seed: int, first: int, only: str | None) -> Iterator[tuple[int, str, random.Random, int]]:
    """Yield (number, fault, random numbers, stage) without end."""
    choices = [name for name, (_, often) in FAULTS.items() for _ in range(often) if only in (None, name)]
    number = first
    while True:
        draw = random.Random(seeds.uint64(seed, "soak", number))
        # Stages in turn, so that each meets as many.
        yield number, draw.choice(choices), draw, number % len(STAGES)
        number += 1


def table(soak: Soak, bad: list[str]) -> str:
    """Return what was done: each fault, in each stage, how often, and what came of it."""
    lines = [f"{'fault':<14} {'stage':<9} {'times':>5}  outcome"]
    lines += [f"{fault:<14} {stage:<9} {n:>5}  {outcome}" for (fault, stage, outcome), n in sorted(soak.done.items())]
    return "\n".join([*lines, f"{sum(soak.done.values())} rounds, {soak.kills} SIGKILLs, {len(bad)} hung or differed", *bad])


def main() -> int:
    """Soak, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most so many")
    parser.add_argument("--kills", type=int, default=1 << 30, help="at most so many SIGKILLs")
    parser.add_argument("--only", choices=FAULTS, help="one fault")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    bad: list[str] = []
    with tempfile.TemporaryDirectory(prefix="starmill-soak-") as folder:
        soak, ends = Soak(Path(folder, "soak")), time.monotonic() + 60 * options.minutes
        for number, fault, draw, i in rounds(seed, options.first, options.only):
            if number - options.first >= options.rounds or time.monotonic() > ends or soak.kills >= options.kills:
                break
            try:
                outcome = FAULTS[fault][0](soak, draw, i)
            except Bad as error:
                outcome = str(error).split(":")[0]
                bad.append(f"round {number} (--seed {seed} --first {number} --rounds 1): {fault} in {STAGES[i]}: {error}")
            stage = "all" if fault in ("damage", "hostile input") else STAGES[i]
            soak.done[fault, stage, outcome] += 1
            print(f"round {number}: {fault} in {stage}: {outcome}", flush=True)
        print(table(soak, bad))
        subprocess.run(["rm", "-rf", folder], check=True)  # folders that are too deep for others
        Path(folder).mkdir()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
