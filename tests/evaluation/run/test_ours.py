"""A model of ours: a sample is the same in any batch and any order, and what does not fit is said."""

import json
from pathlib import Path

import pytest
import tiny_model
from tiny_model import DECODING, REQUESTS

from starmill.core.errors import InputError
from starmill.evaluation.run.generate import Request
from starmill.evaluation.run.ours import Ours, digest
from starmill.model.complete import prompt_ids
from starmill.model.likelihood import log_likelihood


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("model"))


def test_a_sample_is_of_its_name_alone(folder: Path) -> None:
    wanted = {REQUESTS[i].name: text for i, text, _ in Ours(folder, batch=4).answers(REQUESTS, DECODING)}
    assert len(wanted) == 9 and len({*wanted.values()}) > 6
    for batch, requests in ((1, REQUESTS), (9, REQUESTS[::-1]), (2, REQUESTS[3:5])):
        found = {requests[i].name: text for i, text, _ in Ours(folder, batch).answers(requests, DECODING)}
        assert found == {name: wanted[name] for name in found} and len(found) == len(requests)


def test_a_prompt_that_is_too_long_is_said(folder: Path) -> None:
    [long, short] = sorted(Ours(folder).answers([Request("a", "x = 1\n" * 60), Request("b", "x")], DECODING))
    assert long[1] == "" and "tokens, and the model has 64 positions" in long[2] and short[2] == ""


def test_sentinels_count_only_where_they_are_named(folder: Path) -> None:
    model = Ours(folder)
    (plain,), (special,) = (prompt_ids(model.tokenizer, ["<repo_name>a"], False, named) for named in ((), ("<repo_name>",)))
    assert special == [model.tokenizer.special("<repo_name>"), *model.tokenizer.encode("a").tolist()] and len(plain) > len(
        special
    )


def test_the_digest_is_of_what_the_model_is(folder: Path, tmp_path: Path) -> None:
    before = digest(folder)
    (folder / "notes.md").write_text("a remark")
    assert digest(folder) == before == Ours(folder).identity["model"]
    with pytest.raises(InputError, match=r"no config\.json"):
        Ours(tmp_path)


def test_likelihoods_are_of_each_text_behind_an_end_of_text(folder: Path) -> None:
    model = Ours(folder)
    requests = [Request("a", "", ("def f(x):", "import")), Request("b", "", ("import",))]
    first, second = [json.loads(text) for _, text, _ in model.likelihoods(requests)]
    assert first[1] == second[0] and first[0] < 0
    ids = [model.tokenizer.special("<|endoftext|>"), *model.tokenizer.encode("import").tolist()]
    assert second == [log_likelihood(model.decoder, ids)]


def test_why_answers_end_and_what_they_took(tmp_path: Path) -> None:
    model = Ours(tiny_model.write(tmp_path), batch=4)
    for _, reply in model.replies(REQUESTS, DECODING):
        assert reply.asked and reply.told is not None and (reply.ended == "length") == (reply.told == DECODING.max_new_tokens)
    [(_, long)] = model.replies([Request("a", "x = 1\n" * 60)], DECODING)
    assert long.refused and long.told is None
