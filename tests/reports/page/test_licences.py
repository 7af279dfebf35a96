"""Licences through the stages beside a count by hand; the text that is nearest above a record, by its name."""

from collections import Counter

import reported

from starmill.core.dataset import Workspace
from starmill.reports.page import licences
from starmill.reports.page.licences import LIKE, findings, text_above, through_stages
from starmill.reports.page.sample import Part, Sample


def test_through_the_stages(workspace: Workspace) -> None:
    found = through_stages(Sample(workspace, [0, 1], 2), reported.STAGES)
    order = ["curate", "dedup", "release"]
    for dataset, gone in {"measures": [], "curated": order[:1], "verdicts": order[:2], "dataset": order}.items():
        kept = [r for part in reported.records() for r in part if not r["dropped"] or r["dropped"][0] not in gone]
        files = Counter(r["measured"]["license_type"] for r in kept if r["measured"]["license_type"])
        assert {name: tally[0] for name, tally in found[dataset].items()} == files
    assert [*found] == ["measures", "curated", "verdicts", "dataset"] and through_stages(
        Sample(workspace, [], 2), reported.STAGES
    ) == {}


def test_what_was_detected_most_comes_first(workspace: Workspace) -> None:
    found = findings(Sample(workspace, [0, 1], 2))
    assert [(f["licences"], f["files"], f["type"]) for f in found] == [
        (["MIT"], 7, "permissive"),
        ([], 3, "no_license"),
        (["GPL-3.0-only"], 2, "non_permissive"),
    ]
    assert [f["text_path"] for f in found] == ["/LICENSE", "", "/COPYING"]
    assert [piece for line in found[0]["excerpt"]["lines"] for piece, is_marked in line if is_marked] == [
        "MIT License",
        "Permission is hereby granted",
    ]


def test_the_nearest_text_above(workspace: Workspace) -> None:
    part = Part(workspace, 1)
    above = text_above(part, part.rows["code", "two/gpl", "/src/m.c"])
    assert above is not None and above["path"] == "/COPYING"
    assert text_above(part, part.rows["code", "three/web", "/mail.py"]) is None, "that of another repository is none"
    texts = {("r", "/a/b"): [1], ("r", ""): [2]}
    part.names = [
        ("code", "r", "/a/b/c/d.py"),
        ("code", "r", "/a/b/LICENSE"),
        ("code", "r", "/LICENSE"),
        ("code", "r", "/a/x.py"),
    ]
    assert [licences._nearest(texts, part, row) for row in range(4)] == [1, 1, 2, 2]


def test_names_of_licence_texts() -> None:
    for name in ("LICENSE", "license.txt", "COPYING", "my-LICENCE.md", "LICENSE-MIT", "gpl-3.0.txt", "UNLICENSE"):
        assert LIKE.fullmatch(name), name
    for name in ("README.md", "permit.py", "mitten", "bsdiff.c", "licenses_test.go"[3:]):
        assert not LIKE.fullmatch(name), name
