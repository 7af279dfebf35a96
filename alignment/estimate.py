"""What a run would ask, and what that costs, before anything is asked: a prompt of each stage, and bounds of requests and tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from starmill.alignment.ask import CHARS
from starmill.alignment.prompts import STAGES, Prompts
from starmill.alignment.recipe import AlignRecipe
from starmill.alignment.stages import Stages

FEW = 32  # seeds whose prompts are measured


@dataclass(frozen=True)
class Share:
    """What one stage asks, if every row before it is kept: at most this many requests."""

    stage: str
    requests: int
    asked: int  # tokens of prompts
    told: int  # tokens of answers, as long as those of the examples
    prompt: str  # the first


def shares(wanted: AlignRecipe, prompts: Prompts, seeds: Sequence[dict[str, Any]], count: int) -> list[Share]:
    """Return the stages that ask, for `count` seeds such as these."""
    stages = Stages(wanted, prompts, lambda *_: {})
    known = [*prompts.shots, *(row for rows in prompts.of_languages.values() for row in rows)]
    # Of rows that are not there yet, those of the examples stand for all.
    rows = [
        {**seed, "concepts": [shot["concepts"]], "instruction": shot["instruction"]}
        for at, seed in enumerate(seeds[:FEW])
        for shot in (known[at % len(known)],)
    ]
    answers = {
        "judge": ["Yes"],
        "concepts": [shot["concepts"] for shot in known],
        "instruct": [shot["instruction"] for shot in known],
        "respond": [shot["response"] for shot in known if shot.get("response")],
    }
    found = []
    for stage in STAGES:
        if (how := getattr(wanted, stage)) is None or not rows:
            continue
        texts = [one.prompt for one in stages.wanted(stage, how, rows)]
        each = getattr(how, "samples", 1)
        asked = fmean(_tokens(text) for text in texts)
        told = min(how.max_new_tokens, fmean(map(_tokens, answers[stage]))) if answers[stage] else how.max_new_tokens
        found.append(Share(stage, count * each, round(count * each * asked), round(count * each * told), texts[0]))
    return found


def whole(found: Sequence[Share], wanted: AlignRecipe) -> dict[str, Any]:
    """Return the sums: requests, tokens, money by the recipe's prices, and hours by its tokens per second."""
    asked, told = sum(one.asked for one in found), sum(one.told for one in found)
    prices = wanted.prices
    return {
        "requests": sum(one.requests for one in found),
        "prompt_tokens": asked,
        "answer_tokens": told,
        "money": round((asked * prices.prompt + told * prices.answer) / 1e6, 2),
        "hours": round(told / prices.tokens_per_second / 3600, 2) if prices.tokens_per_second else None,
    }


def lines(found: Sequence[Share], wanted: AlignRecipe) -> list[str]:
    """Return prompts and costs for a person."""
    made = []
    for one in found:
        made += [f"--- a prompt of {one.stage}", *one.prompt.split("\n")]
    made.append("--- at most, if nothing is dropped")
    made += [f"{one.stage:<9} {one.requests:>12,} requests {one.asked:>16,} + {one.told:,} tokens" for one in found]
    sums = whole(found, wanted)
    told = f"{sums['requests']:,} requests, {sums['prompt_tokens']:,} tokens of prompts, {sums['answer_tokens']:,} of answers"
    money = f", money {sums['money']:,.2f}" if sums["money"] else ""
    hours = f", {sums['hours']:,.1f} hours at {wanted.prices.tokens_per_second:,.0f} tokens per second" if sums["hours"] else ""
    return [*made, f"together: {told}{money}{hours}"]


def _tokens(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // CHARS + 1
