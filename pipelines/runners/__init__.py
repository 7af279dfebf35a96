"""The runners of a stage's graph. Each module of RUNNERS has `of(options, workers)`: its runner, or None if another is named."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starmill.pipelines.runners.runner import Runner

RUNNERS = ("local", "flink", "dataflow", "runner")


def choose(options: tuple[str, ...], workers: int = 1) -> "Runner":
    """Return the runner that Beam's own options name, as given after `--`; `workers`: processes of the local runner."""
    modules = (importlib.import_module(f"{__name__}.{name}") for name in RUNNERS)
    chosen: Runner = next(runner for module in modules if (runner := module.of(options, workers)))
    return chosen
