"""The contract of a view, held by every module of reports/: it needs neither Beam nor torch, and an empty workspace is told, not a crash.

A view is found by its first parameter, `workspace`. What `data` returns is what `--json` prints.
"""

import json
import subprocess
import sys
from pathlib import Path

from starmill.core.dataset import LastRun, StageName, Workspace

# In a process of its own: this one may have Beam and torch loaded.
LOOK = """
import contextlib, importlib, inspect, io, json, pkgutil, sys
sys.modules.update(apache_beam=None, torch=None)
from starmill import reports
from starmill.core.dataset import Workspace
from starmill.core.errors import StarmillError

given = {Workspace: Workspace(sys.argv[1]), str: "nothing", int: 0}
told = {}
for found in pkgutil.iter_modules(reports.__path__):
    module = importlib.import_module(f"{reports.__name__}.{found.name}")
    for name, view in inspect.getmembers(module, inspect.isfunction):
        parameters = [p for p in inspect.signature(view).parameters.values() if p.default is p.empty]
        known = all(p.annotation in given for p in parameters)
        if name.startswith("_") or view.__module__ != module.__name__ or not known or parameters[:1] == []:
            continue
        if parameters[0].name != "workspace":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                result = view(*(given[p.annotation] for p in parameters))
            except StarmillError as error:
                result = f"refused: {error}"
            else:
                result = list(result) if inspect.isgenerator(result) else result
        told[f"{found.name}.{name}"] = printed.getvalue() or (result if name in ("data", "lines", "tell") else str(result))
print(json.dumps(told))
"""


def look(workspace: Path) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", LOOK, str(workspace)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_views_of_a_workspace_that_is_empty(tmp_path: Path) -> None:
    place = tmp_path / "none"
    told = look(place)
    assert {"funnel.data", "funnel.show", "status.data", "status.lines", "why.tell"} <= {*told}
    for name in told:
        if name.endswith(".data"):
            assert str(place) in json.dumps(told[name]), f"{name} says of which workspace it is"
        elif name.rpartition(".")[2] in ("lines", "show", "tell"):
            assert str(place) in str(told[name]), f"{name} says which workspace has nothing to show"
    assert told["funnel.data"] == told["status.data"] == {"workspace": str(place), "stages": []}
    assert not place.exists(), "a look creates nothing"


def test_views_of_a_run_that_has_just_begun(tmp_path: Path) -> None:
    Workspace(str(tmp_path)).publish_last_run(LastRun((StageName("dig", "holes"),), 3))
    told = look(tmp_path)
    assert told["status.lines"] == ["dig       0/3 parts"], "whatever the stages are: the views have no list of their own"
    assert told["funnel.data"] == {"workspace": str(tmp_path), "stages": []}
