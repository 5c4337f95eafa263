"""What ``import harness`` offers, from signatures and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import harness
from harness.errors import ProcnotifyError
from harness.events import KINDS
from tools.reference.markdown import fenced, from_docstring, table

__all__ = ["draw_python"]

_FIELD = re.compile(r"^:(param|raises) (\w+): ", re.MULTILINE)


def _parts(docstring: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Paragraphs of a docstring; its fields as kind, name and text."""
    text = inspect.cleandoc(docstring)
    head, *fields = _FIELD.split(text)
    paragraphs = [from_docstring(part) for part in head.strip().split("\n\n")]
    rows = zip(fields[::3], fields[1::3], fields[2::3], strict=True)
    return paragraphs, [(kind, name, from_docstring(about)) for kind, name, about in rows]


def _signature(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    arguments = []
    stars = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not stars:
            arguments.append("*")
            stars = True
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        arguments.append(f"{parameter.name}: {parameter.annotation}{default}")
    return f"{name}(\n    " + ",\n    ".join(arguments) + f",\n) -> {signature.return_annotation}"


def _function(name: str, function: Callable[..., Any]) -> str:
    paragraphs, fields = _parts(function.__doc__ or "")
    parts = [f"### {name}", fenced(_signature(name, function), "text"), *paragraphs]
    for kind, head in (("param", "argument"), ("raises", "raises")):
        rows = [[f"`{field}`", about] for which, field, about in fields if which == kind]
        if rows:
            parts.append(table([head, "is" if kind == "param" else "when"], rows))
    return "\n\n".join(parts)


def _members(cls: type) -> Iterator[tuple[str, str, str]]:
    """Name, type and text of the public fields and properties: of the class itself and, before them, of those
    of the package that it is made from."""
    found: dict[str, tuple[str, str, str]] = {}
    for of in reversed(cls.__mro__):
        if of.__module__.partition(".")[0] == harness.__name__:
            found |= {member[0]: member for member in _own_members(of)}
    yield from found.values()


def _own_members(cls: type) -> Iterator[tuple[str, str, str]]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        match node:
            case ast.AnnAssign(target=ast.Name(name)) if not name.startswith("_"):
                about = ""
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                    about = str(after.value.value)
                yield name, ast.unparse(node.annotation), about
            case ast.FunctionDef(name=name) if not name.startswith("_"):
                about = (ast.get_docstring(node) or "").partition("\n\n")[0]
                is_property = any(getattr(part, "id", "") == "property" for part in node.decorator_list)
                returned = ast.unparse(node.returns) if node.returns is not None else ""
                yield (name if is_property else f"{name}()"), returned, about


def _class(name: str, cls: type) -> str:
    paragraphs, _ = _parts(cls.__doc__ or "")
    rows = [
        [f"`{member}`", f"`{kind}`".replace("|", "\\|"), from_docstring(about)]
        for member, kind, about in _members(cls)
    ]
    members = [table(["has", "of type", "which is"], rows)] if rows else []
    return "\n\n".join([f"### {name}", *paragraphs, *members])


def draw_python() -> str:
    """Functions with their arguments, and classes of results with their fields; events and errors by name."""
    offered = {name: getattr(harness, name) for name in harness.__all__}
    functions = [_function(name, value) for name, value in offered.items() if inspect.isfunction(value)]
    told_elsewhere = (ProcnotifyError, *KINDS.values())
    classes = [
        _class(name, value)
        for name, value in offered.items()
        if inspect.isclass(value) and not issubclass(value, told_elsewhere)
    ]
    return "\n\n".join(["## Functions", *functions, "## Results", *classes])
