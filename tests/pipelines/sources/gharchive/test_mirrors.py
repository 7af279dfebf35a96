"""Files of pull requests from mirrors that `git clone --mirror` makes, what is missing, and what is no mirror."""

import tracemalloc
from pathlib import Path

import pytest
from small_tree import commit, git

from starmill.pipelines.sources.gharchive import mirrors as pulls_mirrors
from starmill.pipelines.sources.gharchive.mirrors import Mirror, find, looks
from starmill.pipelines.sources.gharchive.pulls import Show
from starmill.pipelines.sources.source import Limits

CODE = "".join(f"def function_{n}(value):\n    return value + {n}\n\n" for n in range(20))


@pytest.fixture(scope="module")
def mirrors(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[str]]:
    """A folder with a mirror of me/toy, the base of its pull request 7, and two heads."""
    place = tmp_path_factory.mktemp("mirrors")
    work = commit(place / "work", {"src/a.py": CODE, "src/b.py": CODE, "gone.py": CODE, "bin": b"\0"})
    ids = [git(work, "rev-parse", "HEAD").strip()]
    git(work, "checkout", "-q", "-b", "topic")
    for change in ({"src/a.py": CODE.replace("+ 3", "- 3"), "new.py": CODE, "bin": b"\0\1"}, {"src/b.py": CODE + "# more\n"}):
        (work / "gone.py").unlink(missing_ok=True)
        commit(work, change)
        ids.append(git(work, "rev-parse", "HEAD").strip())
    git(work, "update-ref", "refs/pull/7/head", "topic")
    git(work, "checkout", "-q", "main")
    git(work, "branch", "-q", "-D", "topic")
    git(place, "clone", "-q", "--mirror", "work", "me/toy.git")
    return place, ids[0], ids[1:]


def test_files_of_both_sides_alone(mirrors: tuple[Path, str, list[str]]) -> None:
    place, base, heads = mirrors
    with Mirror(str(place), "me/toy", Limits(), Show()) as mirror:
        found = mirror.files("pull/7", base, heads)
        assert mirror.files("pull/7", base, heads) == found
    assert found and [window.path for window in found.windows] == ["src/a.py", "src/b.py"]
    assert {head: [hunk.path for hunk in hunks] for head, hunks in found.hunks.items()} == {
        heads[0]: ["src/a.py"],
        heads[1]: ["src/a.py", "src/b.py"],
    }
    assert "-    return value + 3\n+    return value - 3\n" in found.hunks[heads[0]][0].text


def test_what_is_missing(mirrors: tuple[Path, str, list[str]]) -> None:
    place, base, heads = mirrors
    with Mirror(str(place), "me/toy", Limits(), Show()) as mirror:
        assert mirror.files("pull/7", "0" * 40, heads) is None and mirror.files("pull/7", base, ["1" * 40]) is None
        assert mirror.files("pull/7", "../../etc/passwd", heads) is None and mirror.files("pull/7", base, []) is None
        some = mirror.files("pull/7", base, ["1" * 40, heads[0]])
        assert some and [*some.hunks] == [heads[0]]
    (place / "me/link").symlink_to("../../work")
    for folder, name in (
        (place, "me/other"),
        (place / "me", "../work"),
        (place / "me", "link"),
        (place / "me", "toy.git/objects"),
    ):
        assert name.startswith("toy") or find(str(folder), name) is None, "what lies elsewhere is no mirror"
        with Mirror(str(folder), name, Limits(), Show()) as mirror:
            assert mirror.files("pull/7", base, heads) is None
    with Mirror(str(place), "me/toy", Limits(), Show(max_chars=100)) as mirror:
        assert mirror.files("pull/7", base, heads) is None


def test_a_file_that_is_too_large_takes_no_other_with_it(tmp_path: Path) -> None:
    lock = "x = 1\n" * 200_000
    work = commit(tmp_path / "work", {"src/a.py": CODE, "lock.txt": lock})
    base = git(work, "rev-parse", "HEAD").strip()
    commit(work, {"src/a.py": CODE.replace("+ 3", "- 3"), "lock.txt": lock + "x = 2\n"})
    head = git(work, "rev-parse", "HEAD").strip()
    git(tmp_path, "clone", "-q", "--mirror", "work", "me/toy.git")
    for limits in (Limits(), Limits(max_file_bytes=100_000)):
        with Mirror(str(tmp_path), "me/toy", limits, Show()) as mirror:
            found = mirror.files("pull/7", base, [head])
        assert found and [window.path for window in found.windows] == ["src/a.py"]
        assert [hunk.path for hunk in found.hunks[head]] == ["src/a.py"]


def test_a_mirror_that_grows_is_another(mirrors: tuple[Path, str, list[str]], tmp_path: Path) -> None:
    place, _, _ = mirrors
    git(tmp_path, "clone", "-q", "--mirror", str(place / "me/toy.git"), "me/toy.git")
    before = looks(str(tmp_path), "me/toy")
    git(tmp_path / "me/toy.git", "hash-object", "-w", "--stdin", given=b"more")
    after = looks(str(tmp_path), "me/toy")
    assert all(before) and all(one != other for one, other in zip(before, after, strict=True))
    assert looks(str(tmp_path), "me/none") == looks(None, "me/toy") == ("", "")


def test_a_hostile_pull_request_leaves_the_others_their_files(
    mirrors: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, base, heads = mirrors
    monkeypatch.setattr(pulls_mirrors, "PULL_BYTES", 20_000)
    monkeypatch.setattr(pulls_mirrors, "LEAST_BYTES", 0)
    with Mirror(str(place), "me/toy", Limits(), Show()) as mirror:
        found = mirror.files("pull/7", base, heads)
        monkeypatch.setattr(pulls_mirrors, "PULL_BYTES", 10)
        assert found and mirror.files("pull/8", base, heads) is None
        monkeypatch.setattr(pulls_mirrors, "PULL_BYTES", 20_000)
        assert mirror.files("pull/7", base, heads) == found
    monkeypatch.undo()
    with Mirror(str(place), "me/toy", Limits(max_inflated_bytes=20_000), Show()) as mirror:
        given = [mirror.files("pull/7", base, heads) is not None for _ in range(30)]
    assert given[0] and not given[-1], "all together have their bound as well"


def test_hundreds_of_hostile_pull_requests_leave_the_others_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = commit(tmp_path / "me/toy", {"a.py": CODE, **{f"{n}.bin": f"{n}" + "x" * 100_000 for n in range(9)}})
    ids = [git(work, "rev-parse", "HEAD").strip()]
    for change in ({"a.py": CODE.replace("+ 3", "- 3")}, {f"{n}.bin": "y" * 100_000 for n in range(9)}):
        commit(work, change)
        ids.append(git(work, "rev-parse", "HEAD").strip())
    monkeypatch.setattr(pulls_mirrors, "LEAST_BYTES", 20_000)
    with Mirror(str(tmp_path), "me/toy", Limits(max_inflated_bytes=64 * 300_000), Show(max_chars=10**9)) as mirror:
        wanted = mirror.files("pull/1", ids[0], ids[1:2])
        assert wanted and mirror.lost is None
        for n in range(100):
            assert mirror.files(f"pull/{n + 2}", ids[1], ids[2:]) is None
            assert mirror.lost and mirror.lost[0] == "too_much_to_compare" and f"head {ids[2]}" in mirror.lost[1]
        assert mirror.files("pull/1", ids[0], ids[1:2]) == wanted and mirror.lost is None


def test_why_files_are_lost_is_kept(mirrors: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    place, base, heads = mirrors
    with Mirror(str(place), "me/toy", Limits(), Show()) as mirror:
        for end, some, reason in (
            ("0" * 40, heads, "missing_object"),
            (base, ["1" * 40, *heads], "missing_object"),
            ("../../etc/passwd", heads, "corrupt_object"),
            (base, heads, None),
            (base, [], None),
        ):
            mirror.files("pull/7", end, some)
            assert (mirror.lost and mirror.lost[0]) == reason
    with Mirror(str(place), "me/toy", Limits(), Show(max_chars=100)) as mirror:
        mirror.files("pull/7", base, heads)
        assert mirror.lost and mirror.lost == (
            "too_large",
            "more than max_chars=100 of files, or 16 times as many of all heads",
        )
    with Mirror(str(place), "me/other", Limits(), Show()) as mirror:
        mirror.files("pull/7", base, heads)
        assert mirror.lost is None, "nothing is lost of what has no mirror"


def test_names_are_those_of_what_may_be_mirrors(mirrors: tuple[Path, str, list[str]]) -> None:
    assert "me/toy" in pulls_mirrors.names(str(mirrors[0]))


def test_heads_that_make_small_files_huge_are_not_held(tmp_path: Path) -> None:
    work = commit(tmp_path / "me/toy", {f"{n}.py": f"a = {n}\n" for n in range(40)})
    base = git(work, "rev-parse", "HEAD").strip()
    commit(work, {f"{n}.py": f"a = {n}\n" * 100_000 for n in range(40)})
    head = git(work, "rev-parse", "HEAD").strip()
    tracemalloc.start()
    with Mirror(str(tmp_path), "me/toy", Limits(), Show(max_chars=100_000)) as mirror:
        assert mirror.files("pull/1", base, [head]) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20


def test_folders_without_end_are_not_compared(mirrors: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    place, base, heads = mirrors
    for most, expected in ((30, False), (1000, True)):  # the top has four entries, of some thirty bytes each
        monkeypatch.setattr(pulls_mirrors, "MAX_TREE", most)
        with Mirror(str(place), "me/toy", Limits(), Show()) as mirror:
            assert (mirror.files("pull/7", base, heads) is not None) == expected


def test_heads_share_the_folders_of_a_pull_request(
    mirrors: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, base, heads = mirrors
    monkeypatch.setattr(pulls_mirrors, "PULL_FOLDERS", 3)  # each head has the top and src
    with Mirror(str(place), "me/toy", Limits(), Show()) as mirror:
        found = mirror.files("pull/7", base, heads)
        assert found and [*found.hunks] == heads[:1] and mirror.files("pull/7", base, heads) == found
