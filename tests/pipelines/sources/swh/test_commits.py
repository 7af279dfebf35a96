"""Commits of an export are those of the git repositories that it was made of, to the byte; and of what an export lacks, rows."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import catalogs
import exports
import pytest
from histories import commit, file, random_history, run, take
from samples import sample

from starmill.core.errors import InputError
from starmill.pipelines.sources.git.commits import Commits
from starmill.pipelines.sources.git.commits_text import Excerpt
from starmill.pipelines.sources.source import Entry, Limits, Repository, Snapshot
from starmill.pipelines.sources.swh import commits as swh_commits
from starmill.pipelines.sources.swh.commits import SoftwareHeritageCommits
from starmill.pipelines.sources.swh.contents import ContentStore

URL = "https://github.com/a/toy"
LIMITS = Limits()


def source(place: Path, form: str = "orc", **options: object) -> SoftwareHeritageCommits:
    given = {"per_file": None, **options}
    dump = {"export": str(place / form), "contents": str(place / "content"), "catalog": str(place.parent / "catalog")}
    return SoftwareHeritageCommits(**dump, **given)  # type: ignore[arg-type]


def read(of: SoftwareHeritageCommits | Commits, limits: Limits = LIMITS) -> tuple[Snapshot, list[Entry]]:
    [repository] = of.plan()
    snapshot, entries = of.read(repository, limits)
    return snapshot, list(entries)


def reasons(entries: list[Entry]) -> Counter[str | None]:
    return Counter(entry.reason for entry in entries)


def edited(folder: Path, commits: int) -> Path:
    stream = (commit(n, b"Change it to %d\n" % n, [file(b"%d/a.py" % (n % 2), b"x = %d\n" % n)]) for n in range(1, commits + 1))
    return take(folder, b"".join(stream))


@pytest.mark.parametrize("form", ["orc", "parquet"])
def test_as_of_git_itself(tmp_path: Path, form: str) -> None:
    folder = random_history(tmp_path / "in/r", 6, 150)
    dump = exports.write(tmp_path / "swh", {URL: folder}, form)
    for options in ({"per_file": None}, {"per_file": 1, "show": Excerpt(whole_rate=0.5, seed=3)}):
        wanted = read(Commits(roots=(str(tmp_path / "in"),), **options))  # type: ignore[arg-type]
        assert read(source(dump, form, **options)) == wanted and len(reasons(wanted[1])) > 6 and reasons(wanted[1])[None] > 3


def test_the_true_export_has_commits(tmp_path: Path) -> None:
    place = sample("swh-export/export")
    of = SoftwareHeritageCommits(
        export=str(place / "orc"), contents=str(place / "content"), catalog=str(tmp_path / "catalog"), per_file=None
    )
    found = {r.name: [*of.read(r, LIMITS)[1]] for r in of.plan()}
    assert len(found) == 6 and all(found.values())
    assert {e.kind for entries in found.values() for e in entries} == {"commit"}
    assert any(e.data for entries in found.values() for e in entries)


def without(table: str, holds: Callable[[dict], bool]) -> Callable[[exports.Rows], None]:
    def change(rows: exports.Rows) -> None:
        rows[table] = [row for row in rows[table] if not holds(row)]

    return change


def test_what_an_export_lacks_is_named(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 6)
    own = run(folder, "rev-list", "HEAD").decode().split()
    blob, tree = (run(folder, "rev-parse", name).decode().strip() for name in (f"{own[2]}:0/a.py", f"{own[3]}:1"))
    cases = {
        "no blob": (without("content", lambda row: row["sha1_git"] == blob), {None: 4, "missing_content": 2}),
        "no tree": (without("directory_entry", lambda row: row["directory_id"] == tree), {None: 4, "missing_object": 2}),
        "no parent": (without("revision", lambda row: row["id"] == own[4]), {None: 3, "missing_object": 1}),
        "no links": (without("revision_history", lambda row: True), {"several_files": 1}),
    }
    for name, (change, wanted) in cases.items():
        dump = exports.write(tmp_path / "swh", {URL: folder}, change=change)
        assert reasons(read(source(dump))[1]) == wanted, name


def test_contents_that_are_gone_or_long_are_named(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 4)
    dump = exports.write(tmp_path / "swh", {URL: folder})
    assert reasons(read(source(dump, show=Excerpt(max_chars=1)))[1]) == {"too_large": 4}
    for content in (dump / "content").iterdir():
        content.unlink()
    found = read(source(dump))[1]
    assert reasons(found) == {"missing_content": 4} and all("/a.py: " in str(e.detail) for e in found)


def test_limits_hold(tmp_path: Path) -> None:
    dump = exports.write(tmp_path / "swh", {URL: edited(tmp_path / "r", 40)})
    few = read(source(dump, max_commits=5))[1]
    assert reasons(few) == {None: 5, "too_many_commits": 1} and "without a row are 35 commits" in str(few[-1].detail)
    spent = read(source(dump), Limits(max_inflated_bytes=2000))[1]
    assert spent[-1].reason == "inflates_too_far" and "without a row are" in str(spent[-1].detail)


def test_texts_beyond_a_limit_are_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swh_commits, "AT_ONCE", 2)
    stream = (commit(n, b"Change it\n", [file(b"a.py", b"x = %d\n" % n * 500)]) for n in range(1, 21))
    dump = exports.write(tmp_path / "swh", {URL: take(tmp_path / "r", b"".join(stream))})
    asked, get = list[str](), ContentStore.get
    monkeypatch.setattr(
        ContentStore, "get", lambda self, wanted, *more: (asked.append(wanted.sha1), get(self, wanted, *more))[1]
    )
    found = read(source(dump), Limits(max_inflated_bytes=40_000))[1]
    assert len(found) == 20 and reasons(found)["inflates_too_far"] > 8 and 2 < reasons(found)[None] < 12
    assert 0 < len(asked) < 2 * 12


def test_a_head_that_is_none_is_one_row(tmp_path: Path) -> None:
    folder = edited(tmp_path / "r", 2)
    dump = exports.write(tmp_path / "swh", {URL: folder}, change=without("snapshot_branch", lambda row: True))
    snapshot, [entry] = read(source(dump))
    assert snapshot == Snapshot() and (entry.path, entry.reason, entry.kind) == (b"", "no_main_branch", "commit")


def test_a_catalog_of_heads_is_refused(tmp_path: Path) -> None:
    dump = exports.write(tmp_path / "swh", {URL: edited(tmp_path / "r", 2)})
    of = catalogs.source(dump, tmp_path / "catalog")
    catalogs.make_plainly(of)
    with pytest.raises(InputError, match="a catalog has the trees of heads alone"):
        source(dump).plan()


def test_what_decides_a_record_is_in_its_fingerprint(tmp_path: Path) -> None:
    dump = exports.write(tmp_path / "swh", {URL: edited(tmp_path / "r", 2)})

    def planned(**options: object) -> Repository:
        [repository] = source(dump, **options).plan()
        return repository

    first = planned()
    assert planned(per_file=1).fingerprint != first.fingerprint != planned(show=Excerpt(seed=1)).fingerprint
    assert source(dump).fingerprint(first) == first.fingerprint
    assert str(source(dump).count(first, LIMITS)).startswith("2 commits; the table revision_history, from id ")
