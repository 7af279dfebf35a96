"""Planted texts: every span is its value, splits share neither formats nor family names, and equal arguments give equal texts."""

import re
from pathlib import Path

import pytest

from starmill.core.errors import InputError, NotThere
from starmill.trainer.encoders import plant, values

CODE = "def handler(value):\n    total = value + 1\n    return total\n\nclass Visitor:\n    depth = 0\n    name = 'x'\n" * 20
TALK = "It fails on my machine when I run it twice.\nCould it be the cache?\nI shall look into the logs tomorrow.\n" * 20


def some() -> list[plant.Passage]:
    return [*plant.passages([("a.py", CODE), ("b.js", CODE), ("talk", TALK)], 0)]


def test_passages_know_where_they_are_from_and_leave_out_people() -> None:
    found = some()
    assert {(p.where, p.leader) for p in found} == {("code", "#"), ("code", "//"), ("talk", "#")}
    assert not [*plant.passages([("a.py", "# Copyright 2020 Somebody Else\n" * 30), ("b", "mail me@corp.io\n" * 40)], 0)]


def test_every_span_is_a_value_of_its_kind() -> None:
    made = plant.plant(some(), 400, "train", 0)
    seen = {kind: [] for kind in values.KINDS}
    for example in made:
        at = 0
        for start, end, kind in example.spans:
            assert at <= start < end <= len(example.text)
            at = end
            seen[kind].append(example.text[start:end])
    assert all(len(values) > 20 for values in seen.values())
    assert all("@" in value for value in seen["EMAIL"]) and all(" " in value for value in seen["NAME"])
    assert all(value == value.strip() for values in seen.values() for value in values)
    assert any(not example.spans for example in made), "texts with nothing to find"
    assert not any("{" + kind + "}" in example.text for example in made for kind in values.KINDS)


def test_splits_share_no_groups_and_no_values() -> None:
    lines = {split: [plant.formats(split, where) for where in ("code", "talk")] for split in ("train", "test")}
    groups = {split: {*some[0], *some[1]} - {plant.NOTHING} for split, some in lines.items()}
    assert len(groups["test"]) > 8 and not groups["train"] & groups["test"]
    for split, some in lines.items():
        every = [form for one in some for group, forms in one.items() if group != plant.NOTHING for form in forms]
        nothing = [form for one in some for form in one[plant.NOTHING]]
        assert all(f"{{{kind}}}" in " ".join(every) and f"{{{kind}}}" not in " ".join(nothing) for kind in values.KINDS)
        assert all(any(f"{{{kind}}}" in form for kind in values.KINDS) for form in every), split
    train, test = ({form for one in lines[split] for forms in one.values() for form in forms} for split in ("train", "test"))
    assert not train & test
    train, test = ({family for _, family in values.people(split)} for split in ("train", "test"))
    assert len(test) > 50 and not train & test
    assert not {*values.words(values.WORDS, "train")} & {*values.words(values.WORDS, "test")}


def test_no_slot_is_left() -> None:
    """Each name in braces in the file of formats is drawn: one that SLOT does not know would stand in a text."""
    for split in ("train", "test"):
        for where in ("code", "talk"):
            for form in (form for forms in plant.formats(split, where).values() for form in forms):
                assert not re.search(r"\{[A-Z_#]+\}", plant.SLOT.sub("", form).replace("${}", "")), form


def test_equal_arguments_give_equal_texts() -> None:
    assert plant.plant(some(), 30, "test", 3) == plant.plant(some(), 30, "test", 3) != plant.plant(some(), 30, "test", 4)
    assert plant.plant(some(), 10, "test", 3) == plant.plant(some(), 30, "test", 3)[:10]


def test_files_of_folders(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE)
    (tmp_path / "talk.txt").write_text(TALK)
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe" * 100)
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    found = [*plant.files([str(tmp_path)])]
    assert found == [("a.py", CODE), ("talk", TALK)]
    mixed = plant.mixed([*plant.passages(found, 0)])
    assert {passage.where for passage in mixed} == {"code", "talk"}
    with pytest.raises(InputError, match="no passage"):
        plant.mixed([])
    with pytest.raises(NotThere, match="no such folder"):
        next(plant.files([str(tmp_path / "none")]))
