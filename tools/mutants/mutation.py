"""A change to one file, and which tests should notice it."""

from __future__ import annotations

import difflib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.edits import edits_of

__all__ = ["Mutation", "MutationError", "mapped_tests", "sample"]

_ROOM_TESTS: dict[str, tuple[str, ...]] = {
    "channel": ("tests/machines", "tests/debuggers/workers"),
    "internal": ("tests/cli",),
    "resources": ("tests/toolchain",),
    "verdict": ("tests/runs", "tests/cli/test_cli_check.py"),
    "virtual": ("tests/drivers",),
    "wine": ("tests/wine_setup",),
    "pytest_plugin": ("tests/plugin",),
    "recording": ("tests/verdict/test_doors.py",),
    "recorder": ("tests/debuggers/test_record.py",),
    "errors": ("tests/runs", "tests/cli"),
    "linting": ("tests/cli/test_cli_lint.py",),
    "events": ("tests/lines", "tests/trace"),
    "guests": ("tests/machines", "tests/runs"),
    "yamlfile": ("tests/scenario", "tests/machines/test_machine_files.py"),
}
"""Where a room's tests lie besides ``tests/ROOM`` and ``tests/test_ROOM.py``."""


class MutationError(Exception):
    """A change that cannot be made, or tests that say nothing about it."""


@dataclass(frozen=True)
class Mutation:
    """One change."""

    name: str
    path: str
    """The file, from the root of the repository, with slashes."""
    before: str
    """The file's text."""
    after: str
    tests: tuple[str, ...]
    """Paths and options for pytest."""

    def diff(self) -> str:
        """The change as ``diff -u`` shows it."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            f"a/{self.path}",
            f"b/{self.path}",
            n=2,
        )
        return "".join(lines).rstrip("\n")


def mapped_tests(root: Path, path: str) -> tuple[str, ...]:
    """The tests of the room that a file of ``harness/`` belongs to; a subfolder has its own.

    :raises MutationError: no tests are mapped to it.
    """
    parts = Path(path).with_suffix("").parts[1:]
    for length in range(len(parts), 1, -1):
        folder = "/".join(("tests", *parts[:length]))
        if (root / folder).is_dir():
            return (folder,)
    room = parts[0]
    places = (f"tests/{room}", f"tests/test_{room}.py", *_ROOM_TESTS.get(room, ()))
    found = tuple(place for place in dict.fromkeys(places) if (root / place).exists())
    if not found:
        raise MutationError(f"no tests are mapped to {path}")
    return found


def sample(root: Path, rooms: Sequence[str], *, count: int, seed: int) -> list[Mutation]:
    """``count`` changes, drawn evenly over all that could be made in the files of ``rooms``.

    :raises MutationError: a room that is not there, or one without tests.
    """
    candidates = []
    for room in rooms:
        place = root / "harness" / room
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
        for file in files:
            if not file.is_file():
                raise MutationError(f"there is no room {room!r} in harness/")
            source = file.read_text(encoding="utf-8")
            path = file.relative_to(root).as_posix()
            candidates += [(path, source, edit) for edit in edits_of(source)]
    drawn = random.Random(seed).sample(candidates, min(count, len(candidates)))
    return [
        Mutation(
            name=f"{path}:{source.count(chr(10), 0, edit.start) + 1}",
            path=path,
            before=source,
            after=edit.apply(source),
            tests=mapped_tests(root, path),
        )
        for path, source, edit in drawn
    ]
