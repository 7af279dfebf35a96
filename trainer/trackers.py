"""Where metrics go beside metrics.jsonl: TensorBoard's events where it is installed, and the trackers that a recipe names in `track`.

Each tracker's own environment says where it keeps runs and whether it is online (WANDB_MODE, MLFLOW_TRACKING_URI, TRACKIO_DIR); without,
MLflow writes to `output/mlruns`. A run that goes on is the same run there: `output/trackers.json` keeps its name. A tracker that fails
is left out from then on; the training goes on.
"""

import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from starmill.core import files
from starmill.core.errors import UsageError, one_line
from starmill.core.terminal import say

PROJECT = "starmill"
KEPT = "trackers.json"  # the run's name in each tracker
PACKAGES = {"mlflow": "mlflow-skinny"}  # to install, where it is not called as the module
OTHER = re.compile(r"[^\w\-. /]", re.ASCII)  # what MLflow refuses in a name


class Tracker(NamedTuple):
    """A run in one tracker: its name there ("": it has none), and what takes numbers by name, and ends it."""

    run: str
    log: Callable[[int, Mapping[str, float]], None]
    close: Callable[[], None]


def refuse_missing(names: tuple[str, ...]) -> None:
    """Raise UsageError for a tracker that is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"track: {name} is not installed: pip install {PACKAGES.get(name, name)}, or leave it out")


class Trackers:
    """All trackers of a run, on the first rank."""

    def __init__(self, names: tuple[str, ...], output: Path, step: int, config: Mapping[str, Any]) -> None:
        """Open them; a run that goes on after `step` above 0 goes on there, too."""
        place, known = output / KEPT, dict[str, str]()
        if step:
            with suppress(OSError, ValueError, TypeError, AttributeError):
                known = {str(name): str(run) for name, run in json.loads(place.read_text()).items()}
        self._open: dict[str, Tracker] = {}
        for name in ("tensorboard", *names):
            try:
                made = OPENERS[name](output, step, config, known.get(name))
            except ImportError:  # of TensorBoard, or of what a tracker needs itself
                if name != "tensorboard":
                    raise UsageError(f"track: {name} cannot be imported; install it again, or leave it out") from None
                continue
            self._open[name] = made
        if runs := {name: tracker.run for name, tracker in self._open.items() if tracker.run}:
            files.write(place, (json.dumps(runs) + "\n").encode())

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Give numbers, and numbers by name, as `name/key`."""
        flat: dict[str, float] = {}
        for name, value in values.items():
            flat |= {f"{name}/{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        self._each(lambda tracker: tracker.log(step, flat))

    def close(self) -> None:
        """End the run."""
        self._each(lambda tracker: tracker.close())

    def _each(self, do: Callable[[Tracker], None]) -> None:
        for name, tracker in [*self._open.items()]:
            try:
                do(tracker)
            except Exception as error:  # of a network, a disk, a server: no reason to end a training
                del self._open[name]
                say(f"{name}: left out from here on ({one_line(error)})", to=sys.stderr)


def _tensorboard(output: Path, step: int, config: Mapping[str, Any], run: str | None) -> Tracker:
    from torch.utils.tensorboard import SummaryWriter

    board = SummaryWriter(str(output / "tensorboard"), purge_step=step + 1)

    def log(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            board.add_scalar(name, value, step)

    return Tracker("", log, board.close)


def _wandb(output: Path, step: int, config: Mapping[str, Any], run: str | None) -> Tracker:
    import wandb

    project = os.environ.get("WANDB_PROJECT", PROJECT)
    made = wandb.init(
        project=project, name=output.name, dir=str(output), id=run, resume="allow" if run else None, config=dict(config)
    )
    return Tracker(made.id, lambda step, values: made.log(dict(values), step=step), made.finish)


def _mlflow(output: Path, step: int, config: Mapping[str, Any], run: str | None) -> Tracker:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or (output / "mlruns").absolute().as_uri())
    if run is None:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = client.get_experiment_by_name(name)
        number = known.experiment_id if known is not None else client.create_experiment(name)
        run = str(client.create_run(number, run_name=output.name).info.run_id)
        client.log_text(run, json.dumps(dict(config), indent=1), "recipe.json")
    name_of_run: str = run

    def log(step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        client.log_batch(name_of_run, [Metric(OTHER.sub("_", name), value, now, step) for name, value in values.items()])

    return Tracker(run, log, lambda: client.set_terminated(name_of_run))


def _trackio(output: Path, step: int, config: Mapping[str, Any], run: str | None) -> Tracker:
    import trackio

    name = run or output.name
    made = trackio.init(project=PROJECT, name=name, config=dict(config), resume="allow" if run else "never")
    return Tracker(name, lambda step, values: made.log(dict(values), step=step), made.finish)


OPENERS: dict[str, Callable[[Path, int, Mapping[str, Any], str | None], Tracker]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
    "trackio": _trackio,
}
