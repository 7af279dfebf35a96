"""The values of the recipe by which each stage of a workspace was made last: a run leaves them in `settings.json`, and views read them.

They are in no key and decide nothing. Where a dump lies (`sources`, `workspace`) is not among them.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from starmill.core.dataset import FORMAT, Workspace

PLACE = "settings.json"
NOT_TOLD = ("workspace", "sources")


@dataclass(frozen=True)
class Settings:
    """`stages`: for each stage the sections of the recipe, as plain data.

    >>> Settings({"a": {"minhash": {"threshold": 0.8}}}).of("a", "minhash", "threshold")
    0.8
    >>> Settings().of("a", "minhash", "threshold") is None
    True
    """

    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, stage: str, *path: str) -> Any:
        """Return the value at a path of keys of a stage's recipe; None where there is none."""
        found: Any = self.stages.get(stage)
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def read(workspace: Workspace) -> Settings:
    """Return the values; none where no run has left some. Raises InputError for a file of another format."""
    return workspace.load(PLACE, Settings) or Settings()


def plain(recipe: Any) -> dict[str, Any]:
    """Return the sections of a recipe as plain data, without where its dump lies: that is of one machine."""
    return {name: value for name, value in asdict(recipe).items() if name not in NOT_TOLD}


def publish(workspace: Workspace, stage: str, values: dict[str, Any]) -> None:
    """Publish the values of one stage beside those of the others; nothing is written where they are there already."""
    plain, known = json.loads(json.dumps(values)), read(workspace)
    if known.stages.get(stage) != plain:
        made = {"format": FORMAT, "stages": known.stages | {stage: plain}}
        workspace.publish(PLACE, (json.dumps(made, indent=1, sort_keys=True) + "\n").encode())
