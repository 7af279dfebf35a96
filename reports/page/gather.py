"""All that the page shows, as plain data: from what the manifests say in sum, and from a bounded sample of the parts (sample.py).

Equal workspaces give equal data: no time is in it but the seconds that stages took, as the workspace states them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from starmill.core.dataset import Workspace
from starmill.core.summary import OF_REASON, Summary, Where, first
from starmill.reports import funnel, mixture, settings
from starmill.reports.page import licences, losses, places, redactions, thresholds, twins
from starmill.reports.page.sample import CURATED, Hide, Sample, drawn

CONTAMINATED = "contaminated"
LOOKED_AT = OF_REASON  # parts with contaminated records, for the table by benchmark and task


def data(workspace: Workspace, hide: Hide = lambda found: found) -> dict[str, Any]:
    """Return what the page shows. `hide` takes plain data from a dump and returns it without personal data (cli/options.py: labels)."""
    run = workspace.last_run()
    times, values = funnel.timings(workspace), settings.read(workspace)
    found: dict[str, Any] = {"workspace": workspace.root, "stages": [], "reasons": []}
    sample = Sample(workspace, [], 0, hide)
    contaminated: list[Where] = []
    held: dict[str, Summary] = {}
    for stage in run.stages:
        sums = workspace.summary(stage.dataset)
        if sums is None:
            continue
        if not found["stages"]:
            sample = Sample(workspace, drawn(sums.drawn), sums.parts, hide)
        held[stage.dataset] = sums
        told = funnel.of_summary(stage, sums, times.get(stage.name))
        size = sum(files.bytes for files in sums.outputs.values())
        found["stages"].append(funnel.plain(told) | {"stored_bytes": size})
        contaminated += [where for where in sums.where if where.reason == CONTAMINATED]
        shown = losses.samples(stage.name, sums.where, sample)
        for (step, reason), tally in sorted(told.dropped.items(), key=lambda item: (-item[1].files, item[0])):
            found["reasons"].append(
                {"stage": stage.name, "step": step, "reason": reason, **vars(tally), "samples": shown.get((step, reason), [])}
            )
    names = [stage["stage"] for stage in found["stages"]]
    deciding = next((stage.name for stage in run.stages if stage.dataset == CURATED), "")
    removed = twins.rows(sample, names)
    near = thresholds.similarities([row for _, row in removed], _threshold(values, names))
    mixed = mixture.of_summaries(held.get(mixture.DATASET), held.get(mixture.SHARDS)) or mixture.Table()
    return found | {
        "looked_at": {"parts": len(sample.numbers), "of": sample.of, "records": sum(len(part.names) for part in sample)},
        "thresholds": [*thresholds.of_sample(sample, values, deciding), *([near] if near else [])],
        "licences": {"through": licences.through_stages(sample, run.stages), "found": licences.findings(sample, deciding)},
        "twins": twins.pairs(sample, removed),
        "redactions": redactions.of_sample(sample),
        "contamination": contamination(sample, names, contaminated),
        "mixture": {name: value for name, value in mixture.data(workspace, mixed).items() if name != "workspace"},
        "places": places.index(sample, names),
    }


def _threshold(values: settings.Settings, stages: list[str]) -> float | None:
    found = [values.of(stage, "minhash", "threshold") for stage in stages]
    return next((float(value) for value in found if isinstance(value, int | float)), None)


def contamination(sample: Sample, stages: list[str], found: Sequence[Where]) -> dict[str, Any]:
    """Return how many records held a text of each benchmark and task, as their rows say: of at most LOOKED_AT parts, out of `of`.

    Where the parts are too many to be listed, those of several steps count for each of them.
    """
    listed = {number for where in found for number in where.first}
    of = max(len(listed), sum(where.parts for where in found if where.parts > len(where.first)))
    numbers = sorted(first(listed, LOOKED_AT))
    tasks: Counter[str] = Counter()
    for number in numbers:
        for stage in stages:
            table = sample.part(number).dropped(stage)
            if table is not None:
                rows = zip(table.column("reason").to_pylist(), table.column("detail").to_pylist(), strict=True)
                tasks.update(str(detail or "") for reason, detail in rows if reason == CONTAMINATED)
    ranked = sorted(tasks.items(), key=lambda item: (-item[1], item[0]))
    named = [(*str(sample.hide(origin)).partition(" ")[::2], files) for origin, files in ranked]
    return {"parts": len(numbers), "of": of, "tasks": [{"benchmark": b, "task": t, "records": n} for b, t, n in named]}
