"""`starmill bench --profile`: the functions in which each stage's CPU time goes, by py-spy, which samples a process and its children.

A function is Python's: what it calls in C, in Arrow or in compiled code counts as its own. Where a function of a library was at work, the
function of starmill that called for it stands beside it. Modules that a stage imports when it needs them are one row; what is imported
before it is told apart. ScanCode's processes count. py-spy reads the processes from outside and does not stop them. What it counts is who
runs or waits for a processor, so that the CPU seconds, which the system counts, are shared out by its samples.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from starmill.core.errors import MachineError
from starmill.pipelines.costs import bench
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.stages import STAGES

RATE = 100  # samples per second of each process
COSTLIEST = 10  # functions that a table has
SAMPLER = "py-spy"
FRAME = re.compile(r"(?P<name>.*) \((?P<path>[^()]*?)(?::\d+)?\)")
IMPORTING, IMPORTS = "_find_and_load", "modules that are imported within"
WITHIN = ("run_stage", "prepare")  # the stage, and the training of the tokenizer before it
PROCESS = "process "  # how the frame of a process begins; a child's comes behind its parent's
HERE = Path(bench.__file__).parents[2]
# Where libraries lie, and Python's own modules.
LIBRARIES = re.compile(r".*(?:/site-packages/|/python3\.\d+/)")


@dataclass(frozen=True)
class Hot:
    """A function, the function of starmill that called for it (itself, where it is one), and its CPU seconds.

    >>> Hot("zipfile.py:read", "pipelines/sources/archives.py:members", 1.5).seconds
    1.5
    """

    function: str
    within: str
    seconds: float


@dataclass(frozen=True)
class Profile:
    """CPU seconds of a stage that read `bytes` of text, those of its process before it began, and those of its costliest functions."""

    stage: str
    bytes: float
    seconds: float
    before: float
    hot: tuple[Hot, ...]


def profile(options: Recipe, megabytes: float, say: Callable[[str], None]) -> list[Profile]:
    """Mill a sample of `megabytes` (10**6 bytes), each stage a process under py-spy, and return where its time went.

    Raises MachineError where py-spy is not installed or may not read processes, TooLittle for too little code.
    """
    sampler = shutil.which(SAMPLER, path=str(Path(sys.executable).parent)) or shutil.which(SAMPLER)
    if sampler is None:
        raise MachineError(f"bench: --profile: {SAMPLER} is not installed; run: pip install 'starmill[profile]'")
    wanted = int(megabytes * 1e6)
    sampled = bench.sample(options, wanted, max(1, wanted // 8), max(1, wanted // 4))
    found = []
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as folder:
        bench.seconds(replace(sampled, workspace=f"{folder}/warm"), 1)  # compiles bytecode and kernels
        milled = replace(sampled, workspace=f"{folder}/work")
        for stage in STAGES:
            stacks = Path(folder, stage)
            command = [sampler, "record", "--rate", str(RATE), "--function", "--full-filenames", "--subprocesses"]
            try:
                observed = bench.apart(
                    milled, stage, [*command, "--nonblocking", "--format", "raw", "--output", str(stacks), "--"]
                )
            except MachineError:
                if not _may_read(sampler):
                    raise MachineError(
                        f"bench: --profile: {SAMPLER} may not read processes here; give the container CAP_SYS_PTRACE"
                    ) from None
                raise
            read = max(float(o["drivers"]["bytes"]) for o in observed)
            used, before = (sum(float(o["costs"].get(cost, 0)) for o in observed) for cost in ("cpu", "start"))
            hot = costliest(used, stacks.read_text(errors="replace").splitlines())
            found.append(Profile(stage, read, used, before, hot))
            say(f"{stage:<9} {read / 1e6:8.1f} MB {found[-1].seconds:8.1f} CPU s")
    return found


def costliest(cpu: float, stacks: Iterable[str]) -> tuple[Hot, ...]:
    """Share `cpu` seconds out over the functions in py-spy's lines, frames from the outermost and a number of samples; return the first.

    >>> line = "main (/a/site-packages/b.so);run_stage (/a/site-packages/c.so);scan (/a/site-packages/d/e.so) 50"
    >>> costliest(2.5, [line])
    (Hot(function='d/e.so:scan', within='', seconds=2.5),)
    """
    hot: Counter[tuple[str, str]] = Counter()
    for line in stacks:
        stack, _, number = line.rpartition(" ")
        frames = [found.group("name", "path") for frame in stack.split(";") if (found := FRAME.fullmatch(frame))]
        if not frames or not (any(name in WITHIN for name, _ in frames) or stack.count(PROCESS) > 1):
            continue  # what bench does itself, or a stack that was torn
        if any(name == IMPORTING for name, _ in frames):
            hot[IMPORTS, ""] += int(number)
            continue
        own = [f"{_ours(path)}:{name}" for name, path in frames if _ours(path)]
        name, path = frames[-1]
        hot[f"{_ours(path) or LIBRARIES.sub('', path)}:{name}", own[-1] if own else ""] += int(number)
    each = cpu / max(1, hot.total())
    first = sorted(hot.items(), key=lambda one: (-one[1], one[0]))[:COSTLIEST]
    return tuple(Hot(*key, count * each) for key, count in first)


def table(profiles: Iterable[Profile]) -> Iterator[str]:
    """Yield the profiles as Markdown."""
    for one in profiles:
        yield (f"### {one.stage}: {one.bytes / 1e6:.1f} MB, {one.seconds:.1f} CPU s, and {one.before:.1f} of imports before it")
        yield from ("", "| share | CPU s | function | called by |", "|---|---|---|---|")
        for hot in one.hot:
            within = "" if hot.within in ("", hot.function) else f"`{hot.within}`"
            yield f"| {hot.seconds / max(one.seconds, 1e-9):.0%} | {hot.seconds:.2f} | `{hot.function}` | {within} |"
        yield ""


def _ours(path: str) -> str:
    """Return a file of starmill's below its folder, and nothing for another."""
    place = Path(path)
    inside = place.is_relative_to(HERE) and not LIBRARIES.match(f"/{place.relative_to(HERE)}")
    return str(place.relative_to(HERE)) if inside else ""


def _may_read(sampler: str) -> bool:
    """Return whether py-spy may read a process that it starts."""
    command = [sampler, "record", "--format", "raw", "--output", "/dev/null", "--", sys.executable, "-c", "sum(range(10**7))"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
