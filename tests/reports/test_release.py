"""What a release is of: licences with and without a text, a list that is no list, and links that lead out of it."""

import json
from pathlib import Path

import pytest

from starmill.core.errors import InputError, UsageError
from starmill.reports import release


def test_licences_have_a_text_or_say_that_none_is_known() -> None:
    files = release.licences({"MIT": 2, "LicenseRef-x|y": 1, "../up": 1}, {"MIT": "Permission", "../up": "no"})
    assert files["licenses/MIT.txt"] == b"Permission" and {*files} == {"licenses/MIT.txt", "licenses/README.md"}
    table = files["licenses/README.md"].decode()
    assert "| MIT | 2 | [text](MIT.txt) |" in table and "| ../up | 1 | no text is known |" in table


def test_a_release_that_is_not_whole_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/README.md").write_text("card")
    with pytest.raises(UsageError, match=r"no Croissant .*no model card \(starmill export\)"):
        release.finish(tmp_path, "n", "1.0.0", "d")
    assert not (tmp_path / release.LIST).exists()


@pytest.mark.parametrize(
    "said", ["", "[]", "{}", '{"files": {"a": {"sha256": "x"}}, "name": "n", "version": "1"}', "[" * 10_000]
)
def test_what_is_no_list(tmp_path: Path, said: str) -> None:
    (tmp_path / release.LIST).write_text(said)
    with pytest.raises(InputError, match="not the list of a release"):
        release.check(tmp_path)


def test_a_link_in_a_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / release.LIST).write_text(json.dumps({"files": {}, "name": "n", "version": "1"}))
    (tmp_path / "x").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="a link"):
        release.check(tmp_path)
    (tmp_path / "x").unlink()
    found = release.check(tmp_path)
    assert found.missing == tuple(release.PIECES) and not found.is_whole
