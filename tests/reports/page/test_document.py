"""The page is one file: nothing outside is named, its policy names its own script and style, equal data gives equal bytes."""

import base64
import hashlib
import re
import shutil
from pathlib import Path

import pytest
import reported
from selectolax.lexbor import LexborHTMLParser

from starmill.core.dataset import Workspace
from starmill.reports.page import document, gather
from starmill.transforms.clean.redact import labels


@pytest.fixture(scope="module")
def page(workspace: Workspace) -> str:
    return document.page(gather.data(workspace, labels.hidden))


def test_nothing_outside_is_named(page: str) -> None:
    tree = LexborHTMLParser(page)
    links = [
        n.attributes.get(a) for n in tree.css("*") for a in ("href", "src", "action", "srcset", "data") if n.attributes.get(a)
    ]
    assert links and all(link.startswith("#") or link == "data:," for link in links)
    assert not tree.css("iframe, object, embed, base, form, img, link[rel=stylesheet]")
    style = tree.css_first("style").text()
    assert "url(" not in style and "@import" not in style and "@font-face" not in style
    assert not [n for n in tree.css("*") for name in n.attributes if name.startswith("on") or name == "style"]


def test_the_policy_names_its_own(page: str) -> None:
    tree = LexborHTMLParser(page)
    rules = dict(rule.strip().split(" ", 1) for rule in tree.css_first("meta[http-equiv]").attributes["content"].split(";"))
    scripts = [n for n in tree.css("script") if n.attributes.get("type") != "application/json"]
    for [node], rule in ((scripts, "script-src"), (tree.css("style"), "style-src")):
        digest = base64.b64encode(hashlib.sha256(node.text().encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'" and rules["img-src"] == "data:"


def test_each_section_has_its_link(page: str) -> None:
    tree = LexborHTMLParser(page)
    assert [a.attributes["href"] for a in tree.css("nav a")] == [f"#{s.attributes['id']}" for s in tree.css("main > section")]
    identities = re.findall(r' id="([^"]*)"', page.partition("<script>")[0])
    assert len(identities) == len({*identities}) > 20
    for node in tree.css("[aria-labelledby], label[for]"):
        assert (node.attributes.get("aria-labelledby") or node.attributes.get("for")) in identities


def test_a_hostile_text_is_text(page: str) -> None:
    tree = LexborHTMLParser(page)
    assert len(tree.css("script")) == 2 and "alert(1)" not in "".join(s.text() for s in tree.css("script:not([type])"))
    assert "\u202e" not in page and "\x1b" not in page and reported.EMAIL not in page and reported.SECRET not in page
    page.encode()


def test_equal_workspaces_give_equal_pages(page: str, workspace: Workspace, tmp_path: Path) -> None:
    copy = Workspace(str(shutil.copytree(workspace.root, tmp_path / Path(workspace.root).name)))
    assert document.page(gather.data(copy, labels.hidden)) == page and str(tmp_path) not in page and workspace.root not in page


def test_an_empty_workspace_has_a_page(tmp_path: Path) -> None:
    tree = LexborHTMLParser(document.page(gather.data(Workspace(str(tmp_path / "none")))))
    assert len(tree.css("main > section")) == len(document.SECTIONS) and "none" in tree.css_first("h1").text()
