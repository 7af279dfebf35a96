"""Runs the stages of a recipe over the parts of its seeds: WORKSPACE/<dataset>/part-00000.jsonl with sidecars, and a manifest last.

`answers/<stage>/` has what the model answered; `dropped/<stage>/` has each row that left, with the reason. A part whose key is the wanted
one is not made again, and what was answered is not asked again.
"""

import functools
import hashlib
import json
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starmill import alignment
from starmill.alignment import card
from starmill.alignment.ask import Asking, Folder, Spent
from starmill.alignment.prompts import SHIPPED, STAGES, Prompts
from starmill.alignment.recipe import AlignRecipe
from starmill.alignment.stages import LANGUAGE, Made, Row, Stages, seeds_of
from starmill.core import __version__, recipe
from starmill.core.dataset import Count, LastRun, Sidecar, StageName, Workspace, output, part_path
from starmill.core.errors import InputError
from starmill.core.storage import Storage
from starmill.evaluation import sandbox
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.run.score import Judges
from starmill.transforms import clean, dedup

FORMAT = 1
DATASETS = {
    "judge": "judged",
    "concepts": "concepts",
    "instruct": "tasks",
    "respond": "responses",
    "verify": "verified",
    "select": "instructions",
}
LINES = "jsonl"
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
    return Prompts(Path(wanted.prompts) if wanted.prompts else SHIPPED)


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
    that digest. Raises InputError, UsageError, MachineError, BudgetSpent; what is finished is kept, and the same call goes on.
    """
    workspace, prompts = Workspace(wanted.workspace), prompts_of(wanted)
    for stage in STAGES:
        _ = prompts.templates[stage]
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
    work = _Work(wanted, workspace, prompts, asking, tell, dict(model.identity))
    known: set[str] = set()
    read = {name: reads() for name, reads in files.items()}
    whole = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in read.values())).hexdigest()
    found = [seeds_of(name, data, known) for name, data in read.items()]
    read.clear()

    def rows(dataset: str) -> Callable[[int], list[Row]]:
        return lambda part: _rows(workspace, part_path(dataset, part, LINES))

    def made(stage: str, before: str) -> None:
        work.stage(stage, len(files), work.digests(before), lambda part: getattr(work.stages(part), stage)(rows(before)(part)))

    work.stage(
        "judge",
        len(files),
        [f"{whole} {part}" for part in range(len(files))],
        lambda part: work.stages(part).judge(found[part]),
    )
    made("concepts", DATASETS["judge"])
    made("instruct", DATASETS["concepts"])
    made("respond", DATASETS["instruct"])
    boxes = functools.cache(judge)
    verifying = work.digests(DATASETS["respond"])
    work.stage("verify", len(files), verifying, lambda part: work.stages(part).verify(rows(DATASETS["respond"])(part), boxes()))

    def everything(_: int) -> Made:
        tasks, passed = (
            [row for part in range(len(files)) for row in rows(DATASETS[stage])(part)] for stage in ("instruct", "verify")
        )
        failed = [row for part in range(len(files)) for row in _rows(workspace, part_path("dropped/verify", part, LINES))]
        as_made = {"model": dict(model.identity), "prompts": prompts.digest}
        made, pairs = work.stages(0).select(tasks, passed, failed, contaminated, as_made)
        work.beside[PREFERENCES] = pairs
        return made

    lineage = [*work.digests(DATASETS["instruct"]), *work.digests(DATASETS["verify"]), index]
    work.stage("select", 1, [" ".join(lineage)], everything)
    funnel = card.funnel(workspace, DATASETS)
    page = card.page(wanted, funnel, rows(DATASETS["select"])(0), dict(model.identity), prompts.digest)
    workspace.publish(f"{DATASETS['select']}/README.md", page.encode())
    return Finished(workspace, funnel, asking.spent, asking.new)


@dataclass
class _Work:
    """What all stages of a run need."""

    wanted: AlignRecipe
    workspace: Workspace
    prompts: Prompts
    asking: Asking
    tell: Callable[[str], None]
    model: Mapping[str, str]

    def __post_init__(self) -> None:
        self.beside: dict[str, list[Row]] = {}

    def stages(self, part: int) -> Stages:
        """Return the stages, asking for one part."""
        ask = functools.partial(self._ask, part)
        return Stages(self.wanted, self.prompts, ask)

    def _ask(self, part: int, stage: str, requests: Any, how: Any) -> Any:
        return self.asking.answers(stage, f"part-{part:05d}", requests, how, self.tell)

    def digests(self, dataset: str) -> list[str]:
        """Return the digests of a finished dataset's parts."""
        manifest = self.workspace.manifest(dataset)
        assert manifest is not None
        return [sidecar.digest() for sidecar in manifest.parts]

    def stage(self, name: str, parts: int, inputs: Sequence[str], make: Callable[[int], Made]) -> None:
        """Make the parts of a stage that are not there with their keys, then its manifest."""
        dataset = DATASETS[name]
        keys = [recipe.digest(FORMAT, code(), name, self._options(name), inputs[part]) for part in range(parts)]
        key, due = (
            recipe.digest(*keys),
            [part for part in range(parts) if not self.workspace.is_done(dataset, part, keys[part])],
        )
        manifest = self.workspace.manifest(dataset)
        if not due and manifest is not None and manifest.key == key:
            return
        self.workspace.sweep(dataset, parts, due)
        for part in due:
            self.beside = {}
            self._commit(name, part, keys[part], make(part))
            self.tell(f"{name}: part {part + 1:,} of {parts:,}")
        self.workspace.finish(dataset, key, parts, __version__)

    def _options(self, name: str) -> str:
        """Return what the rows of a stage depend on beside its input and the code."""
        options = getattr(self.wanted, name)
        asks = [dict(self.model), self.prompts.digest] if name in STAGES else []
        runs = platform.python_version() if name == "verify" else ""
        return json.dumps([self.wanted.seed, options and asdict(options), asks, runs], sort_keys=True)

    def _commit(self, name: str, part: int, key: str, made: Made) -> None:
        dataset, tables = DATASETS[name], {DATASETS[name]: made.kept, f"dropped/{name}": made.dropped, **self.beside}
        data = {part_path(place, part, LINES): b"".join(map(_line, rows)) for place, rows in tables.items()}
        outputs = tuple(output(path, found, len(tables[path.rpartition("/")[0]])) for path, found in data.items())
        sizes: Counter[str] = Counter()
        files: Counter[str] = Counter()
        for reason, row in [("", row) for row in made.kept] + [(row["reason"], row) for row in made.dropped]:
            files[reason] += 1
            sizes[reason] += len(_line(row))
        counts = tuple(Count(name, reason, LANGUAGE, files[reason], sizes[reason]) for reason in sorted(files))
        self.workspace.commit(Sidecar(name, dataset, part, key, outputs, counts), [*data.values()])


@functools.cache
def code() -> str:
    """Return a digest of what makes the rows: these packages, with what they judge, compare and clean by."""
    folders = [Path(str(package.__file__)).parent for package in (alignment, sandbox, dedup, clean)]
    places = [place for folder in folders for place in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(place.read_bytes() for place in places)).hexdigest()


def _line(row: Row) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _rows(workspace: Workspace, path: str) -> list[Row]:
    return [json.loads(line) for line in workspace.read(path).split(b"\n") if line]
