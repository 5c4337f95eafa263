"""What every page has around its content: the head with the policy that forbids all loading, the script."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import Final
from xml.etree.ElementTree import Element

from harness.report.html.elements import add
from harness.report.marks import LAST, LAST_SHOWN, MARKS

__all__ = ["DOCTYPE", "add_bar", "add_end", "add_head"]

DOCTYPE: Final = "<!DOCTYPE html>\n"
SCRIPTS: Final = (
    "dom.js",
    "events.js",
    "lanes.js",
    "paint.js",
    "timeline.js",
    "table.js",
    "figure.js",
    "report.js",
)
STYLE: Final = "report.css"


def add_head(html: Element, *, title: str) -> None:
    """The head. The policy lets the page's own script and style alone do anything, and nothing be loaded."""
    head = add(html, "head")
    head.append(Element("meta", {"charset": "utf-8"}))
    policy = (
        f"default-src 'none'; script-src {_hash(_script())}; style-src {_hash(_asset(STYLE))};"
        " base-uri 'none'; form-action 'none'"
    )
    head.append(Element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}))
    head.append(Element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}))
    head.append(Element("meta", {"name": "color-scheme", "content": "light dark"}))
    add(head, "title", f"procnotify: {title}")
    add(head, "style").text = _asset(STYLE)


def add_bar(body: Element) -> None:
    """What stays in view above everything; what needs the script is put into it by that."""
    add(body, "a", "to the report", href="#main", class_="skip")
    bar = add(body, "header", class_="bar")
    add(bar, "strong", "procnotify")
    add(bar, "div", id="tools", class_="tools")


def add_end(body: Element) -> None:
    """What stands below everything, and the script, which needs all that is above it."""
    footer = add(body, "footer")
    add(footer, "p", "Written by procnotify. This file loads nothing and sends nothing.")
    add(body, "script").text = _script()


def _asset(*names: str) -> str:
    folder = resources.files("harness.report.html") / "assets"
    # Bytes: a checkout may have other line ends, and the browser's hash is of what it parses.
    texts = [(folder / name).read_bytes().decode("utf-8").replace("\r\n", "\n") for name in names]
    return "\n" + "\n".join(texts)


def _script() -> str:
    """The page's script, behind what it calls the marks."""
    shown = {mark.value: shown for mark, shown in MARKS.items()} | {LAST: LAST_SHOWN}
    words = {mark: one.words for mark, one in shown.items()}
    signs = {mark: one.sign for mark, one in shown.items()}
    tables = f'"use strict";\nconst WORDS = {json.dumps(words)};\nconst SIGNS = {json.dumps(signs)};\n'
    return "\n" + tables + _asset(*SCRIPTS)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
