"""Runs the stages of a recipe over the parts of its seeds (parts.py).

`answers/<stage>/` has what the model answered, and what was answered is not asked again.
"""

import functools
import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starmill.alignment import card
from starmill.alignment.ask import Asking, Folder, Spent
from starmill.alignment.languages import PYTHON, refuse_absent
from starmill.alignment.parts import LINES, SELECTED, Made, Parts, Row
from starmill.alignment.prompts import SHIPPED, STAGES, Prompts
from starmill.alignment.recipe import AlignRecipe
from starmill.alignment.stages import Stages, seeds_of
from starmill.core.dataset import LastRun, StageName, Workspace
from starmill.core.errors import InputError
from starmill.core.storage import Storage
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.run.score import Judges

DATASETS = {
    "judge": "judged",
    "concepts": "concepts",
    "instruct": "tasks",
    "respond": "responses",
    "verify": "verified",
    "select": SELECTED,
}
PREFERENCES = "preferences"


@dataclass(frozen=True)
class Finished:
    """What a run made."""

    workspace: Workspace
    funnel: list[card.Step]
    spent: Spent
    new: int  # requests that this run asked


def prompts_of(wanted: AlignRecipe) -> Prompts:
    """Return the templates and examples of a recipe."""
    return Prompts(Path(wanted.prompts) if wanted.prompts else SHIPPED, wanted.languages)


def seed_files(wanted: AlignRecipe) -> dict[str, Callable[[], bytes]]:
    """Return the files of seeds, sorted, each with what reads it. Raises InputError where there are none."""
    store = Storage(wanted.seeds)
    try:
        names = sorted(name for name in store.files("") if name.endswith(f".{LINES}"))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    if not names:
        raise InputError(
            f"seeds: {wanted.seeds}: no .{LINES} in it; write seeds there with `starmill seeds`, or give another folder"
        )
    return {name: functools.partial(store.read, name) for name in names}


def run(
    wanted: AlignRecipe,
    model: Endpoint | Folder,
    judge: Callable[[], Judges],
    contaminated: Callable[[str], str | None],
    index: str,
    tell: Callable[[str], None] = lambda _: None,
) -> Finished:
    """Run all stages. `judge` starts the sandbox when it is needed; `contaminated` says what of a benchmark a text holds, by the index of
    that digest. Raises InputError, UsageError (for one, a language without a toolchain, before anything is asked), MachineError,
    BudgetSpent; what is finished is kept, and the same call goes on.
    """
    refuse_absent(wanted.languages)
    workspace, prompts = Workspace(wanted.workspace), prompts_of(wanted)
    _ = prompts.templates
    for stage, how in ((stage, getattr(wanted, stage)) for stage in STAGES):
        for language in wanted.languages if how is not None else ():
            prompts.refuse_more(stage, how.shots, language)
    files = seed_files(wanted)
    asking = Asking(
        model,
        Path(workspace.root) / "answers",
        wanted.seed,
        wanted.budget,
        wanted.prices,
        prompts.digest,
        wanted.per_minute,
    )
    workspace.publish_last_run(LastRun(tuple(StageName(*pair) for pair in DATASETS.items()), len(files)))
    parts = Parts(workspace, DATASETS, tell, PYTHON)
    known: set[str] = set()
    read = {name: reads() for name, reads in files.items()}
    whole = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in read.values())).hexdigest()
    found = [seeds_of(name, data, known, wanted.languages) for name, data in read.items()]
    read.clear()

    def stages(part: int) -> Stages:
        def ask(stage: str, requests: Any, how: Any) -> Any:
            return asking.answers(stage, f"part-{part:05d}", requests, how, tell)

        return Stages(wanted, prompts, ask)

    def options(name: str) -> str:
        """Return what the rows of a stage depend on beside its input and the code."""
        chosen = getattr(wanted, name)
        asks = [dict(model.identity), prompts.digest] if name in STAGES else []
        runs = platform.python_version() if name == "verify" else ""
        others = [] if wanted.languages == (PYTHON,) else [wanted.languages]
        return json.dumps([wanted.seed, chosen and asdict(chosen), asks, runs, *others], sort_keys=True)

    def make(stage: str, inputs: list[str], rows: Callable[[int], Made]) -> None:
        parts.stage(stage, inputs, options(stage), rows)

    def asked(stage: str, before: str) -> None:
        make(stage, parts.digests(before), lambda part: getattr(stages(part), stage)(parts.rows(before, part)))

    make("judge", [f"{whole} {part}" for part in range(len(files))], lambda part: stages(part).judge(found[part]))
    asked("concepts", DATASETS["judge"])
    asked("instruct", DATASETS["concepts"])
    asked("respond", DATASETS["instruct"])
    boxes, responses = functools.cache(judge), DATASETS["respond"]
    make("verify", parts.digests(responses), lambda part: stages(part).verify(parts.rows(responses, part), boxes()))

    def everything(_: int) -> Made:
        def all_of(dataset: str) -> list[Row]:
            return [row for part in range(len(files)) for row in parts.rows(dataset, part)]

        as_made = {"model": dict(model.identity), "prompts": prompts.digest}
        tasks, passed, failed = map(all_of, (DATASETS["instruct"], DATASETS["verify"], "dropped/verify"))
        made, pairs = stages(0).select(tasks, passed, failed, contaminated, as_made)
        made.beside[PREFERENCES] = pairs
        return made

    lineage = [*parts.digests(DATASETS["instruct"]), *parts.digests(DATASETS["verify"]), index]
    make("select", [" ".join(lineage)], everything)
    funnel = card.funnel(workspace, DATASETS)
    told = card.of_a_model(wanted, dict(model.identity), prompts.digest)
    workspace.publish(f"{SELECTED}/README.md", card.page(told, funnel, parts.rows(SELECTED, 0)).encode())
    return Finished(workspace, funnel, asking.spent, asking.new)
