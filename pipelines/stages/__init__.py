"""The stages, in the order of a run: the only list of them. Each name is a module or package here with a `STAGE` in it.

Importing this package imports no stage, and so no Beam: the command line and the views need only the names.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starmill.pipelines.stages.stage import Stage

STAGES = ("ingest", "measure", "curate", "dedup", "release", "tokenize")


def load(name: str) -> "Stage":
    """Return the stage of this name. Raises ModuleNotFoundError for a name that is not in STAGES."""
    found: Stage = importlib.import_module(f"{__name__}.{name}").STAGE
    return found
