"""What groff makes of a manual page, as an oracle: its words, without the header and the footer of the page. Only trusted pages go in."""

import re
import shutil
import subprocess
from collections import Counter

import pytest


def words_of_groff(page: bytes, macros: str) -> Counter[str]:
    """Return the words that groff prints of a page."""
    if not shutil.which("groff"):
        pytest.skip("NOT RUN: groff, the oracle of manual pages, is not here")
    command = ["groff", "-S", "-Kutf8", "-t", f"-{macros}", "-Tutf8", "-P-cbou", "-rHY=0", "-rLL=900n", "-rLT=900n"]
    printed = subprocess.run(command, input=page, capture_output=True, check=True).stdout.decode().split("\n")
    return words("\n".join([line for line in printed if line.strip()][1:-1]))


def words_of(markdown: str) -> Counter[str]:
    """Return the words of a page as Markdown, without its title."""
    return words(re.sub(r"^(?:# .*|\|---.*|\s*`{3,}.*)$", "", markdown, flags=re.MULTILINE))


def words(text: str) -> Counter[str]:
    """Return the words of a text."""
    return Counter(re.findall(r"\w+", text))
