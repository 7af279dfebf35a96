"""Every stage of the list loads, reads what another makes, and names a dataset of its own."""

import subprocess
import sys

from starmill.core.dataset import Manifest, Sidecar, Workspace, output
from starmill.pipelines.stages import STAGES, load
from starmill.pipelines.stages.stage import follow


def test_the_stages_make_a_chain() -> None:
    made: list[str] = []
    for name in STAGES:
        stage = load(name)
        assert stage.name == name and stage.dataset not in made
        assert set(stage.needs) <= set(made), "what a stage reads is made before"
        made.append(stage.dataset)


def test_the_names_need_no_beam() -> None:
    code = "import sys; sys.modules['apache_beam'] = None; from starmill.pipelines.stages import STAGES; print(*STAGES)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*STAGES]


def test_parts_follow_their_inputs() -> None:
    def manifest(dataset: str, *texts: bytes) -> Manifest:
        parts = [Sidecar("s", dataset, k, "k", (output(f"{dataset}/{k}", t),)) for k, t in enumerate(texts)]
        return Manifest("s", dataset, "k", "d", "v", tuple(parts))

    refs = follow(None, Workspace("w"), [manifest("a", b"1", b"2"), manifest("b", b"3", b"4")])
    others = follow(None, Workspace("w"), [manifest("a", b"1", b"2"), manifest("b", b"3", b"5")])
    assert [r.part for r in refs] == [0, 1]
    assert refs[0] == others[0] and refs[1] != others[1], "a part's material is that part of each input, and no other"
