"""Progress of a stage on any runner, read from its workspace: published sidecars out of the stage's parts.

A terminal gets a bar, anything else plain lines. The sidecars are counted by listing a folder, which takes a minute in a bucket of many
parts: the longer a listing takes, the rarer listings get, and the end of a stage waits for none.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starmill.core import terminal
from starmill.core.dataset import StageName, Workspace
from starmill.reports import status
from starmill.transforms.clean.redact import labels

# Shows the number of published parts, and the seconds that the others will take.
Draw = Callable[[int, float | None], None]

SHARE = 0.05  # of the time that listings may take
AFTER_TROUBLE = 60.0  # seconds to the next listing after a failed one


@contextmanager
def watching(workspace: Workspace, stage: StageName, total: int, quiet: bool) -> Iterator[None]:
    """Show how many of the stage's `total` parts are published, while the block runs."""
    if quiet:
        yield
        return
    from rich.console import Console

    stop, drawing = threading.Event(), threading.Lock()
    is_terminal = Console(stderr=True).is_terminal
    with (_bar if is_terminal else _lines)(stage.name, total) as draw:

        def watch() -> None:
            least = wait = 0.3 if is_terminal else 1.0
            while not stop.wait(wait):
                started = time.monotonic()
                try:
                    published, left = status.look(workspace, stage.dataset, total)
                except OSError:  # the stage itself raises the store's error
                    wait = AFTER_TROUBLE
                    continue
                wait = max(least, pause(time.monotonic() - started))
                with drawing:
                    if not stop.is_set():
                        draw(published, left)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            with drawing:
                stop.set()
            thread.join(1)  # a listing may take minutes more, and draws nothing then
        draw(total, None)


def pause(cost: float) -> float:
    """Return the seconds to wait after a listing that took `cost` seconds."""
    return cost * (1 - SHARE) / SHARE


def say(quiet: bool, line: str) -> None:
    """Print one line of progress, without personal data: a name from the dump may be in it."""
    if not quiet:
        terminal.say(labels.redacted(line, ip_addresses=False), to=sys.stderr)


@contextmanager
def _bar(stage: str, total: int) -> Iterator[Draw]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(stage, total=total, left="")
        yield lambda published, left: bar.update(task, completed=published, left=_left(published, total, left))


@contextmanager
def _lines(stage: str, total: int) -> Iterator[Draw]:
    shown, started = -1, time.monotonic()

    def draw(published: int, left: float | None) -> None:
        nonlocal shown
        if published != shown and (published == total or shown < 0 or published - shown >= max(1, total // 10)):
            words = (f"{published}/{total} parts", f"{time.monotonic() - started:.0f} s", _left(published, total, left))
            say(False, f"{stage:<9} {', '.join(w for w in words if w)}")
            shown = published

    yield draw


def _left(published: int, total: int, left: float | None) -> str:
    return "" if left is None or published == total else status.to_go(left)
