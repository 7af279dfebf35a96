"""The first sections: what is there in numbers, the funnel as a picture, the mixture of the shards, what the stages took and made."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starmill.reports.page import svg
from starmill.reports.page.html import Html, element, joined, number, of_class, share, size
from starmill.reports.page.svg import COLOURS, Column
from starmill.reports.page.tables import folded, key, plural, section, table, tabs, tile

Shown = Callable[[float], str]
UNITS: tuple[tuple[str, str, Shown], ...] = (("records", "files", number), ("bytes", "bytes", size))
NOTHING = {"kept": {"files": 0, "bytes": 0}, "dropped": {"files": 0, "bytes": 0}}
ROWS = 60  # kinds or languages of a table
WHOLE, OTHERS, UNKNOWN = "all records", "others", "(unknown)"


def numbers(found: Mapping[str, Any]) -> Html:
    """Return the tiles: what came in, what is left, what it is made of."""
    stages = found["stages"]
    if not stages:
        return section("overview", "Overview", "No stage is complete in this workspace yet.")
    first, last, total = stages[0], stages[-1], found["mixture"]["total"]
    languages = {name for stage in stages for name, tally in stage["languages"].items() if name and tally["kept"]["files"]}
    kinds = {name for name, tally in last["kinds"].items() if name and tally["kept"]["files"]}
    tiles = [
        tile(number(first["in"]["files"]), "records met", size(first["in"]["bytes"])),
        tile(number(last["kept"]["files"]), "records kept", share(last["kept"]["files"], first["in"]["files"])),
        tile(size(last["kept"]["bytes"]), "of text kept", share(last["kept"]["bytes"], first["in"]["bytes"])),
    ]
    if total.get("tokens"):
        tiles.append(
            tile(
                svg.short(total["tokens"]),
                "tokens",
                f"{number(round(total['tokens']))} in {plural(total['documents'] or 0, 'document')}",
            )
        )
    tiles.append(tile(number(len(languages)), "languages", plural(len(kinds), "kind") + " of records"))
    tiles.append(
        tile(
            number(len(found["reasons"])),
            "reasons to drop",
            plural(sum(r["files"] for r in found["reasons"]), "record") + " dropped",
        )
    )
    read = found["looked_at"]
    whole = read["parts"] == read["of"]
    basis = (
        f"All {plural(read['of'], 'part')} were read."
        if whole
        else f"Counts of stages, kinds, languages and reasons are of all {read['of']:,} parts. Distributions, licences, redactions and "
        f"examples are of {read['parts']:,} drawn parts with {plural(read['records'], 'record')}."
    )
    digests = "  ".join(f"{s['folder']}/ {s['digest'][:12]}" for s in stages)
    return section(
        "overview", "Overview", basis, of_class("div", "tiles", *tiles), of_class("p", "digests", f"Digests: {digests}")
    )


def funnel(found: Mapping[str, Any]) -> Html:
    """Return the funnel by stage, kind, language and licence, in files and in bytes, each with its numbers as a table."""
    stages = found["stages"]
    if not stages:
        return section("funnel", "Funnel", "Nothing to show yet.")
    panels = [
        (
            "Reasons",
            _units(lambda unit, noun, shown: _panel(_by_reason(stages, unit), [WHOLE], f"Stages and reasons, {noun}", shown)),
        )
    ]
    for title, field in (("Kinds", "kinds"), ("Languages", "languages")):
        known = [s for s in stages if any(name for name in s[field])]
        if known:
            panels.append((title, _units(functools.partial(_split, known, field, title))))
    if len(found["licences"]["through"]) > 1:
        panels.append(("Licences", _units(functools.partial(_licences, found))))
    said = "From left to right the stages; what a stage dropped falls out of the band, with its largest reasons."
    return section("funnel", "Funnel", said, tabs("funnel-tab", "The funnel by", panels, switch=[noun for noun, _, _ in UNITS]))


def _units(drawn: Callable[[str, str, Shown], Html]) -> Html:
    """Return what is drawn in each unit, of which the script shows one."""
    return joined(*(element("div", {"data-unit": noun}, drawn(unit, noun, shown)) for noun, unit, shown in UNITS))


def _by_reason(stages: Sequence[Mapping[str, Any]], unit: str) -> list[Column]:
    return [
        Column(
            s["stage"],
            {WHOLE: s["in"][unit]},
            {WHOLE: s["kept"][unit]},
            {WHOLE: s["in"][unit] - s["kept"][unit]},
            _ranked([(r["reason"], r[unit]) for r in s["dropped"]]),
        )
        for s in stages
    ]


def _split(stages: Sequence[Mapping[str, Any]], field: str, title: str, unit: str, noun: str, shown: Shown) -> Html:
    came = {name: _came(stages[0], field, name, unit) for stage in stages for name in stage[field]}
    ranked = sorted(came, key=lambda name: (-came[name], name))
    names = [name or UNKNOWN for name in ranked[: COLOURS - 1]] + ([OTHERS] if len(ranked) >= COLOURS else [])

    def by(stage: Mapping[str, Any], which: str) -> dict[str, float]:
        sums = dict.fromkeys(names, 0.0)
        for name, tally in stage[field].items():
            called = (name or UNKNOWN) if (name or UNKNOWN) in sums else OTHERS
            sums[called] += tally[which][unit]
        return sums

    columns = []
    for stage in stages:
        kept, dropped = by(stage, "kept"), by(stage, "dropped")
        columns.append(Column(stage["stage"], {n: kept[n] + dropped[n] for n in names}, kept, dropped))
    rows = [[name or UNKNOWN, *(shown(_came(s, field, name, unit)) for s in stages)] for name in ranked[:ROWS]]
    for row, name in zip(rows, ranked, strict=False):
        row.append(shown(stages[-1][field].get(name, NOTHING)["kept"][unit]))
    return _panel(columns, names, f"{title}, {noun}", shown, rows)


def _came(stage: Mapping[str, Any], field: str, name: str, unit: str) -> float:
    tally = stage[field].get(name, NOTHING)
    return float(tally["kept"][unit] + tally["dropped"][unit])


def _licences(found: Mapping[str, Any], unit: str, noun: str, shown: Shown) -> Html:
    at, read = 0 if unit == "files" else 1, found["looked_at"]
    held = [
        (_stage_of(found, dataset), {name: float(tally[at]) for name, tally in types.items()})
        for dataset, types in found["licences"]["through"].items()
    ]
    names = sorted({n for _, types in held for n in types}, key=lambda n: (-held[0][1].get(n, 0), n))
    columns = []
    for (_, before), (stage, after) in itertools.pairwise(held):
        dropped = {n: max(0.0, before.get(n, 0) - after.get(n, 0)) for n in names}
        columns.append(Column(stage, before, after, dropped))
    drawn = None if read["parts"] == read["of"] else f"Of {read['parts']:,} drawn parts out of {read['of']:,}."
    return joined(of_class("p", "about", drawn) if drawn else None, _panel(columns, names, f"Licences, {noun}", shown))


def _stage_of(found: Mapping[str, Any], dataset: str) -> str:
    return next((str(s["stage"]) for s in found["stages"] if s["folder"] == dataset), dataset)


def _ranked(reasons: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    sums: dict[str, float] = {}
    for name, n in reasons:
        sums[name] = sums.get(name, 0) + n
    return sorted(((name, n) for name, n in sums.items() if n), key=lambda pair: (-pair[1], pair[0]))


def _panel(
    columns: Sequence[Column], names: Sequence[str], title: str, shown: Shown, rows: Sequence[Sequence[str]] = ()
) -> Html:
    said = "; ".join(f"{c.name}: {shown(sum(c.into.values()))} in, {shown(sum(c.kept.values()))} kept" for c in columns)
    picture = element(
        "div", {"class": "wide", "tabindex": "0", "role": "group", "aria-label": title}, svg.funnel(columns, names, said, shown)
    )
    head = ["category", *(f"{c.name}: in" if i == 0 else c.name for i, c in enumerate(columns)), "kept"]
    rows = rows or [[n, *(shown(c.into.get(n, 0)) for c in columns), shown(columns[-1].kept.get(n, 0))] for n in names]
    colours = key([(svg.colour(i), n) for i, n in enumerate(names)]) if len(names) > 1 else None
    return joined(picture, colours, folded("As a table", table(title, head, rows, range(1, len(head)))))


def mixture(found: Mapping[str, Any]) -> Html:
    """Return the tokens by kind and language, as the shards hold them."""
    mixed = found["mixture"]
    if not mixed["kinds"]:
        return section("mixture", "Mixture", "No shards are complete in this workspace yet.")
    most = max(kind["tokens"] for kind in mixed["kinds"]) or 1
    rows = []
    for index, kind in enumerate(mixed["kinds"]):
        languages = sorted(kind["languages"], key=lambda row: (-row["tokens"], row["language"]))
        named = ", ".join(
            f"{r['language'] or UNKNOWN} {share(r['tokens'], kind['tokens'])}" for r in languages[:4] if r["tokens"]
        )
        rows.append(
            [
                kind["kind"] or UNKNOWN,
                number(round(kind["taken_records"])),
                size(kind["taken_bytes"]),
                number(round(kind["tokens"])),
                share(kind["tokens"], mixed["total"]["tokens"]),
                svg.bar([(f"fill {svg.colour(index)}", kind["tokens"])], most),
                named if len(languages) > 1 or (languages and languages[0]["language"]) else "",
            ]
        )
    total = mixed["total"]
    rows.append(
        [
            "all",
            number(round(total["taken_records"])),
            size(total["taken_bytes"]),
            number(round(total["tokens"])),
            "100 %",
            "",
            "",
        ]
    )
    head = ["kind", "records", "text", "tokens", "share", "", "languages, by tokens"]
    return section(
        "mixture",
        "Mixture",
        "What the shards hold, counted when they were made.",
        table("Tokens by kind", head, rows, (1, 2, 3, 4)),
    )


def costs(found: Mapping[str, Any]) -> Html:
    """Return the seconds, rates and stored bytes of the stages."""
    stages = found["stages"]
    longest = max((s["seconds"] or 0 for s in stages), default=0) or 1
    rows = []
    for s in stages:
        seconds = s["seconds"]
        rate = f"{s['in']['bytes'] / 1e6 / seconds:,.2f}" if seconds else ""
        pace = f"{s['in']['files'] / seconds:,.0f}" if seconds else ""
        took = f"{seconds:,.1f}" if seconds is not None else "not known"
        drawn = svg.bar([("fill c0", seconds or 0)], longest)
        rows.append([s["stage"], took, drawn, rate, pace, number(s["parts"]), size(s["stored_bytes"])])
    head = ["stage", "seconds", "", "MB of text per second", "records per second", "parts", "stored"]
    total = sum(s["seconds"] or 0 for s in stages)
    about = (
        f"The last run of each stage, {total:,.0f} seconds together, with as many workers as it had. A run that continued counts what it "
        "did itself. What another dump would cost is told by starmill bench and starmill estimate."
    )
    return section("costs", "Time and storage", about, table("Time and storage by stage", head, rows, (1, 3, 4, 5, 6)))
