"""The order that all instances share, as a picture: the transitive reduction, layer below layer."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import Final, TypeAlias

from harness.mining.partialorder import PartialOrder
from harness.mining.relations import Relations
from harness.mining.roles import EventName
from harness.report.mining.words import count_of, percent
from harness.report.text import one_line

__all__ = ["MAX_CROSSINGS", "MAX_LABEL", "order_svg"]

MAX_CROSSINGS: Final = 20_000
"""Places where a line passes a layer that are kept free of boxes; further lines go behind the boxes."""

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


_Place: TypeAlias = EventName | tuple[int, int]
"""What stands in a layer: an event, or a line that passes (its number, and the layer's)."""


def order_svg(relations: Relations, title: str) -> str:
    """A file of its own: no script, no font, no link to elsewhere. Time runs downward; an event comes after
    all from which a line leads down to it."""
    order = PartialOrder(relations)
    lines, layers = _lines(order)
    labels = {name: _label(name) for name in order.events}
    widths: dict[_Place, float] = {name: len(label) * _CHARACTER + 20 for name, label in labels.items()}
    rows = [sum(widths.get(place, 0) for place in layer) + _GAP * (len(layer) - 1) for layer in layers]
    subtitle = _subtitle(order, relations)
    head = max(len(one_line(title)), len(subtitle)) * _CHARACTER
    width = max([*rows, head]) + 2 * _MARGIN
    height = _HEAD + _ROW * len(layers) + _MARGIN
    middle: dict[_Place, tuple[float, float]] = {}
    for depth, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        x = (width - row) / 2
        for place in layer:
            middle[place] = (x + widths.get(place, 0) / 2, _HEAD + depth * _ROW + _BOX / 2)
            x += widths.get(place, 0) + _GAP
    shapes = [f'<path d="{_path([middle[place] for place in line])}"/>' for line in lines]
    boxes = []
    for name in order.events:
        x, y = middle[name]
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


def _lines(order: PartialOrder) -> tuple[list[list[_Place]], list[list[_Place]]]:
    """The lines, each from its event through the layers that it crosses to the other, and the layers."""
    layers: list[list[_Place]] = [list(layer) for layer in order.layers]
    depth = {name: number for number, layer in enumerate(order.layers) for name in layer}
    lines: list[list[_Place]] = []
    crossings = 0
    for number, (a, b) in enumerate(order.edges):
        line: list[_Place] = [a]
        between = range(depth[a] + 1, depth[b])
        crossings += len(between)
        if crossings <= MAX_CROSSINGS:
            for layer in between:
                layers[layer].append((number, layer))
                line.append((number, layer))
        lines.append([*line, b])
    return lines, _arranged(lines, layers)


def _arranged(lines: list[list[_Place]], layers: list[list[_Place]]) -> list[list[_Place]]:
    """The layers, each in the order of what leads to it, so that few lines cross."""
    above: dict[_Place, list[_Place]] = {}
    for line in lines:
        for one, other in pairwise(line):
            above.setdefault(other, []).append(one)
    at: dict[_Place, float] = {}
    arranged = []
    for layer in layers:
        wanted = {
            place: sum(at[each] for each in above[place]) / len(above[place]) if place in above else 0.5
            for place in layer
        }
        row = sorted(layer, key=lambda place: (wanted[place], isinstance(place, EventName), str(place)))
        at |= {place: (index + 0.5) / len(row) for index, place in enumerate(row)}
        arranged.append(row)
    return arranged


def _path(points: list[tuple[float, float]]) -> str:
    """From the lower edge of the first box to the upper edge of the last, straight down in every layer."""
    x, y = points[0]
    parts = [f"M{x:.1f} {y + _BOX / 2:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        y1, y2 = y1 + _BOX / 2, y2 - _BOX / 2
        bend = (y2 - y1) / 2
        parts.append(f"C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}")
        if (x2, y2 + _BOX / 2) != points[-1]:
            parts.append(f"L{x2:.1f} {y2 + _BOX:.1f}")
    return "".join(parts)


def _label(name: EventName) -> str:
    text = one_line(str(name))
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"


def _text(text: str) -> str:
    return escape(one_line(text))
