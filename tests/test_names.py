"""One name, one thing."""

from __future__ import annotations

import ast
from collections import defaultdict

from tools.rooms import PACKAGE


def test_no_two_classes_have_one_name() -> None:
    """A class that is private to its module (``_Name``) may share its name with another such."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
