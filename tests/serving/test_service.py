"""Seeds, limits and stops of a request."""

import pytest
from servers import Running

from starmill.serving.bodies import Completion, Refused


def test_a_request_without_a_seed_gets_another_each_time(running: Running) -> None:
    service = running.service
    assert service.seed_of(5) == 5 and service.seed_of(-1) == 2**63 - 1
    assert len({service.seed_of(None) for _ in range(50)}) == 50
    assert len({service.next_id("x") for _ in range(50)}) == 50


def test_what_ends_an_answer(running: Running) -> None:
    service, special = running.service, running.tokenizer.special
    assert service.stop_ids() >= {special("<|endoftext|>"), special("<file_sep>"), special("<fim_pad>")}
    [row] = service.rows([[1]], Completion(prompt="x", stop_token_ids=[77], ignore_eos=True), 9, None)
    assert row.stop_ids == {77}
    [row] = service.rows([[1]], Completion(prompt="x", stop_token_ids=[77]), 10**6, None)
    assert row.stop_ids == service.stop_ids() | {77} and row.most == service.limits.new_tokens


def test_more_than_a_request_may_ask_for(running: Running) -> None:
    with pytest.raises(Refused, match="128 are the most"):
        running.service.check_prompts([[1]] * 13, "prompt", 10)
    with pytest.raises(Refused, match="4096 tokens"):
        running.service.check_prompts([[1] * 4096], "prompt")
