"""Ids beside those of swh.model, Software Heritage's own tool, where it is installed: it is under the GPL, and no dependency of ours."""

import datetime
import importlib.util
import os
import random
from pathlib import Path

import pytest
from small_tree import commit, git

from starmill.core import swhid
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.source import Limits

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("swh") is None or importlib.util.find_spec("swh.model") is None,
    reason="NOT RUN: no swh.model (`pip install swh.model`, GPL), which computes ids of Software Heritage",
)
NAMES = ("a", "a.b", "a-c", "a0", "é", "with space", "new\nline", "Z")


@pytest.mark.parametrize("seed", range(3))
def test_contents_directories_and_revisions(seed: int, tmp_path: Path) -> None:
    from swh.model import from_disk, model

    draw, files = random.Random(seed), dict[str, bytes]()
    for n in range(40):
        folders = "/".join(f"d{draw.randrange(3)}{draw.choice(NAMES)}" for _ in range(draw.randrange(4)))
        files[os.path.join(folders, f"{n}{draw.choice(NAMES)}")] = draw.randbytes(draw.randrange(1, 300))
    place = commit(tmp_path / "in/toy", files, message="Say why\n\nIn full.\n")
    for name in draw.sample(sorted(files), 5):
        (place / name).chmod(0o755)
    (place / "link").symlink_to("nowhere")
    commit(place, {})
    source = Folders(roots=(str(tmp_path / "in"),))
    [planned] = source.plan()
    snapshot, entries = source.read(planned, Limits())
    given = {entry.path.decode(): entry for entry in entries}
    tree = from_disk.Directory.from_disk(
        path=bytes(place), path_filter=lambda path, name, entries: name != b".git", max_content_length=None
    )
    assert swhid.swhid("dir", str(snapshot.directory_id)) == str(tree.swhid())
    for path, data in files.items():
        content = model.Content.from_data(data)
        assert given[path].data == data and swhid.swhid("cnt", swhid.content_id(data)) == str(content.swhid())
        assert swhid.blob_id(data) == content.sha1.hex() and str(tree[path.encode()].swhid()) == str(content.swhid())
    assert given["link"].reason == "symlink"
    said = git(place, "log", "-1", "--date=raw", "--format=%P%n%an <%ae>%n%ad%n%cn <%ce>%n%cd%n%B").split("\n", 5)
    parents, author, date, committer, committed, message = said
    own = model.Revision(
        message=message.removesuffix("\n").encode(),
        author=model.Person.from_fullname(author.encode()),
        committer=model.Person.from_fullname(committer.encode()),
        date=moment(date),
        committer_date=moment(committed),
        type=model.RevisionType.GIT,
        directory=bytes.fromhex(str(snapshot.directory_id)),
        synthetic=False,
        parents=tuple(map(bytes.fromhex, parents.split())),
    )
    assert swhid.swhid("rev", str(snapshot.revision_id)) == str(own.swhid())


def moment(raw: str):  # type: ignore[no-untyped-def]
    """What git's raw date is to swh.model."""
    from swh.model import model

    seconds, zone = raw.split()
    offset = datetime.timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[3:]))
    return model.TimestampWithTimezone.from_datetime(datetime.datetime.fromtimestamp(int(seconds), datetime.timezone(offset)))
