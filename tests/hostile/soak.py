"""An hour of trouble: kills, faults and hostile inputs, one after the other, and a table of what came of them.

    PYTHONPATH=tests/end_to_end python tests/hostile/soak.py [--minutes 60] [--seed 0] [--first 0] [--rounds N] [--only kill] [--folder DIR]

Each round makes a fault in a run that is in the middle of a stage, lets the run end, runs again where it ended in an error, and
compares every file of the workspace with those of a run without faults. What a round does is a function of the seed and of its number:
`--seed S --first N --rounds 1` does it again. Only processes that a round started are killed. Exit status 1: something hung, or differed.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hostile_files
import hostile_repositories
import psutil
from soaked import NOT_COMPARED, VICTIMS, Bad, Soak, await_victim, below, files

from starmill.core import seeds
from starmill.pipelines.stages import STAGES

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


def scarce(soak: Soak, draw: random.Random, i: int) -> str:
    """Few descriptors, or little memory, so that no thread can be started either; each process has the limit."""
    place = soak.workspace(i)
    what, least, most, unit = draw.choice((("nofile", 16, 64, ""), ("as", 700, 2000, "000000")))
    run = soak.start(STAGES[i], place, before=("prlimit", f"--{what}={draw.randrange(least, most)}{unit}"))
    return f"{what}: {soak.finish(STAGES[i], place, i + 1, run)}"


UNHEARD = {  # where the output of a run goes that nobody hears
    "full": '"$@" > /dev/full 2>&1',
    "closed": '"$@" >&- 2>&-',
    "reader gone": 'set -o pipefail; "$@" 2>&1 | true',
    "short": 'ulimit -f 1; "$@" > "$0.said" 2>&1',
}


def unheard(soak: Soak, draw: random.Random, i: int) -> str:
    """Output that goes nowhere: to a full disk, a closed descriptor, a pipe whose reader has gone; and a part that fails meanwhile."""
    place, how = soak.workspace(i), draw.choice([*UNHEARD])
    run = soak.start(STAGES[i], place, before=("bash", "-c", UNHEARD[how], str(place)))
    if draw.random() < 0.3 and (pid := await_victim(run, "worker", 0.1 * soak.seconds[STAGES[i]], draw)) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return f"{how}: {soak.finish(STAGES[i], place, i + 1, run)}"


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


# fault -> (what makes it, how often of 22 rounds)
FAULTS: dict[str, tuple[Callable[[Soak, random.Random, int], str], int]] = {
    "kill": (kill, 9),
    "signal": (tell, 2),
    "stand still": (stand_still, 1),
    "disk full": (no_room, 2),
    "short files": (short_files, 1),
    "unheard": (unheard, 1),
    "scarce": (scarce, 1),
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
        for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell lets its background processes ignore that
            signal.signal(number, signal.default_int_handler)
        try:
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
        except KeyboardInterrupt:
            print("stopped; so far:")
            soak.stop()
        print(table(soak, bad))
        subprocess.run(["rm", "-rf", folder], check=True)  # folders that are too deep for others
        Path(folder).mkdir()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
