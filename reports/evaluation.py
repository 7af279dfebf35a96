"""The page of an evaluation: scores of each task, and each problem with prompt, completion and verdict; one HTML file that loads nothing.

All texts are a model's or a benchmark's, and are shown as text (page/html.py escapes whatever is not markup of ours).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starmill.reports.page.html import Html, element, joined, number, of_class
from starmill.reports.page.sheet import block, note, sheet, table

SHOWN = 3  # samples of a problem; the rest is in samples.jsonl


def score(estimate: Mapping[str, float]) -> str:
    """Return an estimate in percent, with its interval.

    >>> score({"value": 0.5, "low": 0.4, "high": 0.6})
    '50.0 % (40.0 to 60.0)'
    """
    return f"{100 * estimate['value']:.1f} % ({100 * estimate['low']:.1f} to {100 * estimate['high']:.1f})"


def rows(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return task, metric and value of each score and measure."""
    found = []
    for one in results:
        name = f"{one['task']} ({one['problems']:,} of {one['of']:,})" if one["problems"] < one["of"] else str(one["task"])
        found += [(name, metric, score(value)) for metric, value in one["scores"].items()]
        found += [(name, metric, f"{100 * value['mean']:.1f} %") for metric, value in one["measures"].items()]
    return found


def _asked(prompt: str | Sequence[str]) -> Html:
    if isinstance(prompt, str):
        return block(prompt)
    return joined(block(prompt[0]), note("behind the hole:"), block(prompt[1]))


def _problem(name: str, prompt: str | Sequence[str], answers: Sequence[tuple[str, Mapping[str, Any]]]) -> Html:
    passed = sum(bool(one.get("passed")) for _, one in answers)
    state = "passed" if passed else "failed"
    head = element(
        "summary", None, of_class("span", state, "✓" if passed else "✗"), f" {name}: {passed} of {len(answers)} passed"
    )
    shown = []
    for text, one in answers[:SHOWN]:
        verdict = "passed" if one.get("passed") else ": ".join(filter(None, (one.get("reason", "wrong"), one.get("said", ""))))
        shown += [of_class("p", "passed" if one.get("passed") else "failed", f"sample {one['number']}: {verdict}"), block(text)]
    if len(answers) > SHOWN:
        shown.append(note(f"{len(answers) - SHOWN} samples more are in samples.jsonl"))
    return element("details", None, head, note("prompt:"), _asked(prompt), *shown)


def _task(one: Mapping[str, Any], problems: Sequence[tuple[str, Any, Sequence[str]]]) -> Html:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for outcome in one["outcomes"]:
        found.setdefault(outcome["problem"], []).append(outcome)
    facts = [f"{one['about']} ({one['source']}); {number(one['passed'])} of {number(one['samples'])} samples passed"]
    facts.append(f"judged with {one['sandbox']}; reasons: {', '.join(f'{n} {r}' for r, n in one['reasons'].items()) or 'none'}")
    facts.append("; ".join(f"{name} {value}" for name, value in one["key"].items() if name not in ("files", "stops")))
    return element(
        "section",
        None,
        element("h2", None, one["task"]),
        *(note(fact) for fact in (*facts, *one["warnings"])),
        *(_problem(name, prompt, [*zip(texts, found.get(name, []), strict=False)]) for name, prompt, texts in problems),
    )


def page(results: Sequence[tuple[Mapping[str, Any], Sequence[tuple[str, Any, Sequence[str]]]]]) -> str:
    """Return the page of results, each with its problems: name, prompt, and the texts of its samples."""
    scores = table(("task", "metric", "95 % of draws"), [*rows([one for one, _ in results])])
    return sheet("starmill evaluation", "Evaluation", scores, *(_task(one, problems) for one, problems in results))
