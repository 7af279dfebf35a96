"""Redactions are counted by type, and shown with what stands around, of which nothing is a secret."""

import json

import pyarrow as pa
import reported

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.reports.page.redactions import EXAMPLES, of_sample
from starmill.reports.page.sample import Sample
from starmill.transforms.clean.redact import labels


def test_counts_and_surroundings(workspace: Workspace) -> None:
    [found] = of_sample(Sample(workspace, [0, 1], 2, labels.hidden))
    assert (found["type"], found["places"], found["records"]) == ("EMAIL", 1, 1)
    [example] = found["examples"]
    assert (example["repository"], example["path"]) == ("three/web", "/mail.py")
    assert [["TO = '", False], ["<EMAIL>", True], ["'", False]] in example["excerpt"]["lines"]
    assert reported.EMAIL not in json.dumps(found)


def _dataset(workspace: Workspace, rows: list[dict]) -> None:
    part = ParquetPart(schema.DATASET)
    part.write(pa.RecordBatch.from_pylist(rows, schema=schema.DATASET))
    data = part.close()
    made = output(part_path("dataset", 0), data, len(rows))
    workspace.commit(Sidecar("release", "dataset", 0, "k", (made,)), [data])


def test_what_a_recipe_left_in_is_hidden_around_a_placeholder(tmp_path) -> None:
    text = f"{'x ' * 100}{reported.SECRET} <EMAIL> {reported.EMAIL}{' y' * 100}"
    at = text.index("<EMAIL>")
    workspace = Workspace(str(tmp_path))
    _dataset(
        workspace,
        [{"repo_name": "r", "path": "/p", "content": text, "redactions": [{"kind": "EMAIL", "start": at, "end": at + 7}]}],
    )
    shown = json.dumps(of_sample(Sample(workspace, [0], 1, labels.hidden)))
    assert reported.SECRET not in shown and reported.EMAIL not in shown and "<KEY-" in shown


def test_examples_are_few_and_of_different_records(tmp_path) -> None:
    spans = [
        {"kind": "KEY", "start": 0, "end": 5},
        {"kind": "KEY", "start": 6, "end": 11},
        {"kind": "IP_ADDRESS", "start": 12, "end": 19},
    ]
    workspace = Workspace(str(tmp_path))
    _dataset(
        workspace,
        [{"repo_name": "r", "path": f"/{i}", "content": "<KEY> <KEY> 1.1.1.1", "redactions": spans} for i in range(90)],
    )
    keys, addresses = of_sample(Sample(workspace, [0], 1))
    assert (keys["type"], keys["places"], keys["records"], addresses["places"]) == ("KEY", 180, 90, 90)
    assert len({e["path"] for e in keys["examples"]}) == EXAMPLES == len(addresses["examples"])
    assert of_sample(Sample(workspace, [0], 1)) == [keys, addresses] and of_sample(Sample(workspace, [3], 4)) == []
