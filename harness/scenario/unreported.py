"""Which events a system does not report, as its machine file says it and as a trace remembers it.

::

    reports:
      not:
        - thread_exit: any
        - image_load: {image: {not: ["*.exe", "*.sys", ntdll.dll]}}

An event that fits one of these patterns may go unreported; promises about such events are not judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness.callbacks import CALLBACK_KINDS
from harness.errors import ScenarioError, TraceError
from harness.scenario.expect import read_constant_patterns
from harness.scenario.model import AnyValue, Constraint, Not, OneOfValues, Pattern, Variable
from harness.yamlfile.nodes import ListNode, Node, Source
from harness.yamlfile.parse import parse_yaml

__all__ = ["FACT", "MAX_UNREPORTED", "read_unreported", "unreported_of", "unreported_text"]

FACT: Final = "reports_not"
"""The key under which the header of a trace has it, among what the machine says of itself."""
MAX_UNREPORTED: Final = 64
"""Patterns of one machine."""
_MAX_TEXT: Final = 16 << 10
"""Characters of them in the header of a trace."""


def read_unreported(source: Source, node: Node) -> tuple[Pattern, ...]:
    """The key ``reports`` of a machine file."""
    return _patterns(source, source.mapping(node, "reports", required=("not",))["not"])


def _patterns(source: Source, node: Node) -> tuple[Pattern, ...]:
    if isinstance(node, ListNode) and len(node.items) > MAX_UNREPORTED:
        source.fail(node, f"more than {MAX_UNREPORTED} patterns that are not reported")
    patterns = read_constant_patterns(source, node, "reports")
    for pattern in patterns:
        if pattern.kind not in CALLBACK_KINDS:
            hint = f"what is reported is {', '.join(CALLBACK_KINDS)}"
            source.note(pattern.line, f"no system reports a {pattern.kind}", hint=hint)
    return patterns


def unreported_text(patterns: Iterable[Pattern]) -> str:
    """The patterns as JSON, in one line."""
    written = [{p.kind: {field: _plain(c) for field, c in p.fields} or "any"} for p in patterns]
    return json.dumps(written)


def _plain(constraint: Constraint) -> object:
    match constraint:
        case AnyValue():
            return "any"
        case OneOfValues(values=values):
            return list(values)
        case Not(of=of):
            return {"not": _plain(of)}
        case Variable(name=name):
            return f"${name}"
        case _:
            return constraint


def unreported_of(path: Path, text: str) -> tuple[Pattern, ...]:
    """The patterns that :func:`unreported_text` wrote into the header of a trace.

    :raises TraceError: it did not write this.
    """
    if len(text) > _MAX_TEXT:
        raise TraceError(f"{path}: what the header says is not reported is beyond {_MAX_TEXT} characters")
    source = Source(path, ScenarioError)
    try:
        node = parse_yaml(text, source)
        patterns = source.read_all(lambda: _patterns(source, node))
    except ScenarioError as error:
        raise TraceError(
            f"{path}: what the header says is not reported cannot be read: {error.message}",
            hint="the file was changed after it was recorded",
        ) from None
    return patterns
