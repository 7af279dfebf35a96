"""What is planted: a split keeps its own words and families, equal draws give equal values, names of settings are written in many ways."""

import numpy as np
import pytest

from starmill.trainer.encoders import values

SLOTS = (*values.KINDS, *values.KEYS, "WORD", "TITLE", "P", "N", "DATE", "YEAR")


@pytest.mark.parametrize("slot", SLOTS)
def test_each_slot_is_drawn(slot: str) -> None:
    def some(seed: int) -> list[str]:
        draw = np.random.default_rng(seed)
        return [values.drawn(slot, values.people("train")[at * 7], "train", draw) for at in range(60)]

    assert some(0) == some(0) != some(1)
    assert all(value for value in some(0)) and len({*some(0)}) > 5


def test_words_of_a_split_are_its_own() -> None:
    draw = np.random.default_rng(0)
    test = {values.drawn("WORD", ("", ""), "test", draw) for _ in range(300)}
    assert test == {*values.words(values.CODE, "test")} and not test & {*values.words(values.CODE, "train")}


def test_settings_held_out_are_drawn_for_the_test_alone() -> None:
    draw = np.random.default_rng(0)
    seen = {split: {values.drawn("PASSKEY", ("", ""), split, draw).lower() for _ in range(500)} for split in ("train", "test")}
    assert "passphrase" in seen["test"] and not {"passphrase", "passcode"} & seen["train"]
