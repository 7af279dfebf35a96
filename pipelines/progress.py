"""Progress of a stage, drawn from its workspace: published sidecars out of planned parts, whatever runs the stage.

A terminal gets a bar, anything else plain lines.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from starmill.core.dataset import STAGES, Workspace


@contextmanager
def watching(workspace: Workspace, stage: str, total: int, quiet: bool) -> Iterator[None]:
    """Show how many of the stage's `total` parts are published, for as long as the block runs."""
    stop = threading.Event()
    draw = _bar if Console(stderr=True).is_terminal else _lines
    thread = threading.Thread(target=draw, args=(workspace, stage, total, stop), daemon=True)
    if not quiet:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if not quiet:
            thread.join()


def say(quiet: bool, line: str) -> None:
    """Print one line of progress."""
    if not quiet:
        print(line, file=sys.stderr, flush=True)


def _bar(workspace: Workspace, stage: str, total: int, stop: threading.Event) -> None:
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(stage, total=total)
        stopped = False
        while not stopped:
            stopped = stop.wait(0.3)
            bar.update(task, completed=_published(workspace, stage))


def _lines(workspace: Workspace, stage: str, total: int, stop: threading.Event) -> None:
    shown, started, stopped = -1, time.monotonic(), False
    while not stopped:
        stopped = stop.wait(1.0)
        published = _published(workspace, stage)
        if published != shown and (stopped or shown < 0 or published - shown >= max(1, total // 10)):
            say(False, f"{stage:<9} {published}/{total} parts, {time.monotonic() - started:.0f} s")
            shown = published


def _published(workspace: Workspace, stage: str) -> int:
    return sum(n.startswith("part-") and n.endswith(".json") for n in workspace.files(STAGES[stage]))
