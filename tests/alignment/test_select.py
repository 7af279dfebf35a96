"""What is chosen among responses that passed: compared with a plain search of all pairs, and independent of the order."""

import random

from scripted import response as written

from starmill.alignment.read import Reason, Response, response
from starmill.alignment.recipe import Select
from starmill.alignment.select import Candidate, Chosen, Near, preference, selected
from starmill.transforms.dedup import minhash

HOW = Select(near=None)


def candidate(name: str, number: int, instruction: str, text: str) -> Candidate:
    found = response(text)
    assert isinstance(found, Response)
    return Candidate(name, number, instruction, found, text)


def reasons(candidates: list[Candidate], how: Select = HOW, bad: str = "\0") -> dict[tuple[str, int], str]:
    came = selected(candidates, how, 3, lambda text: f"found {bad}" if bad in text else None)
    return {(one.name, one.number): it.reason if isinstance(it, Reason) else "chosen" for one, it in came}


def test_each_reason() -> None:
    some = [candidate("a", n, "Write one.", written(1, f"items[{n}:]")) for n in range(3)]
    assert sorted(reasons(some).values()) == ["another_response"] * 2 + ["chosen"]
    both = [candidate("a", 0, "Write one.", written(1, "items")), candidate("b", 0, "Write  one.\n", written(2, "items"))]
    assert sorted(reasons(both).values()) == ["chosen", "same_instruction"]
    names = [candidate(name, 0, f"Write {name}.", written(1, f"items or '{name}'")) for name in "ab"]
    assert sorted(reasons(names).values()) == ["chosen", "same_names"]
    assert [*reasons(names, Select(near=None, same_names=False)).values()] == ["chosen"] * 2
    equal = [candidate(name, 0, f"Write {name}.", written(1, "items")) for name in "ab"]
    assert sorted(reasons(equal, Select(near=None, same_names=False)).values()) == ["chosen", "same_response"]
    left = [candidate("a", 0, "Write it.", written(1, "items  # TODO")), candidate("a", 1, "Write it.", written(1, "items"))]
    assert reasons(left) in ({("a", 0): "unfinished", ("a", 1): "chosen"}, {("a", 0): "another_response", ("a", 1): "chosen"})
    held = [candidate("a", 0, "Write it.", written(1, "items or 'benchmark'"))]
    assert reasons(held, bad="benchmark") == {("a", 0): "contaminated"}


def test_the_order_changes_nothing() -> None:
    some = [candidate(f"{i}", n, f"Write number {i % 7}.", written(i % 9, f"items[{n}:]")) for i in range(20) for n in range(2)]
    wanted = reasons(some, Select())
    for seed in range(3):
        random.Random(seed).shuffle(some)
        assert reasons(some, Select()) == wanted
    assert [*wanted.values()].count("chosen") > 3


def test_near_is_what_a_search_of_all_pairs_finds() -> None:
    draw = random.Random(1)
    texts: list[str] = []
    for _ in range(60):
        if texts and draw.random() < 0.5:
            words = draw.choice(texts).split()
            words[draw.randrange(len(words))] = "other"
        else:
            words = [f"w{draw.randrange(500)}" for _ in range(draw.randrange(4, 200))]
        texts.append(" ".join(words))
    near = Near(0.7)
    found = [near.of(text, str(at)) for at, text in enumerate(texts)]
    sets = [{*minhash.shingles(text.encode(), 5).tolist()} for text in texts]
    kept: list[int] = []
    missed = 0
    for at, shingles in enumerate(sets):
        alike = [k for k in kept if shingles and len(shingles & sets[k]) >= 0.7 * len(shingles | sets[k])]
        assert not found[at] or int(found[at]) in alike
        missed += bool(alike) and not found[at]
        kept += [] if found[at] else [at]
    assert sum(map(bool, found)) > 10 and missed <= 3  # bands miss some at the threshold


def test_a_preference_has_the_same_sections_on_both_sides() -> None:
    one = candidate("a", 0, "Write it.", written(1, "items"))
    [(_, chosen)] = selected([one], Select(keep_explanation=1, keep_reasoning=0), 0, lambda _: None)
    assert isinstance(chosen, Chosen)
    failed = response(written(1, "[]"))
    assert isinstance(failed, Response)
    pair = preference(chosen, failed, 4, 0, Select(keep_explanation=1, keep_reasoning=0))
    good, bad = (pair[side][0]["content"] for side in ("chosen", "rejected"))
    assert good.replace("return items", "return []") == bad and pair["numbers"] == [0, 4]
    assert pair["prompt"] == [{"role": "user", "content": chosen.instruction}]
