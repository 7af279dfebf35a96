"""The funnel: files into each stage, kept and dropped, by reason, kind and language, read from what manifests say in sum."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from starmill.core.dataset import Count, StageName, Workspace
from starmill.core.summary import Summary
from starmill.core.terminal import escaped, say, tell_damage

TIMINGS = "timings.json"


@dataclass
class Tally:
    """Files and bytes.

    >>> tally = Tally()
    >>> tally.add(Count("", "", "Python", 2, 300))
    >>> (tally.files, tally.bytes)
    (2, 300)
    """

    files: int = 0
    bytes: int = 0

    def add(self, count: Count) -> None:
        """Add a count."""
        self.files += count.files
        self.bytes += count.bytes


@dataclass
class StageFunnel:
    """One stage: files in, kept, and dropped by (step, reason)."""

    stage: str
    dataset: str
    parts: int
    digest: str
    seconds: float | None
    into: Tally = field(default_factory=Tally)
    kept: Tally = field(default_factory=Tally)
    dropped: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    kept_by_language: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    dropped_by_language: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    kept_by_kind: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    dropped_by_kind: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))


def measure(workspace: Workspace) -> list[StageFunnel]:
    """Read the funnel of every complete stage, in order."""
    times = timings(workspace)
    funnels = []
    for stage in workspace.last_run().stages:
        if (found := workspace.summary(stage.dataset)) is not None:
            funnels.append(of_summary(stage, found, times.get(stage.name)))
    return funnels


def of_summary(stage: StageName, found: Summary, seconds: float | None) -> StageFunnel:
    """Return the funnel of one complete stage."""
    funnel = StageFunnel(stage.name, stage.dataset, found.parts, found.digest, seconds)
    for count in found.counts:
        funnel.into.add(count)
        if count.reason:
            funnel.dropped[count.step, count.reason].add(count)
            funnel.dropped_by_language[count.language].add(count)
            funnel.dropped_by_kind[count.kind].add(count)
        else:
            funnel.kept.add(count)
            funnel.kept_by_language[count.language].add(count)
            funnel.kept_by_kind[count.kind].add(count)
    return funnel


def data(workspace: Workspace) -> dict[str, Any]:
    """Return the funnel of every complete stage as plain data, for JSON."""
    return {"workspace": workspace.root, "stages": [plain(funnel) for funnel in measure(workspace)]}


def timings(workspace: Workspace) -> dict[str, float]:
    """Return the seconds that the last run of each stage took."""
    try:
        return msgspec.json.decode(workspace.read(TIMINGS), type=dict[str, float])
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        tell_damage(workspace.path(TIMINGS), str(error))
        return {}


def show(workspace: Workspace, languages: int = 12) -> None:
    """Print the funnel by stage and reason, by kind where there are several, and the `languages` largest languages through curate."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=120, soft_wrap=True)  # a log is not wrapped to a terminal's width
    funnels = measure(workspace)
    if not funnels:
        say(f"{workspace.root}: no stage is complete here yet")
        return
    table = Table(title=_text(f"Funnel of {workspace.root}"))
    for name in ("stage", "step", "reason"):
        table.add_column(name)
    for name in ("files", "MB", "% of files in"):
        table.add_column(name, justify="right")
    for funnel in funnels:
        table.add_row(_text(funnel.stage), "", "in", *_cells(funnel.into, funnel.into), style="bold", end_section=False)
        for (step, reason), tally in sorted(funnel.dropped.items(), key=lambda item: (-item[1].files, item[0])):
            table.add_row("", _text(step), _text(reason), *_cells(tally, funnel.into))
        took = f"kept, {funnel.seconds:.0f} s" if funnel.seconds is not None else "kept"
        table.add_row("", "", took, *_cells(funnel.kept, funnel.into), style="green", end_section=True)
    console.print(table)
    _show_kinds(console, funnels)
    _show_languages(console, funnels, languages)
    say("outputs: " + "  ".join(f"{f.dataset}/ ({f.parts} parts, digest {f.digest[:12]})" for f in funnels))


def _show_kinds(console: Console, funnels: Sequence[StageFunnel]) -> None:
    first = funnels[0]
    kinds = sorted({kind for f in funnels for kind in (*f.kept_by_kind, *f.dropped_by_kind)} - {""})
    if len(kinds) < 2:
        return
    table = Table(title=f"Records by kind: into {first.stage}, and kept by each stage")
    for name in ("kind", "in", *(f.stage for f in funnels), "MB at the end"):
        table.add_column(_text(name), justify="left" if name == "kind" else "right")
    for kind in kinds:
        kept = [f"{f.kept_by_kind[kind].files:,}" for f in funnels]
        came = first.kept_by_kind[kind].files + first.dropped_by_kind[kind].files
        table.add_row(_text(kind), f"{came:,}", *kept, f"{funnels[-1].kept_by_kind[kind].bytes / 1e6:.2f}")
    console.print(table)


def _show_languages(console: Console, funnels: Iterable[StageFunnel], most: int) -> None:
    # The first stages do not know languages yet; every later one does.
    known = [f for f in funnels if any(f.kept_by_language)]
    if not known:
        return
    first = known[0]
    names = {*first.kept_by_language, *first.dropped_by_language}
    incoming = {n: first.kept_by_language[n].files + first.dropped_by_language[n].files for n in names}
    ranked = sorted(names, key=lambda n: (-incoming[n], n))
    table = Table(title="Files by language: into curate, and kept by each stage")
    table.add_column("language")
    table.add_column("in", justify="right")
    for funnel in known:
        table.add_column(_text(funnel.stage), justify="right")
    table.add_column("MB at the end", justify="right")
    shown, rest = ranked[:most], ranked[most:]
    for label, group in [*((n or "(unknown)", [n]) for n in shown), *([(f"{len(rest)} others", rest)] if rest else [])]:
        kept = [sum(f.kept_by_language[n].files for n in group) for f in known]
        size = sum(known[-1].kept_by_language[n].bytes for n in group)
        table.add_row(_text(label), str(sum(incoming[n] for n in group)), *map(str, kept), f"{size / 1e6:.2f}")
    console.print(table)


def plain(funnel: StageFunnel) -> dict[str, Any]:
    """Return the funnel of a stage as plain data."""
    ranked = sorted(funnel.dropped.items(), key=lambda item: (-item[1].files, item[0]))
    languages = sorted({*funnel.kept_by_language, *funnel.dropped_by_language})
    kinds = sorted({*funnel.kept_by_kind, *funnel.dropped_by_kind})
    return {
        "stage": funnel.stage,
        "folder": funnel.dataset,
        "parts": funnel.parts,
        "digest": funnel.digest,
        "seconds": funnel.seconds,
        "in": vars(funnel.into),
        "kept": vars(funnel.kept),
        "dropped": [{"step": step, "reason": reason, **vars(tally)} for (step, reason), tally in ranked],
        "kinds": {
            name: {"kept": vars(funnel.kept_by_kind[name]), "dropped": vars(funnel.dropped_by_kind[name])} for name in kinds
        },
        "languages": {
            name: {"kept": vars(funnel.kept_by_language[name]), "dropped": vars(funnel.dropped_by_language[name])}
            for name in languages
        },
    }


def _text(said: str) -> Text:
    # Of a string rich would read its own marks: [red], :smile:.
    return Text(escaped(said))


def _cells(tally: Tally, whole: Tally) -> tuple[str, str, str]:
    return f"{tally.files:,}", f"{tally.bytes / 1e6:,.2f}", f"{100 * tally.files / max(1, whole.files):.2f}"
