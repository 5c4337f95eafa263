"""Text files are the same on every system: opened with their encoding, and written with their line end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path for folder in ("harness", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
WHOLE = ("read_text", "write_text")
OPENING = ("open", "fdopen")
WRAPPING = ("TextIOWrapper", "NamedTemporaryFile", "TemporaryFile")


def wrong_in(source: str) -> Iterator[str]:
    """What is missing in each call that opens a text file."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        mode = text_mode(function, name, node.args, given)
        if mode is None:
            continue
        if "encoding" not in given:
            yield f"line {node.lineno}: {name} without an encoding"
        if set(mode) & set("wax+") and "newline" not in given:
            yield f"line {node.lineno}: {name} writes without a newline"


def text_mode(
    function: ast.expr, name: str, args: list[ast.expr], given: dict[str | None, ast.expr]
) -> str | None:
    """The mode of a call that opens a text file; None of any other."""
    if name in WHOLE:
        if name == "read_text" and args:
            return None  # of an installed distribution, or of a resource
        return "w" if name == "write_text" else "r"
    if name == "TextIOWrapper":
        return "w"
    if name in WRAPPING:
        mode: object = getattr(given.get("mode"), "value", "w+b")
    elif name in OPENING:
        owner = function.value if isinstance(function, ast.Attribute) else None
        of_a_path = name == "open" and owner is not None
        if of_a_path and isinstance(owner, ast.Name) and owner.id in ("os", "tarfile", "lzma"):
            return None
        place = args[0 if of_a_path else 1 :]
        if of_a_path and place and not is_mode(place[0]):
            return None  # an archive's member, a sealed datagram, a connection
        mode = getattr(given.get("mode", place[0] if place else None), "value", "r")
    else:
        return None
    return str(mode) if "b" not in str(mode) else None


def is_mode(argument: ast.expr) -> bool:
    value = getattr(argument, "value", None)
    return isinstance(value, str) and set(value) <= set("rwxabt+")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_file_is_opened_with_its_encoding_and_written_with_its_line_end(path: Path) -> None:
    assert list(wrong_in(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tests_open_text_files_with_their_encoding(path: Path) -> None:
    found = wrong_in(path.read_text(encoding="utf-8"))
    assert [what for what in found if what.endswith("without an encoding")] == []


@pytest.mark.parametrize(
    ("call", "count"),
    [
        ("path.open()", 1),
        ("path.open('w')", 2),
        ("path.open('w', encoding='utf-8')", 1),
        ("path.open(mode='a', encoding='utf-8', newline='')", 0),
        ("path.open('wb')", 0),
        ("open(path)", 1),
        ("open(path, 'rb')", 0),
        ("open(path, 'x', encoding='utf-8')", 1),
        ("os.fdopen(handle, 'w')", 2),
        ("os.open(path, flags)", 0),
        ("archive.open(info)", 0),
        ("debuggers.open('net:port=50000')", 0),
        ("port.open(60)", 0),
        ("path.read_text()", 1),
        ("path.read_text(encoding='ascii')", 0),
        ("distribution.read_text('METADATA')", 0),
        ("path.write_text(text, encoding='ascii')", 1),
        ("io.TextIOWrapper(raw)", 2),
        ("NamedTemporaryFile()", 0),
        ("NamedTemporaryFile(mode='w')", 2),
    ],
)
def test_the_rule(call: str, count: int) -> None:
    assert len(list(wrong_in(call))) == count
