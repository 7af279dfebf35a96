"""Pictures as inline SVG: the funnel, whose bands lose what is dropped, histograms, bars. Classes of page.css are colours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starmill.reports.page.html import Html, element, joined, number, share

WIDTH, LEFT, RIGHT, TOP = 1000, 12, 96, 44
HIGH, GAP, LEAST = 210, 34, 40  # of the band at its widest; between band and what falls; of what falls at least
BAR = 10
LABELS = 3  # reasons that are named under what falls
COLOURS = 8  # of categories; the last one is for all others

HISTOGRAM = (460, 150, 26)  # width, height, of the axis below


@dataclass(frozen=True)
class Column:
    """A stage in the picture: what came in, stayed and left, by category, and the largest reasons.

    >>> column = Column("curate", {"code": 3}, {"code": 2}, {"code": 1}, [("few_letters", 1)])
    >>> "few_letters 1" in funnel([column], ["code"], "three records, of which two stay")
    True
    """

    name: str
    into: Mapping[str, float]
    kept: Mapping[str, float]
    dropped: Mapping[str, float]
    reasons: Sequence[tuple[str, float]] = ()


def funnel(columns: Sequence[Column], categories: Sequence[str], said: str, shown: Callable[[float], str] = number) -> Html:
    """Return the picture: a band for each category from stage to stage, and what each stage dropped falling out of it.

    `said` tells a reader who does not see it what is in it; `shown` writes amounts.
    """
    most = max((sum(c.into.values()) for c in columns), default=0) or 1
    scale = HIGH / most
    step = (WIDTH - LEFT - RIGHT) / max(1, len(columns))
    lane = TOP + HIGH + GAP
    fallen = max((sum(c.dropped.values()) * scale + 24 + 16 * min(len(c.reasons), LABELS + 1) for c in columns), default=0)
    height = lane + max(LEAST, fallen)
    pieces: list[Html] = []
    for place, column in enumerate(columns):
        x, end = LEFT + step * place, LEFT + step * (place + 1)
        into, kept = sum(column.into.values()), sum(column.kept.values())
        after = columns[place + 1].into if place + 1 < len(columns) else column.kept
        left, right = TOP, float(TOP)
        band: list[Html] = []
        y = float(left)
        for index, name in enumerate(categories):
            high, next_high = column.kept.get(name, 0) * scale, after.get(name, 0) * scale
            if high or next_high:
                told = f"{name}: {shown(column.kept.get(name, 0))} kept by {column.name}"
                band.append(ribbon(x + BAR, y, high, end, right, next_high, f"band {colour(index)}", told))
            y += high
            right += next_high
        sink, low = x + BAR + (step - BAR) * 0.52, float(lane)
        for index, name in enumerate(categories):
            high = column.dropped.get(name, 0) * scale
            lost = colour(index) if len(categories) > 1 else "gone-fill"
            if high:
                told = f"{name}: {shown(column.dropped[name])} dropped by {column.name}"
                band.append(ribbon(x + BAR, y, high, sink, low, high, f"fall {lost}", told))
                band.append(box(sink, low, 6, high, f"sunk {lost}"))
            y += high
            low += high
        pieces += band
        pieces.append(box(x, TOP, BAR, max(1, into * scale), "node"))
        pieces.append(label(x, TOP - 24, column.name, "stage"))
        pieces.append(label(x, TOP - 8, shown(into), "amount"))
        dropped = sum(column.dropped.values())
        if dropped:
            pieces.append(label(sink, low + 16, f"−{shown(dropped)} ({share(dropped, into)})", "lost"))
            rest = sum(count for _, count in column.reasons[LABELS:])
            named = [*column.reasons[:LABELS], *([(f"{len(column.reasons) - LABELS} other reasons", rest)] if rest else [])]
            pieces += [label(sink, low + 33 + 16 * i, f"{name} {shown(n)}", "why") for i, (name, n) in enumerate(named)]
        if place == len(columns) - 1:
            pieces.append(box(end, TOP, BAR, max(1, kept * scale), "node"))
            pieces.append(label(end, TOP - 24, "kept", "stage"))
            pieces.append(label(end, TOP - 8, shown(kept), "amount"))
    view = {"viewBox": f"0 0 {WIDTH} {height:.0f}", "role": "img", "aria-label": said, "class": "funnel"}
    return element("svg", view, *pieces)


def colour(index: int) -> str:
    """Return the class of a category's colour."""
    return f"c{min(index, COLOURS - 1)}"


def ribbon(x: float, y: float, high: float, to_x: float, to_y: float, to_high: float, classes: str, told: str) -> Html:
    """Return a band that leads from one upright edge to another."""
    middle = (x + to_x) / 2
    way = (
        f"M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}V{to_y + to_high:.1f}"
        f"C{middle:.1f} {to_y + to_high:.1f} {middle:.1f} {y + high:.1f} {x:.1f} {y + high:.1f}Z"
    )
    return element("path", {"d": way, "class": classes}, element("title", None, told))


def box(x: float, y: float, wide: float, high: float, classes: str) -> Html:
    """Return a rectangle."""
    return element(
        "rect", {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{wide:.1f}", "height": f"{high:.1f}", "class": classes}
    )


def label(x: float, y: float, said: str, classes: str, anchor: str | None = None) -> Html:
    """Return a text."""
    return element("text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": classes, "text-anchor": anchor}, said)


def histogram(edges: Sequence[float], files: Sequence[int], threshold: float, side: str, said: str) -> Html:
    """Return bars of equal width, one for each bin, with those beyond the threshold marked; heights are of square roots."""
    width, height, axis = HISTOGRAM
    bins = len(files)
    wide = width / bins
    most = max(files) or 1
    at = list(edges).index(threshold)
    pieces = []
    for index, count in enumerate(files):
        high = (count / most) ** 0.5 * (height - 8) if count else 0
        beyond = index > at if side == "above" else index <= at
        if count:
            low, top = (edges[index - 1] if index else None), (edges[index] if index < len(edges) else None)
            where = (
                f"up to {number(top or 0)}"
                if low is None
                else f"above {number(low)}"
                if top is None
                else f"{number(low)} to {number(top)}"
            )
            bar = {
                "x": f"{index * wide + 0.5:.1f}",
                "y": f"{height - high:.1f}",
                "width": f"{max(1, wide - 1):.1f}",
                "height": f"{high:.1f}",
                "class": "bin beyond" if beyond else "bin",
                "data-bin": index,
            }
            pieces.append(element("rect", bar, element("title", None, f"{where}: {number(count)}")))
    pieces.append(element("line", {"x1": 0, "x2": width, "y1": height, "y2": height, "class": "axis"}))
    x = (at + 1) * wide
    pieces.append(element("line", {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": 0, "y2": height, "class": "own"}))
    pieces.append(element("line", {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": 0, "y2": height, "class": "moved"}))
    ticks = sorted({0, len(edges) // 4, len(edges) // 2, 3 * len(edges) // 4, len(edges) - 1})
    for tick in ticks:
        x, anchor = (tick + 1) * wide, "end" if tick == len(edges) - 1 else "start" if tick == 0 else "middle"
        pieces.append(element("line", {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": height, "y2": height + 4, "class": "axis"}))
        pieces.append(label(x, height + 17, short(edges[tick]), "tick", anchor))
    view = {"viewBox": f"0 0 {width} {height + axis}", "role": "img", "aria-label": said, "class": "histogram"}
    return element("svg", view, *pieces)


def short(value: float) -> str:
    """Return a number in few characters.

    >>> short(1_500_000), short(20_000), short(0.25)
    ('1.5M', '20k', '0.25')
    """
    for unit, one in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= one:
            return f"{value / one:.3g}{unit}"
    return f"{value:.3g}"


def bar(parts: Sequence[tuple[str, float]], whole: float) -> Html:
    """Return a bar for a row of a table: (class, amount) behind each other, out of `whole`. What it shows stands beside it."""
    pieces, at = [], 0.0
    for classes, amount in parts:
        wide = 100 * amount / whole if whole else 0
        pieces.append(element("rect", {"x": f"{at:.2f}", "y": 0, "width": f"{wide:.2f}", "height": 10, "class": classes}))
        at += wide
    view = {"viewBox": "0 0 100 10", "preserveAspectRatio": "none", "class": "bar", "aria-hidden": "true"}
    return element("svg", view, joined(*pieces))
