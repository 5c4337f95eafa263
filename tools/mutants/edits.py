"""The single edits that a sample draws from, found in a source's syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Edit", "edits_of"]

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}


@dataclass(frozen=True)
class Edit:
    """Characters ``start`` to ``end`` of a source, and what they become."""

    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        """The source with the edit done."""
        return source[: self.start] + self.text + source[self.end :]


def edits_of(source: str) -> list[Edit]:
    """Every edit that this module knows to make in ``source``, in the order of the text."""
    finder = _Finder(source)
    found = {edit for node in _running(ast.parse(source)) for edit in finder.of(node)}
    return sorted(found, key=lambda edit: (edit.start, edit.end, edit.text))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of what runs: without annotations, which a change does not touch."""
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns") or (name == "value" and _is_alias(tree)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _running(child)


def _is_alias(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.annotation, ast.Name)
        and node.annotation.id == "TypeAlias"
    )


class _Finder:
    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._encoded = [line.encode("utf-8") for line in source.splitlines(keepends=True)]

    def of(self, node: ast.AST) -> Iterator[Edit]:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                for before, op, after in zip([left, *comparators], ops, comparators, strict=False):
                    yield from self._operator(before, after, *_COMPARISONS[type(op)])
            case ast.BoolOp(op=op, values=values):
                words = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
                for before, after in pairwise(values):
                    yield from self._operator(before, after, *words)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                yield from self._operator(left, right, *_ARITHMETIC[type(op)])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield Edit(self._at(node.lineno, node.col_offset), self._start(operand), "")
            case ast.Constant(value=bool(value)):
                yield self._replaced(node, str(not value))
            case ast.Constant(value=int(value)):
                yield self._replaced(node, f"{value + 1}")
            case ast.Break():
                yield self._replaced(node, "continue")
            case ast.Continue():
                yield self._replaced(node, "break")
            case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise():
                yield self._replaced(node, "pass")
            case _:
                return

    def _operator(self, before: ast.expr, after: ast.expr, old: str, new: str) -> Iterator[Edit]:
        start, end = self._end(before), self._start(after)
        between = re.sub(r"#[^\n]*", lambda comment: " " * len(comment[0]), self._source[start:end])
        word = re.escape(old).replace(r"\ ", r"\s+")
        match = re.search(rf"(?<![\w<>=!]){word}(?![\w<>=])", between)
        if match is not None:
            yield Edit(start + match.start(), start + match.end(), new)

    def _replaced(self, node: ast.expr | ast.stmt, text: str) -> Edit:
        return Edit(self._start(node), self._end(node), text)

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._at(node.lineno, node.col_offset)

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._at(node.end_lineno, node.end_col_offset)

    def _at(self, line: int, column: int) -> int:
        """The character of a place that the syntax tree counts in UTF-8 bytes."""
        return self._lines[line - 1] + len(self._encoded[line - 1][:column].decode("utf-8"))
