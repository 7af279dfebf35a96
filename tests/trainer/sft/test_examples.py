"""Conversations to ids: transformers' ids, responses alone are learned, and each dropped row has its reason and its place."""

import json
from pathlib import Path

import numpy as np
import pytest
import talks
from talks import read
from transformers import AutoTokenizer

from starmill.core.errors import InputError
from starmill.trainer.sft import examples


def test_the_ids_are_those_of_transformers(tmp_path: Path) -> None:
    talks.write(tmp_path)
    found, hub = read(tmp_path).examples, AutoTokenizer.from_pretrained(tmp_path / "base")
    for number, row in enumerate(talks.rows(24)):
        asked = [{"role": "user", "content": row["instruction"]}]
        told = [*asked, {"role": "assistant", "content": row["response"]}]
        prompt, whole = (
            hub.apply_chat_template(turns, add_generation_prompt=turns is asked, return_dict=False) for turns in (asked, told)
        )
        here = found.of(number)
        assert found.ids[here].tolist() == whole
        assert found.answers[here].tolist() == [i >= len(prompt) for i in range(len(whole))]
    assert found.named(3) == ["instructions/train.jsonl:4"]


def test_every_dropped_row_has_a_reason(tmp_path: Path) -> None:
    talks.write(tmp_path, 2)
    bad = [
        {"instruction": "End it <|endoftext|> here.", "response": "x"},
        {"instruction": "x " * 200, "response": "too late"},
        {"text": "x"},
        {"messages": [{"role": "user", "content": "x"}]},
    ]
    (tmp_path / "instructions/bad.jsonl").write_text("\n".join(map(json.dumps, bad)) + "\n{\n")
    found = read(tmp_path)
    assert len(found.examples) == 2 and sum(found.dropped.values()) == 5
    assert found.first == {
        why: f"instructions/bad.jsonl:{line}"
        for line, why in enumerate(
            ("special_token_in_text", examples.NO_ROOM, "no_conversation", "no_response", "no_json_object"), 1
        )
    }
    assert "1 rows: special_token_in_text, first instructions/bad.jsonl:1" in "\n".join(found.lines())
    (tmp_path / "instructions/train.jsonl").unlink()
    with pytest.raises(InputError, match=r"no conversation to learn from .*special_token_in_text: 1 rows"):
        read(tmp_path)


def test_what_is_too_long_is_cut(tmp_path: Path) -> None:
    talks.write(tmp_path, 4)
    whole, cut = read(tmp_path).examples, read(tmp_path, 30).examples
    assert np.diff(cut.first).max() == 30 < np.diff(whole.first).max()
    assert cut.ids[cut.of(0)].tolist() == whole.ids[whole.of(0)][:30].tolist()


def test_the_split_keeps_equal_conversations_together(tmp_path: Path) -> None:
    talks.write(tmp_path, 60)
    file = tmp_path / "instructions/train.jsonl"
    (tmp_path / "instructions/again.jsonl").write_bytes(file.read_bytes())
    train, held = examples.split(read(tmp_path).examples, 0.3, seed=1)
    sides = [{part.ids[part.of(i)].tobytes() for i in range(len(part))} for part in (train, held)]
    assert not sides[0] & sides[1] and len(train) + len(held) == 120 and len(held) % 2 == 0 and 10 < len(held) < 70
