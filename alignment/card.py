"""The card of a set of instructions: what it is, how it was made, what left and why, and whose code inspired it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starmill.alignment.languages import PYTHON
from starmill.alignment.recipe import AlignRecipe
from starmill.core.dataset import Workspace

MOST = 20  # licences that the card names


@dataclass(frozen=True)
class Step:
    """A stage of the funnel."""

    stage: str
    into: int
    kept: int
    dropped: dict[str, int]  # by reason


def funnel(workspace: Workspace, datasets: Mapping[str, str]) -> list[Step]:
    """Return the rows into each finished stage, those kept, and those dropped by reason."""
    steps = []
    for stage, dataset in datasets.items():
        manifest = workspace.manifest(dataset)
        if manifest is None:
            continue
        counts: Counter[str] = Counter()
        for count in (count for part in manifest.parts for count in part.counts):
            counts[count.reason] += count.files
        kept = counts.pop("", 0)
        dropped = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        steps.append(Step(stage, kept + sum(dropped.values()), kept, dropped))
    return steps


def lines(steps: Sequence[Step]) -> list[str]:
    """Return the funnel for a person."""
    made = []
    for step in steps:
        made.append(f"{step.stage:<9} {step.into:>9,} in  {step.kept:>9,} kept")
        made += [f"{'':<9} {count:>9,} {reason}" for reason, count in step.dropped.items()]
    return made


@dataclass(frozen=True)
class Told:
    """What a card says of how its rows were made, in lines of Markdown."""

    title: str
    tags: str  # beside code and instructions
    what: Sequence[str]  # behind the number of pairs
    how: Sequence[str]
    whence: Sequence[str]  # whose code is in the rows


def of_a_model(wanted: AlignRecipe, model: Mapping[str, str], prompts: str) -> Told:
    """Return what the card of a model's own instructions says; `prompts` is the digest of its templates."""
    asked = {stage: getattr(wanted, stage) for stage in ("judge", "concepts", "instruct", "respond")}
    sampling = [
        f"- {stage}: {how.shots} examples, temperature {how.temperature:g}, top_p {how.top_p:g}, at most {how.max_new_tokens:,} tokens"
        + (f", {how.samples} samples" if hasattr(how, "samples") else "")
        for stage, how in asked.items()
        if how is not None
    ]
    return Told(
        "Instructions by a model, from its own seeds",
        "synthetic",
        [
            "A model wrote both, inspired by functions of open source; each",
            "response passed the tests that it came with, in a sandbox. Nobody read them: tests of a response may be wrong as it is.",
        ],
        [
            f"- model: `{json.dumps(dict(sorted(model.items())))}`",
            f"- templates and examples: `{prompts}`, seed {wanted.seed}",
            *sampling,
            f"- tests passed {wanted.verify.runs} times in a row, within {wanted.verify.cpu_seconds:g} seconds of a processor each",
            *([f"- languages: {', '.join(wanted.languages)}"] if wanted.languages != (PYTHON,) else []),
            f"- benchmarks whose texts no pair holds: {', '.join(wanted.benchmarks) or 'none was given'}",
        ],
        [
            "Each row has the function that inspired it (`seed`), and the `swhid`, `repository`, `path`, `lines` and `licenses` of its",
            "file.",
        ],
    )


def page(told: Told, steps: Sequence[Step], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the card as Markdown. It names neither a time nor a machine: equal instructions have equal cards."""
    licenses = Counter(name for row in rows for name in row["licenses"] or ["none found"])
    named = [f"- {name}: {count:,}" for name, count in sorted(licenses.items(), key=lambda item: (-item[1], item[0]))[:MOST]]
    table = [f"| {one.stage} | {one.into:,} | {one.kept:,} | {_reasons(one)} |" for one in steps]
    first, *more = told.what
    return "\n".join(
        [
            "---",
            "task_categories: [text-generation]",
            f"tags: [code, instructions, {told.tags}]",
            "configs:",
            "- {config_name: default, data_files: 'part-*.jsonl'}",
            "---",
            f"# {told.title}",
            "",
            f"{len(rows):,} pairs of an instruction and a response. {first}",
            *more,
            "",
            "## How they were made",
            *told.how,
            "",
            "| stage | in | kept | dropped |",
            "|---|---|---|---|",
            *table,
            "",
            "## Where they are from",
            *told.whence,
            "Licences of these files, by pairs:",
            "",
            *named,
            "",
        ]
    )


def _reasons(step: Step) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in step.dropped.items()) or "none"
