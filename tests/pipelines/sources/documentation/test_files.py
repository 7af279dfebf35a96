"""Which paths of real packages are documentation, and which are not."""

import pytest

from starmill.core.names import languages
from starmill.pipelines.sources.documentation.files import MANUAL, METADATA, PAGE, PDF, TEXTS, WHOLE, form_of

FORMS = {
    "README": "Text",
    "README.md": "Markdown",
    "package/README.markdown": "Markdown",
    "example.com/mod@v1.2.3/README.rst": "reStructuredText",
    "src/util/Readme.txt": "Text",
    "README.zh-CN.md": "Markdown",
    "README-api.adoc": "AsciiDoc",
    "README.html": PAGE,
    "usr/share/doc/toy/README.Debian.gz": "Text",
    "README.py": None,
    "readme.cs": None,
    "README.png": None,
    "toy-1.dist-info/METADATA": METADATA,
    "toy.egg-info/PKG-INFO": METADATA,
    "PKG-INFO": METADATA,
    "METADATA": None,
    "docs/index.md": "Markdown",
    "Documentation/admin/index.rst": "reStructuredText",
    "doc/a/b/c.txt": "Text",
    "usr/share/doc/toy/html/index.html": PAGE,
    "usr/share/doc/toy/spec.txt.gz": "Text",
    "docs/paper.pdf": PDF,
    "docs/conf.py": None,
    "docs/_static/a.html": None,
    "docs/_sources/index.rst.txt": None,
    "docs/genindex.html": None,
    "docs/requirements.txt": None,
    "docs/requirements-dev.txt": None,
    "src/notes.md": None,
    "templates/page.html": None,
    "guide/lib.pod": "Pod",
    "usr/share/man/man1/toy.1.gz": MANUAL,
    "man/de/man3/Toy::Ball.3pm": MANUAL,
    "man/toy.n": MANUAL,
    "toy.1": MANUAL,
    "docs/toy.8": MANUAL,
    "lib/libtoy.so.1": None,
    "doc/libtoy.so.1": None,
    "lib/x.5": None,
    "LICENSE.md": None,
    "docs/LICENSE-MIT.txt": None,
    "docs/CHANGELOG.md": None,
    "usr/share/doc/toy/copyright": None,
    "usr/share/doc/toy/changelog.Debian.gz": None,
    "docs/releases/NEWS.rst": None,
    "docs/copying-files.md": None,
    "docs/changes-in-state.md": "Markdown",
    "docs/CODE_OF_CONDUCT.md": None,
    "node_modules/left-pad/README.md": None,
    "": None,
    "docs/": None,
    ".md": None,
    "docs/.md": None,
}


@pytest.mark.parametrize("path", FORMS)
def test_the_form_of_a_path(path: str) -> None:
    found = form_of(path.encode(), False)
    assert (found and found.name) == FORMS[path]
    assert found is None or found.is_packed == path.endswith(".gz")


def test_bytes_that_are_no_utf_8_are_a_path_too() -> None:
    assert form_of(b"docs/\xff\n.md", False) == ("Markdown", False)


def test_in_a_package_of_documentation_every_folder_counts() -> None:
    assert form_of(b"com/toy/Ball.html", True) == (PAGE, False) and form_of(b"com/toy/Ball.html", False) is None
    assert form_of(b"com/toy/class-use/Ball.html", True) is None and form_of(b"allclasses-index.html", True) is None
    assert form_of(b"com/toy/logo.svg", True) is None and form_of(b"LICENSE", True) is None
    for name in ("toy-1.0-javadoc", "toy-doc_1.2-3_all", "numpy-docs", "toy-en-latest-htmlzip", "toy-docs-1.2"):
        assert WHOLE.search(name), name
    for name in ("toy-1.0", "docutils-0.2", "pydoc-1.0", "toy_doctor"):
        assert not WHOLE.search(name), name


def test_languages_have_linguists_names() -> None:
    assert {*TEXTS.values()} <= {*languages()}
