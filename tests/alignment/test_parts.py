"""Parts are made once for each key, with all their tables; counts are those of the rows, by reason and language."""

import json
from pathlib import Path

from starmill.alignment.parts import Made, Parts
from starmill.alignment.read import Reason
from starmill.core.dataset import Workspace


def test_parts_are_made_once_for_a_key(tmp_path: Path) -> None:
    workspace, told, asked = Workspace(str(tmp_path)), list[str](), list[int]()
    parts = Parts(workspace, {"judge": "judged"}, told.append, "Python")

    def make(part: int) -> Made:
        asked.append(part)
        made = Made([{"name": "a", "language": "Go"}, {"name": "\ud800"}], beside={"more": [{"x": part}]})
        made.drop(Reason("empty", "why"), name="b", language="Go")
        return made

    parts.stage("judge", ["one", "two"], "", make)
    parts.stage("judge", ["one", "two"], "", make)
    assert asked == [0, 1] and told == ["judge: part 1 of 2", "judge: part 2 of 2"]
    assert parts.rows("judged", 1)[0] == {"name": "a", "language": "Go"} and parts.rows("more", 1) == [{"x": 1}]
    assert parts.rows("dropped/judge", 0) == [{"name": "b", "language": "Go", "reason": "empty", "detail": "why"}]
    manifest = workspace.manifest("judged")
    assert manifest is not None and parts.digests("judged") == [one.digest() for one in manifest.parts]
    counts = {(one.step, one.reason, one.language): one.files for one in manifest.parts[0].counts}
    assert counts == {("judge", "", "Python"): 1, ("judge", "", "Go"): 1, ("judge", "empty", "Go"): 1}
    assert (
        sum(one.bytes for one in manifest.parts[0].counts if not one.reason)
        == (tmp_path / "judged/part-00000.jsonl").stat().st_size
    )
    parts.stage("judge", ["one", "three"], "", make)
    assert asked == [0, 1, 1]
    parts.stage("judge", ["one"], json.dumps({"other": 1}), make)
    assert asked == [0, 1, 1, 0] and not (tmp_path / "judged/part-00001.jsonl").exists()
