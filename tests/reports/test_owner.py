"""What a release has of an owner: counted by hand, names by their owner and not by how they begin."""

from pathlib import Path

import pytest
import released_workspace as released

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.reports.owner import Repository, lines, repositories


def test_an_owners_repositories_are_counted(tmp_path: Path) -> None:
    rows = [
        released.row("Me/one", "/a.py", "x = 1\n"),
        released.row("me/two", "/b.py", "y = 22\n", detected_licenses=[]),
        released.row("Me/one", "/c.py", "é\n", detected_licenses=["MIT", "Apache-2.0"]),
        released.row("me2/one", "/d.py", "z = 1\n"),
        released.row("pypi", "/e.py", "z = 1\n"),
    ]
    place = released.build(tmp_path, [rows[:2], rows[2:]])
    found = repositories(place, "ME/")
    assert found == [Repository("Me/one", 2, 9, {"Apache-2.0": 1, "MIT": 2}), Repository("me/two", 1, 7, {"": 1})]
    assert [*lines("me", found)] == [
        "Me/one  2 files, 0.0 MB  (Apache-2.0 1, MIT 2)",
        "me/two  1 files, 0.0 MB  (no licence found 1)",
        "me: 2 repositories, 3 files, 0.0 MB in this release",
    ]
    assert repositories(place, "m") == [] == repositories(place, "me.")
    assert [*lines("m", [])] == ["m: 0 repositories, 0 files, 0.0 MB in this release"]


def test_without_a_release_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `starmill run` first"):
        repositories(Workspace(str(tmp_path)), "me")
