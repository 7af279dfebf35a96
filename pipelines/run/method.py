"""How a workspace's dataset was made, as plain data for its card: the recipe's sources, and by stage and kind of record the steps.

A card may only tell what is true: the steps that a recipe gives are compared, by the keys of the parts, with those that made them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.pipelines import stages
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import keys
from starmill.pipelines.run.place import complete
from starmill.pipelines.run.stages import keyed

DATASET = "dataset"
LONG = 300  # characters of an option; a longer one is told by its length
LOCAL = "a place of the machine that milled it"


def method(options: Recipe, workspace: Workspace) -> dict[str, Any]:
    """Return `sources` by name, `dedup`, and `steps`: of each stage up to the dataset, by kind, (name, options, material).

    Raises UsageError where the dataset is not complete, or was not made with this recipe.
    """
    complete(workspace, DATASET, "card")
    there = (workspace.manifest(stages.load(name).dataset) for name in stages.STAGES)  # a kind may have lost all its records
    kinds = sorted({kind for manifest in there if manifest is not None for part in manifest.parts for kind in part.kinds})
    steps: dict[str, dict[str, list[Any]]] = {}
    for name in stages.STAGES:
        stage = stages.load(name)
        _compare(name, options, workspace)
        found = stage.steps(options)
        steps[name] = {kind: [_told(maker) for maker in found[kind]] for kind in kinds if kind in found}
        if stage.dataset == DATASET:
            break
    near = dataclasses.asdict(options.minhash)
    return {
        "sources": {name: _source(source) for name, source in sorted(options.sources.items())},
        "near_duplicates": {key: value for key, value in near.items() if isinstance(value, int | float)},
        "steps": {name: found for name, found in steps.items() if any(found.values())},
        "card": dataclasses.asdict(options.card),
    }


def _compare(name: str, options: Recipe, workspace: Workspace) -> None:
    """Raise UsageError where a stage's parts were made with other values; one whose inputs or parts are gone is not compared."""
    stage = stages.load(name)
    manifest = workspace.manifest(stage.dataset)
    if manifest is None or not stage.needs or any(workspace.manifest(dataset) is None for dataset in stage.needs):
        return
    made = {part.part: keys.values_of(part.key) for part in manifest.parts}
    if other := [ref.part for ref in keyed(stage, options, workspace) if made.get(ref.part) != keys.values_of(ref.key)]:
        raise UsageError(
            f"{workspace.path(stage.dataset)}: {len(other):,} of {len(made):,} parts were made with another recipe, of which this one "
            f"could not tell the truth; give the recipe that made them, or run {name} again with this one"
        )


def _told(maker: object) -> Any:
    if isinstance(maker, str):
        return [f"deduplicated: {maker}", {}, []]  # what else a stage names beside its steps
    if told := getattr(maker, "told", None):  # a step that knows what a card may tell
        return [str(getattr(maker, "name", "")), told(), []]
    material = [str(one) for one in getattr(maker, "material", tuple)()]
    shown = dataclasses.asdict(maker) if dataclasses.is_dataclass(maker) and not isinstance(maker, type) else {}
    shown = {key: _short(value) for key, value in shown.items()}
    return [str(shown.pop("name", getattr(maker, "__name__", type(maker).__name__))), shown, material]


def _short(value: Any) -> Any:
    """Return an option as a card may hold it: of texts that are looked for (benchmarks, lists) the number, not the texts."""
    if isinstance(value, list | tuple) and any(isinstance(one, dict | list | tuple) for one in value):
        return f"{len(value):,} entries"
    if isinstance(value, str) and len(value) > LONG:
        return f"{len(value):,} characters"
    return f"{len(value):,} entries" if isinstance(value, list | tuple | dict) and len(str(value)) > LONG else value


def _source(source: Any) -> dict[str, Any]:
    """Return the options of a source that are not defaults; the names of local folders are nobody's business."""
    places = set(map(str, source.places()))

    def shown(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [shown(one) for one in value]
        if isinstance(value, Mapping):
            return {str(key): shown(one) for key, one in value.items()}
        local = isinstance(value, str) and "://" not in value and (value in places or value.startswith(("/", "~", ".")))
        return LOCAL if local else value

    default = {name: field.default for name, field in source.__dataclass_fields__.items()}
    told = {name: shown(value) for name, value in vars(source).items() if name in default and value != default[name]}
    return {"kind": source.kind} | told
