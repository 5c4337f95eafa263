"""The order that all instances share, as a picture: the transitive reduction, layer below layer."""

from __future__ import annotations

from html import escape
from typing import Final

from harness.mining.partialorder import PartialOrder
from harness.mining.relations import Relations
from harness.mining.roles import EventName
from harness.report.mining.words import count_of, percent
from harness.report.text import one_line

__all__ = ["MAX_LABEL", "order_svg"]

MAX_LABEL: Final = 48
"""Characters of a name that a box shows; the whole name is its tooltip."""
_ROW, _BOX, _GAP, _MARGIN, _HEAD = 46, 26, 18, 20, 56
_CHARACTER: Final = 7.3
_COLOURS: Final = {
    "process_create": "#d6ecd2",
    "process_exit": "#f0d9d6",
    "thread_create": "#d8e6f5",
    "thread_exit": "#e8e0f0",
    "image_load": "#f4f1e4",
    "marker": "#eeeeee",
}


def order_svg(relations: Relations, title: str) -> str:
    """A file of its own: no script, no font, no link to elsewhere. Time runs downward; an event comes after
    all from which a line leads down to it."""
    order = PartialOrder(relations)
    layers = _arranged(order)
    labels = {name: _label(name) for layer in layers for name in layer}
    widths = {name: len(label) * _CHARACTER + 20 for name, label in labels.items()}
    rows = [sum(widths[name] for name in layer) + _GAP * (len(layer) - 1) for layer in layers]
    subtitle = _subtitle(order, relations)
    head = max(len(one_line(title)), len(subtitle)) * _CHARACTER
    width = max([*rows, head]) + 2 * _MARGIN
    height = _HEAD + _ROW * len(layers) + _MARGIN
    middle: dict[EventName, tuple[float, float]] = {}
    for depth, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        x = (width - row) / 2
        for name in layer:
            middle[name] = (x + widths[name] / 2, _HEAD + depth * _ROW + _BOX / 2)
            x += widths[name] + _GAP
    shapes = []
    for a, b in order.edges:
        (x1, y1), (x2, y2) = middle[a], middle[b]
        y1, y2 = y1 + _BOX / 2, y2 - _BOX / 2
        bend = (y2 - y1) / 2
        shapes.append(
            f'<path d="M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f}'
            f' {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"/>'
        )
    boxes = []
    for name, (x, y) in middle.items():
        colour = _COLOURS.get(name.kind, "#ffffff")
        boxes.append(
            f'<g><title>{_text(str(name))}</title><rect x="{x - widths[name] / 2:.1f}" y="{y - _BOX / 2:.1f}"'
            f' width="{widths[name]:.1f}" height="{_BOX}" rx="4" fill="{colour}" stroke="#666"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{_text(labels[name])}</text></g>'
        )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
            f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="12">',
            f"<title>{_text(title)}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            f'<text x="{_MARGIN}" y="22" font-size="14">{_text(title)}</text>',
            f'<text x="{_MARGIN}" y="40" fill="#555">{_text(subtitle)}</text>',
            '<g fill="none" stroke="#888">',
            *shapes,
            "</g>",
            *boxes,
            "</svg>",
            "",
        ]
    )


def _subtitle(order: PartialOrder, relations: Relations) -> str:
    bound = relations.news_at_most
    events = count_of(len(order.events), "event")
    return f"{events} that all share; one more instance shows something new with at most {percent(bound)}"


def _arranged(order: PartialOrder) -> list[list[EventName]]:
    """The layers, each in the order of what leads to it, so that few lines cross."""
    above: dict[EventName, list[EventName]] = {}
    for a, b in order.edges:
        above.setdefault(b, []).append(a)
    place: dict[EventName, float] = {}
    layers = []
    for layer in order.layers:
        key = {
            name: sum(place[each] for each in above[name]) / len(above[name]) if name in above else 0.5
            for name in layer
        }
        arranged = sorted(layer, key=lambda name: (key[name], str(name)))
        place |= {name: (index + 0.5) / len(arranged) for index, name in enumerate(arranged)}
        layers.append(arranged)
    return layers


def _label(name: EventName) -> str:
    text = one_line(str(name))
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"


def _text(text: str) -> str:
    return escape(one_line(text))
