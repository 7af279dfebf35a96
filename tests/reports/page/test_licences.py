"""Licences through the stages beside a count by hand; what decided, and the lines that were matched."""

from collections import Counter

import reported

from starmill.core.dataset import Workspace
from starmill.reports.page.licences import findings, matched, through_stages
from starmill.reports.page.sample import Part, Sample


def test_through_the_stages(workspace: Workspace) -> None:
    found = through_stages(Sample(workspace, [0, 1], 2), reported.STAGES)
    order = ["curate", "dedup", "release"]
    for dataset, gone in {"curated": order[:1], "verdicts": order[:2], "dataset": order}.items():
        kept = [r for part in reported.records() for r in part if not r["dropped"] or r["dropped"][0] not in gone]
        files = Counter(r["judged"]["license_type"] for r in kept if r["judged"]["license_type"])
        assert {name: tally[0] for name, tally in found[dataset].items()} == files
    assert [*found] == ["curated", "verdicts", "dataset"]
    assert through_stages(Sample(workspace, [], 2), reported.STAGES) == {}


def test_what_was_found_most_comes_first_with_what_decided(workspace: Workspace) -> None:
    found = findings(Sample(workspace, [0, 1], 2), "curate")
    assert [(f["licences"], f["files"], f["type"], f["rule"]) for f in found] == [
        (["MIT"], 3, "permissive", "MIT, text in /LICENSE:1"),
        ([], 2, "no_license", "nothing found"),
        (["GPL-3.0-only"], 2, "non_permissive", "GPL-3.0-only, text in /COPYING:1"),
    ]
    assert [f["text_path"] for f in found] == ["/LICENSE", "", "/COPYING"]
    assert [piece for line in found[0]["excerpt"]["lines"] for piece, is_marked in line if is_marked] == [
        "MIT License",
        "Permission is hereby granted, free of charge, to any person.",
    ]


def test_the_lines_that_were_matched(workspace: Workspace) -> None:
    part = Part(workspace, 1)
    above = matched(part, part.rows["code", "two/gpl", "/src/m.c"])
    assert above is not None and above["path"] == "/COPYING"
    marked = [piece for line in above["excerpt"]["lines"] for piece, is_marked in line if is_marked]
    assert marked == ["GNU GENERAL PUBLIC LICENSE", "Version 3, 29 June 2007"]
    assert matched(part, part.rows["code", "three/web", "/mail.py"]) is None, "that of another repository is none"
