"""The page of an evaluation: scores of each task, and each problem with prompt, completion and verdict; one HTML file that loads nothing.

All texts are a model's or a benchmark's, and are shown as text (page/html.py escapes whatever is not markup of ours).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starmill.reports.page.document import digest
from starmill.reports.page.html import Html, element, joined, number, of_class

SHOWN = 3  # samples of a problem; the rest is in samples.jsonl
MOST = 20_000  # characters of a text
STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #8884}
pre{background:#8881;padding:.6rem;overflow:auto;white-space:pre-wrap}
details{border-bottom:1px solid #8884;padding:.2rem 0}summary{cursor:pointer}
.passed{color:#187a2f}.failed{color:#b3261e}.note{opacity:.75}
@media(prefers-color-scheme:dark){.passed{color:#6fd38a}.failed{color:#ff8a80}}
"""


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


def _text(text: str) -> Html:
    more = f"\n... {len(text) - MOST:,} characters more" if len(text) > MOST else ""
    return element("pre", None, text[:MOST] + more)


def _asked(prompt: str | Sequence[str]) -> Html:
    if isinstance(prompt, str):
        return _text(prompt)
    return joined(_text(prompt[0]), of_class("p", "note", "behind the hole:"), _text(prompt[1]))


def _problem(name: str, prompt: str | Sequence[str], answers: Sequence[tuple[str, Mapping[str, Any]]]) -> Html:
    passed = sum(bool(one.get("passed")) for _, one in answers)
    state = "passed" if passed else "failed"
    head = element(
        "summary", None, of_class("span", state, "✓" if passed else "✗"), f" {name}: {passed} of {len(answers)} passed"
    )
    shown = []
    for text, one in answers[:SHOWN]:
        verdict = "passed" if one.get("passed") else ": ".join(filter(None, (one.get("reason", "wrong"), one.get("said", ""))))
        shown += [of_class("p", "passed" if one.get("passed") else "failed", f"sample {one['number']}: {verdict}"), _text(text)]
    if len(answers) > SHOWN:
        shown.append(of_class("p", "note", f"{len(answers) - SHOWN} samples more are in samples.jsonl"))
    return element("details", None, head, of_class("p", "note", "prompt:"), _asked(prompt), *shown)


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
        *(of_class("p", "note", fact) for fact in (*facts, *one["warnings"])),
        *(_problem(name, prompt, [*zip(texts, found.get(name, []), strict=False)]) for name, prompt, texts in problems),
    )


def page(results: Sequence[tuple[Mapping[str, Any], Sequence[tuple[str, Any, Sequence[str]]]]]) -> str:
    """Return the page of results, each with its problems: name, prompt, and the texts of its samples."""
    policy = f"default-src 'none'; style-src {digest(STYLE)}; img-src data:; base-uri 'none'; form-action 'none'"
    titles = element("tr", None, *(element("th", {"scope": "col"}, title) for title in ("task", "metric", "95 % of draws")))
    table = [element("tr", None, *(element("td", None, cell) for cell in row)) for row in rows([one for one, _ in results])]
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": Html(policy)}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        Html('<link rel="icon" href="data:,">'),
        element("title", None, "starmill evaluation"),
        element("style", None, Html(STYLE)),
    )
    body = element(
        "body", None, element("main", None, element("h1", None, "Evaluation"), element("table", None, titles, *table), *(
            _task(one, problems) for one, problems in results
        ))
    )  # fmt: skip
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, joined(head, body))}\n"
