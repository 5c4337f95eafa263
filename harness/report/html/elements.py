"""Elements of the page. All text enters it here, so that what a target says is text and nothing else."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from harness.report.text import one_line, shortened

__all__ = ["MAX_TEXT", "add", "html_of", "shown_text"]

MAX_TEXT: Final = 2_000
"""Characters of one piece of text; a name may have 32,767, of which nobody reads more."""


def add(parent: Element, tag: str, text: str = "", /, **attributes: str) -> Element:
    """A new last child of ``parent``.

    :param text: what it says; made printable and cut at :data:`MAX_TEXT`.
    :param attributes: ``class_`` is ``class``, and ``data_event`` is ``data-event``.
    """
    named = {
        name.rstrip("_").replace("_", "-"): shown_text(value) for name, value in sorted(attributes.items())
    }
    child = SubElement(parent, tag, named)
    child.text = shown_text(text) or None
    return child


def shown_text(text: str) -> str:
    """``text`` as the page shows it: one line, with an escape for what nobody would see or what would lead
    astray, and cut, with its length."""
    cut = shortened(text, MAX_TEXT)
    return one_line(cut) + (f" ({len(text)} characters)" if cut is not text else "")


def html_of(element: Element) -> str:
    """The element as HTML text. The text of ``script`` and ``style`` is written as it is."""
    return tostring(element, encoding="unicode", method="html")
