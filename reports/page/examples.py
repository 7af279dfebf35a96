"""The sections that show rows and texts: reasons, thresholds, licences, near duplicates, redactions, contamination, the search by path."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starmill.core.terminal import escaped
from starmill.reports.page import svg
from starmill.reports.page.html import Html, data, element, joined, number, of_class, share, size
from starmill.reports.page.tables import excerpt, folded, marked, plural, section, spans, table

COLUMNS = element("colgroup", None, *(element("col", {"class": name}) for name in ("count", "side", "count", "side")))
TYPES = {"permissive": "c2", "no_license": "c0", "non_permissive": "c1"}


def reasons(found: Mapping[str, Any]) -> Html:
    """Return each reason with its numbers and its examples."""
    came = {s["stage"]: s["in"]["files"] for s in found["stages"]}
    largest = max((r["files"] for r in found["reasons"]), default=1)
    made = []
    for r in found["reasons"]:
        said = joined(
            of_class("span", "stage-name", r["stage"]),
            of_class("span", "reason-name", r["reason"]),
            of_class("span", "step-name", r["step"]),
            of_class("span", "n", number(r["files"])),
            of_class("span", "n of", f"{share(r['files'], came.get(r['stage'], 0))} of its records"),
            svg.bar([("fill lost-fill", r["files"])], largest),
        )
        shown = [_loss(s) for s in r["samples"]]
        none = of_class("p", "about", "No row of it is in the parts that were looked at.") if not shown else None
        made.append(
            folded(
                said, none, *shown, more={"class": "reason", "data-words": f"{r['stage']} {r['step']} {r['reason']}".lower()}
            )
        )
    about = (
        "Every record that is not in the data set left for one of these reasons. Open one to see some of its records, with what triggered "
        "it marked. E-mail addresses, keys and IP addresses in them are replaced."
    )
    if not made:
        return section("reasons", "Reasons", "Nothing was dropped.")
    controls = of_class(
        "div",
        "controls",
        element("label", {"for": "reason-filter"}, "Filter "),
        element(
            "input", {"id": "reason-filter", "type": "search", "autocomplete": "off", "placeholder": "stage, step or reason"}
        ),
        element("button", {"type": "button", "id": "reason-all", "aria-pressed": "false"}, "Open all"),
        element("span", {"id": "reason-count", "role": "status"}, plural(len(made), "reason")),
    )
    return section("reasons", "Reasons", about, controls, of_class("div", "reasons", *made))


def _loss(sample: Mapping[str, Any]) -> Html:
    facts = [sample["kind"], sample["language"], size(sample["bytes"])]
    facts += [f"{name.replace('_', ' ')} {_value(value)}" for name, value in sample["facts"].items()]
    head = of_class(
        "p",
        "where",
        of_class("span", "repo", sample["repository"], ":"),
        of_class("span", "path", spans(sample["path"], sample["path_marks"])),
    )
    detail = of_class("p", "detail", sample["detail"]) if sample["detail"] else None
    chips = of_class("p", "chips", *(of_class("span", "chip", fact) for fact in facts if fact))
    other = sample["excerpt_of"] != sample["path"]
    beside = of_class("p", "detail", f"The file that speaks of its licence: {sample['excerpt_of']}") if other else None
    return of_class(
        "div", "example", head, chips, detail, beside, excerpt(sample["excerpt"], f"Text of {sample['excerpt_of']}")
    )


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return (
        f"{value:,.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else str(value)
    )


def thresholds(found: Mapping[str, Any]) -> Html:
    """Return the histograms, each with a slider that says what its threshold would drop."""
    if not found["thresholds"]:
        return section(
            "thresholds",
            "Thresholds",
            "No threshold is known here: the recipe's values are left by a run (settings.json), and the measures by its stages.",
        )
    about = (
        "How the measured records are spread, and the recipe's threshold. Move a slider to see what another threshold would drop by "
        "itself, whatever the others do; records that left before are not in it. Heights grow with the square root."
    )
    return section(
        "thresholds",
        "Thresholds",
        about,
        of_class("div", "grid", *(_figure(i, item) for i, item in enumerate(found["thresholds"]))),
    )


def _figure(index: int, item: Mapping[str, Any]) -> Html:
    edges, files, at = item["edges"], item["files"], item["edges"].index(item["threshold"])
    beyond = slice(at + 1, None) if item["side"] == "above" else slice(0, at + 1)
    gone, lost = sum(files[beyond]), sum(item["bytes"][beyond])
    option = f"{item['rule']}.{item['option']}"
    of = f"{number(gone)} of {plural(sum(files), 'record')}, {share(gone, sum(files))}, {size(lost)}"
    said = f"{option} = {number(item['threshold'])} drops {of}"
    title = joined(of_class("span", "", item["title"]), of_class("span", "option", option))
    slider = {
        "type": "range",
        "min": 0,
        "max": len(edges) - 1,
        "value": at,
        "id": f"slider-{index}",
        "aria-label": f"{item['title']}: {option}",
        "aria-valuetext": said,
    }
    values = {"edges": edges, "files": files, "bytes": item["bytes"], "at": at, "side": item["side"], "option": option}
    return element(
        "figure",
        {"class": "threshold", "data-values": json.dumps(values, separators=(",", ":"))},
        element("figcaption", None, title),
        svg.histogram(edges, files, item["threshold"], item["side"], f"{item['title']}. {said}"),
        element("input", slider),
        of_class(
            "div",
            "told",
            element("p", {"class": "drops", "role": "status"}, said),
            element("button", {"type": "button", "class": "reset", "hidden": True}, "Reset"),
        ),
    )


def licences(found: Mapping[str, Any]) -> Html:
    """Return what was found, with what decided and a text for each."""
    rows = found["licences"]["found"]
    if not rows:
        return section("licences", "Licences", "No licence was measured in the parts that were looked at.")
    most = max(row["files"] for row in rows)
    made = []
    for row in rows:
        name = ", ".join(row["licences"]) or "no licence found"
        drawn = svg.bar([(f"fill {TYPES.get(row['type'], 'c7')}", row["files"])], most)
        head = joined(
            of_class("span", "reason-name", name),
            of_class("span", f"chip type-{TYPES.get(row['type'], 'c7')}", row["type"]),
            of_class("span", "n", number(row["files"])),
            drawn,
        )
        where = of_class(
            "p", "where", "Example: ", of_class("span", "repo", row["repository"], ":"), of_class("span", "path", row["path"])
        )
        nearest = (
            f"Decided by: {row['rule']}. Marked in {row['text_path']}: the lines that were matched."
            if row["text_path"]
            else f"Decided by: {row['rule']}."
        )
        made.append(
            folded(
                head,
                of_class(
                    "div",
                    "example",
                    where,
                    of_class("p", "detail", nearest),
                    excerpt(row["excerpt"], f"Text of {row['text_path']}"),
                ),
                more={"class": "reason"},
            )
        )
    about = (
        "The licences that were found most among the records on which a rule over licences decided, each with one record, what decided, "
        "and the lines of a licence text that were matched."
    )
    return section("licences", "Licences", about, of_class("div", "reasons", *made))


def twins(found: Mapping[str, Any]) -> Html:
    """Return near duplicates side by side."""
    pairs = found["twins"]
    if not pairs:
        return section(
            "twins", "Near duplicates", "No near duplicate is in the parts that were looked at together with what was kept."
        )
    made = []
    for index, pair in enumerate(pairs):
        said = joined(
            of_class("span", "reason-name", pair["removed"]),
            of_class("span", "chip", f"Jaccard {pair['jaccard']:.4f}"),
            of_class("span", "chip", plural(pair["differing"], "line differs", "lines differ")),
        )
        body = joined(*(_compared(line) for line in pair["lines"]))
        heads = element(
            "tr",
            None,
            *(
                element("th", {"scope": "col", "colspan": "2"}, of_class("span", "stage-name", w), " ", pair[k])
                for w, k in (("kept", "kept"), ("removed", "removed"))
            ),
        )
        whole = element(
            "table",
            {"class": "diff"},
            element("caption", {"class": "unseen"}, f"{pair['kept']} beside {pair['removed']}"),
            COLUMNS,
            element("thead", None, heads),
            element("tbody", None, body),
        )
        more = (
            of_class("p", "about", f"{plural(pair['left_out'], 'more row')} of the comparison are left out.")
            if pair["left_out"]
            else None
        )
        shown = element(
            "div", {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": f"Comparison {index + 1}"}, whole
        )
        made.append(folded(said, shown, more, open_=index == 0, more={"class": "reason"}))
    about = "On the left the record that was kept, on the right the one that left for it; differences are marked."
    return section("twins", "Near duplicates", about, of_class("div", "reasons", *made))


def _compared(line: Mapping[str, Any]) -> Html:
    if "equal" in line:
        return element("tr", {"class": "equal"}, element("td", {"colspan": "4"}, f"⋯ {plural(line['equal'], 'equal line')}"))
    cells = []
    for number_, pieces, other in ((line["n"][0], line["left"], "gone"), (line["n"][1], line["right"], "new")):
        differs = pieces is not None and any(is_marked for _, is_marked in pieces)
        cells.append(of_class("td", "no", "" if number_ is None else str(number_)))
        cells.append(
            of_class(
                "td", "absent" if pieces is None else other if differs else "same", "" if pieces is None else marked(pieces)
            )
        )
    return element("tr", None, *cells)


def redactions(found: Mapping[str, Any]) -> Html:
    """Return the redactions by type, with what stands around some."""
    types = found["redactions"]
    if not types:
        return section("redactions", "Redactions", "Nothing was redacted in the parts that were looked at.")
    most = max(t["places"] for t in types)
    made = []
    for t in types:
        head = joined(
            of_class("span", "reason-name", t["type"]),
            of_class("span", "n", plural(t["places"], "place")),
            of_class("span", "n of", f"in {plural(t['records'], 'record')}"),
            svg.bar([("fill c4", t["places"])], most),
        )
        shown = [
            of_class(
                "div",
                "example",
                of_class("p", "where", of_class("span", "repo", e["repository"], ":"), of_class("span", "path", e["path"])),
                excerpt(e["excerpt"], f"Around a redaction in {e['path']}"),
            )
            for e in t["examples"]
        ]
        made.append(folded(head, *shown, more={"class": "reason"}))
    about = "Marked is what stands in the data set in place of personal data. What stood there before is not in this page."
    return section("redactions", "Redactions", about, of_class("div", "reasons", *made))


def contamination(found: Mapping[str, Any]) -> Html:
    """Return the records that held a benchmark's text, by benchmark and task."""
    tasks: Sequence[Mapping[str, Any]] = found["contamination"]["tasks"]
    if not tasks:
        return section("contamination", "Contamination", "No record that was read was dropped for a text of a benchmark.")
    read = found["contamination"]
    basis = "" if read["parts"] == read["of"] else f" Of {read['parts']:,} drawn parts out of {read['of']:,} with such records."
    rows = [[t["benchmark"], t["task"], number(t["records"])] for t in tasks]
    return section(
        "contamination",
        "Contamination",
        f"Records that left because they held a text of a benchmark.{basis}",
        table("Contamination by benchmark and task", ["benchmark", "task", "records"], rows, (2,)),
    )


def search(found: Mapping[str, Any]) -> Html:
    """Return the search by path, with its index."""
    index = found["places"]
    held = sum(map(len, index["paths"]))
    if not held:
        return section("search", "Search by path", "No record is here yet.")
    read, whole = found["looked_at"], found["looked_at"]["parts"] == found["looked_at"]["of"] and held == index["of"]
    about = (
        f"All {plural(held, 'record')} and what became of each."
        if whole
        else f"{plural(held, 'record')} out of {number(index['of'])} in {plural(read['parts'], 'part')} of {number(read['of'])}. "
        "starmill why PATH tells the story of any record."
    )
    safe = {
        "ends": [escaped(end) for end in index["ends"]],
        "repositories": [escaped(name) for name in index["repositories"]],
        "paths": [[escaped(path) for path in paths] for paths in index["paths"]],
        "found": index["found"],
    }
    field = {
        "id": "search-field",
        "type": "search",
        "autocomplete": "off",
        "spellcheck": "false",
        "placeholder": "part of a repository's name or path",
    }
    controls = of_class(
        "div",
        "controls",
        element("label", {"for": "search-field"}, "Repository or path "),
        element("input", field),
        element("span", {"id": "search-count", "role": "status"}, ""),
    )
    results = element("ul", {"id": "search-results", "class": "results"})
    return section("search", "Search by path", about, controls, results, data("places", safe))
