"""A server over a real release says where a text is from, as the command does, and refuses what it cannot."""

import json
import shutil
from pathlib import Path

import pytest
import released_workspace
from servers import Running, Serve

from starmill.cli.__main__ import main
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.serving.attribution import LONGEST, Release

TEXT = "".join(f"def number_{n}(value):\n    return value + {n * n}\n" for n in range(9))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    rows = [
        released_workspace.row("one/lib", "a.py", f"# a\n{TEXT}# z\n"),
        released_workspace.row("two/lib", "b.py", "x = 1\n" * 50),
    ]
    return released_workspace.derive(released_workspace.build(tmp_path_factory.mktemp("release"), [rows]))


@pytest.fixture(scope="module")
def knowing(serve: Serve, release: Workspace) -> Running:
    return serve(release=release)


def test_it_says_what_the_command_says(
    knowing: Running, release: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "asked.py").write_text(f"𝒳 = 1\n{TEXT}\ny = 2\n")
    asked = {"text": (tmp_path / "asked.py").read_text()}
    for address, more in (("/attribute", []), ("/overlap", ["--portrait"])):
        found = knowing.client.post(address, json=asked)
        assert found.status_code == 200
        assert main(["attribute", str(tmp_path / "asked.py"), release.root, "--json", *more]) == 0
        wanted = json.loads(capsys.readouterr().out)
        assert found.json()["spans"] == (wanted["spans"] if address == "/attribute" else wanted) != []
    assert found.json()["characters"] == len(asked["text"])
    assert knowing.client.get("/v1/models").json()["data"][0]["attribution"] is True


def test_it_answers_as_llm_vscode_asks(knowing: Running) -> None:
    document = f"𝒳 = '𝒳'\n{TEXT}\n"
    (found,) = knowing.client.post("/attribution", json={"document": document}).json()["spans"]
    written = document.encode("utf-16-le")[2 * found[0] : 2 * found[1]].decode("utf-16-le")
    assert written in TEXT and len(written) > len(TEXT) - 100
    assert knowing.client.post("/attribution", json={"document": "x = 2\n"}).json() == {"spans": []}


def test_what_is_refused(knowing: Running, running: Running, tmp_path: Path) -> None:
    for body, status in (({}, 400), ({"text": 1}, 400), ({"text": "x" * (LONGEST + 1)}, 400), ({"text": "", "files": 0}, 400)):
        assert knowing.client.post("/attribute", json=body).status_code == status
    assert knowing.client.post("/attribute", json={"text": ""}).json()["spans"] == []
    assert running.client.post("/attribute", json={"text": "x"}).status_code == 404, "without a release"
    with pytest.raises(InputError, match="starmill index"):
        Release(Workspace(str(tmp_path)))


def test_a_release_without_a_portrait(serve: Serve, release: Workspace, tmp_path: Path) -> None:
    shutil.copytree(release.root, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/portrait")
    client = serve(release=Workspace(str(tmp_path / "copy"))).client
    told = client.post("/overlap", json={"text": TEXT})
    assert told.status_code == 404 and "starmill portrait" in told.json()["error"]["message"]
