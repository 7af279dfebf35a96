"""What a run of alignment says of a seed, and its page; the run is a whole one, by a scripted server and the real sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import scripted

from starmill.alignment import run
from starmill.cli.__main__ import main
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.sandbox.judge import Judge
from starmill.reports import instructions


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("aligned")
    folder = scripted.write_seeds(root / "seeds")
    with scripted.serving(scripted.Script.of(folder)) as url, Judge() as judge:
        wanted = scripted.recipe(root / "w", folder, url)
        model = Endpoint(url, wanted.model, wanted.at_once, pause=lambda _: None)
        run.run(wanted, model, lambda: judge, lambda text: None, "")
    yield root / "w"


def test_every_seed_ends_where_the_counts_say(place: Path) -> None:
    workspace = Workspace(str(place))
    assert instructions.is_aligned(workspace)
    told = instructions.tell(workspace, "/a.py")["seeds"]  # all seeds came from it
    assert len(told) == scripted.WANTED["judge"][1]
    for stage, (_, kept, dropped) in [*scripted.WANTED.items()][1:]:
        said = [one for seed in told for one in seed["stages"] if one["stage"] == stage]
        reasons = [one["reason"] for one in said if not one["kept"]]
        assert sum(one["kept"] for one in said) == kept and {why: reasons.count(why) for why in reasons} == dropped
    one = instructions.tell(workspace, f"swh:1:cnt:{0:040x}")
    [seed] = one["seeds"]
    assert seed["swhid"] == f"swh:1:cnt:{0:040x}" and seed["stages"][-1]["stage"] == "select"
    assert instructions.tell(workspace, seed["name"])["seeds"] == [seed]
    shown = "\n".join(instructions.lines(one))
    assert (
        "https://example.org/a:/a.py:1-3" in shown
        and "verify    response 0 kept" in shown
        and "failed_wrong (AssertionError" in shown
        and "task_0(items)" in shown
    )
    with pytest.raises(InputError, match="no seed of it"):
        instructions.tell(workspace, "/b.py")
    # The line of another language is the first seed's otherwise, and has its name.
    assert {"stage": "judge", "kept": False, "reason": "not_verified_here", "detail": "Go"} in seed["stages"]


def test_the_commands_know_it(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", f"swh:1:cnt:{0:040x}", "--workspace", str(place), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"]
    assert main(["report", str(place), "--output", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "task_0(items)" in page and "failed_wrong" in page and "tests_not_invoked" in page and f"swh:1:cnt:{0:040x}" in page
    assert "<script" not in page and "http-equiv" in page
