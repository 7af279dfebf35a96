"""Draws the house into ARCHITECTURE.md from the imports of its code: `python docs/house.py`.

A box is a room (a folder), an arrow says who imports whom. Where a way over other rooms says it already, an arrow is left out.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- docs/house.py draws this from the imports. -->\n", "<!-- Up to here. -->\n"
# Rooms whose inner walls are rules too.
OPEN = ("pipelines",)


def rooms() -> dict[str, list[Path]]:
    """Return the modules of each room."""
    found: dict[str, list[Path]] = {}
    for path in sorted(ROOT.glob("*/**/*.py")):
        if (room := room_of(path.relative_to(ROOT).with_suffix("").parts)) and path.parts[len(ROOT.parts)][0] != ".":
            found.setdefault(room, []).append(path)
    return found


def room_of(parts: tuple[str, ...]) -> str | None:
    """Return the room of a module of ours, by the parts of its name below the root; None for what is no package."""
    if not parts or not (ROOT / parts[0] / "__init__.py").exists():
        return None
    inner = len(parts) > 1 and parts[0] in OPEN and (ROOT / parts[0] / parts[1]).is_dir()
    return "/".join(parts[:2]) if inner else parts[0]


def edges() -> dict[str, set[str]]:
    """Return the rooms that each room imports from."""
    found: dict[str, set[str]] = {}
    for room, paths in rooms().items():
        seen = found.setdefault(room, set())
        for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("starmill"):
                for alias in node.names:
                    other = room_of(tuple(f"{node.module}.{alias.name}".split(".")[1:]))
                    if other and other != room:
                        seen.add(other)
    return found


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the graph without the arrows that a longer way says already."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [*graph[start]]
        while ahead:
            if (room := ahead.pop()) not in seen:
                seen.add(room)
                ahead += graph[room]
        return seen

    return {room: {b for b in to if not any(b in reach(a) for a in to - {b})} for room, to in graph.items()}


def drawn() -> str:
    """Return the picture as a Mermaid block, which GitHub and most editors show."""
    names = {room: room.replace("/", "_") for room in rooms()}
    lines = [f'  {name}["{room}/"]' for room, name in names.items()]
    lines += [f"  {names[a]} --> {names[b]}" for a, to in reduced(edges()).items() for b in sorted(to)]
    return "\n".join(("```mermaid", "graph TD", *lines, "```", ""))


def page() -> str:
    """Return ARCHITECTURE.md with the picture in it."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return before + BEGIN + drawn() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
