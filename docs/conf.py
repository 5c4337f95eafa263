"""The documentation as a site: ``sphinx-build`` reads this; ``tox -e docs`` takes every warning for an error.

Sphinx with MyST, because it is kept up, reads the pages that a forge shows as they are, finds a page that no
contents name and a link or an anchor that leads nowhere, and its site and search open from disk.
"""

from __future__ import annotations

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.util import logging

project = "procnotify"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}

# The anchors of headings are those that a forge makes.
myst_heading_anchors = 4

# An option begins with two hyphens, not with a dash.
smartquotes = False

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

_SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
_LISTED = re.compile(r"^- \[[^\]]+\]\((\w[\w-]*)\.md\)", re.MULTILINE)
_INTO_DOCS = re.compile(r"\]\((?:\.\./)?docs/")
_LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"(https?:)?//[^\"]*\"")


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Make the lists of the first page the contents of the site, so that they are written once."""
    if page == "index":
        for caption, section in _SECTION.findall(source[0]):
            pages = "\n".join(_LISTED.findall(section))
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def add_changes(app: Sphinx, page: str, source: list[str]) -> None:
    """Put what is not released yet, and the releases, behind the page of changes."""
    if page == "changelog":
        root = Path(app.srcdir).parent
        for kind in ("added", "changed", "fixed", "removed"):
            fragments = sorted((root / "changelog.d").glob(f"*.{kind}.md"))
            texts = (path.read_text(encoding="utf-8").strip() for path in fragments)
            items = [text if text.startswith("- ") else "- " + text.replace("\n", "\n  ") for text in texts]
            if items:
                source[0] += f"\n## {kind.capitalize()}\n\n" + "\n".join(map(_to_pages, items)) + "\n"
        _, heading, released = (root / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## ")
        source[0] += heading + _to_pages(released)


def _to_pages(text: str) -> str:
    """The text of a fragment, with links as they are among the pages."""
    return _INTO_DOCS.sub("](", text)


def refuse_what_needs_a_network(app: Sphinx, error: Exception | None) -> None:
    """Warn of pages that load something from elsewhere."""
    for path in sorted(Path(app.outdir).rglob("*.html")) if error is None else ():
        found = _LOADED.search(path.read_text(encoding="utf-8"))
        if found is not None:
            logging.getLogger(__name__).warning("%s loads from elsewhere: %s", path.name, found[0])


def setup(app: Sphinx) -> None:
    # A forge draws these; here they are shown as they are written.
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", add_contents)
    app.connect("source-read", add_changes)
    app.connect("build-finished", refuse_what_needs_a_network)
