"""The commands of a page of documentation: the lines and blocks that a reader would run."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands(page: Path) -> list[str]:
    """The shell commands, without the comments beside them."""
    return [line.split("  #")[0].strip() for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]
