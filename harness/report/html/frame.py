"""What every page has around its content: the head with the policy that forbids all loading, the script."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Final
from xml.etree.ElementTree import Element

from harness.report.html.elements import add

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
        f"default-src 'none'; script-src {_hash(*SCRIPTS)}; style-src {_hash(STYLE)};"
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
    add(body, "script").text = _asset(*SCRIPTS)


def _asset(*names: str) -> str:
    folder = resources.files("harness.report.html") / "assets"
    # Bytes: a checkout may have other line ends, and the browser's hash is of what it parses.
    texts = [(folder / name).read_bytes().decode("utf-8").replace("\r\n", "\n") for name in names]
    return "\n" + "\n".join(texts)


def _hash(*names: str) -> str:
    digest = hashlib.sha256(_asset(*names).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
