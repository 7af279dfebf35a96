"""Licence texts are found by their names, of repositories that have a record in the dataset, and are not changed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingested_workspace import ingested
from mixed import release, rows

from starmill.core import schema
from starmill.core.dataset import Manifest, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.errors import InputError, MachineError
from starmill.reports import notices
from starmill.reports.query import Labels
from starmill.transforms.clean.redact import labels

MAIL = "jane.doe" + "@real-site.org"
TEXTS = (
    ("kept/one", "/LICENSE", f"MIT\nCopyright (c) 2020 Jane Doe <{MAIL}>\n"),
    ("kept/one", "/vendor/zlib/COPYING.txt", "zlib\n"),
    ("kept/one", "/LICENSES/Apache-2.0.txt", "Apache\n"),
    ("kept/one", "/src/license.py", "print('no notice')\n"),
    ("kept/one", "/src/main.py", "x = 1\n"),
    ("gone/two", "/LICENSE", "GPL\n"),
    (f"by-{MAIL}/three", f"/{MAIL}/NOTICE", "A notice\n"),
)
LABELS = Labels(labels.hidden, labels.aliases)


def workspace_of(place: Path, repositories: tuple[str, ...]) -> tuple[Workspace, Manifest]:
    workspace = Workspace(str(place))
    ingested(workspace, TEXTS)
    workspace.finish("records", "k", 1, "v")
    part = ParquetPart(schema.DATASET)
    part.write(
        pa.RecordBatch.from_pylist(
            [{"kind": "code", "repo_name": r, "path": "/x"} for r in repositories], schema=schema.DATASET
        )
    )
    data = part.close()
    workspace.commit(Sidecar("s", "dataset", 0, "k", (output(part_path("dataset", 0), data),)), [data])
    return workspace, workspace.finish("dataset", "k", 1, "v")


def gathered(workspace: Workspace, manifest: Manifest, place: Path) -> list[dict]:
    [group] = notices.plan(workspace, manifest, 1 << 30)
    count = notices.write(workspace, group, place, LABELS)
    table = pq.read_table(place)
    assert table.schema == notices.NOTICE and table.num_rows == count
    return table.to_pylist()


def test_those_of_kept_repositories_and_no_others(tmp_path: Path) -> None:
    found = gathered(*workspace_of(tmp_path / "w", ("kept/one", "other")), tmp_path / "n")
    assert [(row["path"], row["content"]) for row in found] == [(path, text) for _, path, text in TEXTS[:3]]
    assert {row["repo_name"] for row in found} == {"kept/one"}
    assert MAIL in found[0]["content"], "a notice that is changed is none"


def test_a_name_with_personal_data_is_the_dataset_s(tmp_path: Path) -> None:
    name = labels.cleaned(f"by-{MAIL}/three")
    [row] = gathered(*workspace_of(tmp_path / "w", (name,)), tmp_path / "n")
    assert row["repo_name"] == name and MAIL not in row["path"] and row["content"] == "A notice\n"


def test_equal_parts_have_equal_names_and_bytes(tmp_path: Path) -> None:
    made = [workspace_of(tmp_path / name, ("kept/one",)) for name in ("a", "b")]
    paths = [notices.plan(*one, 1 << 30)[0].path for one in made]
    assert paths[0] == paths[1] != notices.plan(*workspace_of(tmp_path / "c", ("kept/one", "gone/two")), 1 << 30)[0].path
    for name, one in zip("ab", made, strict=True):
        gathered(*one, tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_without_records_it_says_what_to_do(tmp_path: Path) -> None:
    workspace = release(tmp_path, all_rows=rows(4))
    manifest = workspace.manifest("dataset")
    assert manifest is not None
    with pytest.raises(InputError, match="--no-notices"):
        notices.plan(workspace, manifest, 1 << 30)


def test_a_part_that_was_changed_is_told(tmp_path: Path) -> None:
    workspace, manifest = workspace_of(tmp_path / "w", ("kept/one",))
    place = tmp_path / "w" / part_path("records", 0)
    place.write_bytes(place.read_bytes() + b" ")
    with pytest.raises(MachineError, match="its bytes are not those"):
        gathered(workspace, manifest, tmp_path / "n")


@pytest.mark.parametrize(
    "path",
    ["/LICENSE", "/a/licence.md", "/COPYING3", "/GPL/COPYING.LIB", "/UNLICENSE", "/MIT-LICENSE.txt", "/x/LICENSE-APACHE", "/NOTICE",
     "/THIRD-PARTY-NOTICES.txt", "/AUTHORS", "/PATENTS", "/x.dist-info/licenses/LICENSE", "/Licenses/MIT.txt", "/COPYRIGHT.rst"],
)  # fmt: skip
def test_names_of_notices(path: str) -> None:
    assert notices.is_notice(path)


@pytest.mark.parametrize(
    "path",
    [
        "/license.py",
        "/src/copyright.js",
        "/notices.json",
        "/relicense",
        "/README.md",
        "/licenses.go",
        "/authority",
        "/licenses/id_rsa",
    ],
)
def test_names_of_other_files(path: str) -> None:
    assert not notices.is_notice(path)
