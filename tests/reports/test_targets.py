"""Both targets: a hub is a double on this machine that huggingface_hub itself talks to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hub_writes import WritableHub, taking
from mixed import release, rows

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, MachineError, UsageError
from starmill.reports import publish as publishing
from starmill.reports import targets
from starmill.reports.targets import Folder, Hub, target_of

TOKEN = "hf_" + "w" * 30  # of nobody


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WritableHub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the double speaks the older protocol
    with taking() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return release(tmp_path_factory.mktemp("workspace"))


def publish(workspace: Workspace, to: str, readme: bytes = b"# A set\n") -> publishing.Plan:
    target, manifest = target_of(to), workspace.manifest("dataset")
    assert manifest is not None
    planned = publishing.plan(workspace, manifest, target, 30_000, with_notices=False)
    publishing.publish(workspace, planned, target, lambda made: {"README.md": readme})
    return planned


def test_a_hub_gets_what_a_folder_gets(workspace: Workspace, hub: WritableHub, tmp_path: Path) -> None:
    publish(workspace, "hf://owner/name")
    publish(workspace, str(tmp_path / "out"))
    files = dict(hub.sets["owner/name"])
    assert files.pop(".gitattributes")
    assert files == {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert hub.private == {"owner/name": True} and hub.tokens == {f"Bearer {TOKEN}"}


def test_only_what_differs_is_sent(workspace: Workspace, hub: WritableHub, tmp_path: Path) -> None:
    first = publish(workspace, "hf://owner/name")
    sent, commits = len(hub.sent), hub.commits
    publish(workspace, "hf://owner/name")
    assert (len(hub.sent), hub.commits) == (sent, commits), "nothing, not even a commit"
    publish(workspace, "hf://owner/name", b"# Another name\n")
    assert len(hub.sent) == sent and hub.sets["owner/name"]["README.md"] == b"# Another name\n"
    other = release(tmp_path / "w", all_rows=[row for row in rows() if row["kind"] != "issue"])
    second = publish(other, "hf://owner/name")
    new = {file.path for file in second.files} - {file.path for file in first.files}
    gone = {file.path for file in first.files} - {file.path for file in second.files}
    assert gone and not gone & {*hub.sets["owner/name"]}
    assert {file.path for file in second.files} < {*hub.sets["owner/name"]}
    assert len(hub.sent) <= sent + 2 * len(new)


def test_an_upload_that_fails_is_continued(workspace: Workspace, hub: WritableHub) -> None:
    hub.fails = "/commit/"
    with pytest.raises(MachineError, match=r"hf://owner/name: .*run the same command to continue"):
        publish(workspace, "hf://owner/name")
    sent, hub.fails = len(hub.sent), ""
    publish(workspace, "hf://owner/name")
    assert len(hub.sent) == sent, "large files that were sent are there, though no commit named them"
    hub.fails = "/upload/"
    with pytest.raises(MachineError) as told:
        publish(workspace, "hf://owner/other-name-that-has-nothing") if not hub.large.clear() else None
    assert TOKEN not in str(told.value)


def test_commits_are_small_and_the_last_one_has_the_card(
    workspace: Workspace, hub: WritableHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "AT_ONCE", 3)
    commit, seen = Hub._commit, list[bool]()

    def watched(self: Hub, remove: Sequence[str]) -> None:
        commit(self, remove)
        seen.append("README.md" in hub.sets["owner/name"])
        if len(seen) == 2 and len(stops):
            stops.clear()
            raise KeyboardInterrupt

    stops = [True]
    monkeypatch.setattr(Hub, "_commit", watched)
    with pytest.raises(KeyboardInterrupt):
        publish(workspace, "hf://owner/name")
    sent = len(hub.sent)
    assert sent >= 5 and not any(seen)
    publish(workspace, "hf://owner/name")
    files = hub.sets["owner/name"]
    assert len(hub.sent) == len(set(hub.sent)), "what the first run sent and committed was not sent again"
    assert {f"data/{p}" for p in ("code/C", "code/Java", "issue/no-language")} <= {name.rpartition("/")[0] for name in files}
    assert seen[-1] and not any(seen[:-1])


def test_without_a_token_nothing_is_asked(hub: WritableHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UsageError, match="as HF_TOKEN"):
        target_of("hf://owner/name")
    assert not hub.tokens


def test_a_hub_that_refuses(hub: WritableHub) -> None:
    hub.fails = "/tree/"
    with pytest.raises(MachineError, match=r"hf://owner/name: .*403"):
        target_of("hf://owner/name").there()


def test_a_data_set_of_others_is_refused(workspace: Workspace, hub: WritableHub) -> None:
    hub.sets["owner/name"] = {".gitattributes": b"", "README.md": b"", "train.csv": b"a,b\n"}
    with pytest.raises(InputError, match=r"'train.csv'; 1 in all"):
        publish(workspace, "hf://owner/name")
    hub.sets["owner/name"].pop("train.csv")
    publish(workspace, "hf://owner/name")
    assert "starmill.json" in hub.sets["owner/name"]


@pytest.mark.parametrize(("place", "made"), [("out", Folder), ("hf://o/n", Hub), ("hf://datasets/o/n", Hub)])
def test_what_a_place_names(hub: WritableHub, place: str, made: type) -> None:
    target = target_of(place)
    assert isinstance(target, made) and getattr(target, "name", "o/n") == "o/n"


@pytest.mark.parametrize("place", ["s3://bucket/x", "hf://only-a-name", "hf://a/b/c"])
def test_other_places_are_refused(place: str) -> None:
    with pytest.raises(UsageError, match="give a folder, or hf://owner/name"):
        target_of(place)


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    Folder(tmp_path / "out").put("starmill.json", b"{}")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.txt").write_text("x")
    (tmp_path / "out/data").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="a link"):
        Folder(tmp_path / "out").put("data/b.txt", b"x")
