"""Reading scenario, line grammar and machine files for nothing but their mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import UsageError, UserFileError
from harness.grammars import load_grammar
from harness.machines.file import load_machine
from harness.scenario import load
from harness.yamlfile.finding import head_of, is_begun_by, yaml_files_below

__all__ = ["KINDS", "Linted", "lint"]

KINDS: Final[dict[str, Callable[[Path], object]]] = {
    "scenario": load,
    "machine": load_machine,
    "lines": load_grammar,
}
"""The key that tells a kind of file → its reader; a scenario may have the last as well."""
_KEY: Final = re.compile(rb"""(?:\{\s*)?(["']?)(\w+)\1\s*:""")


@dataclass(frozen=True)
class Linted:
    """What reading some files said."""

    files: tuple[tuple[Path, str], ...]
    """Each once, in the order of the paths, those of a folder sorted; with a key of :data:`KINDS`."""
    mistakes: tuple[UserFileError, ...]
    left_aside: tuple[Path, ...]
    """YAML files below a folder that begin with none of these keys."""


def lint(paths: Sequence[Path]) -> Linted:
    """Read the files that ``paths`` name, of a folder every one in it and below it; nothing is run.

    :raises UsageError: there is no such file, a folder has none, or a named file is of no kind.
    """
    found: dict[tuple[int, int], tuple[Path, str]] = {}
    aside: dict[Path, None] = {}
    for path in paths:
        for file, kind in _files_of(path):
            if kind:
                status = file.stat()
                found.setdefault((status.st_dev, status.st_ino), (file, kind))
            else:
                aside[file] = None
    files = tuple(found.values())
    mistakes = [mistake for file, kind in files for mistake in _mistakes(file, kind)]
    return Linted(files, tuple(mistakes), tuple(aside))


def _files_of(path: Path) -> list[tuple[Path, str]]:
    """What a path means, each with its kind, which is empty for what is left aside."""
    keys = ", ".join(f"'{kind}'" for kind in KINDS)
    if path.is_dir():
        files = [(file, _kind_by_first_key(file)) for file in yaml_files_below(path)]
        if not any(kind for _, kind in files):
            others = f"; {len(files)} YAML file(s) there begin with another key" if files else ""
            raise UsageError(
                f"no scenario, line grammar or machine file (*.yaml, *.yml) in the folder {path}{others}",
                hint=f"their first key is one of {keys}",
            )
        return files
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}", hint="give files or folders")
    kind = _kind_by_any_key(path)
    if not kind:
        raise UsageError(
            f"{path} is no scenario, line grammar or machine file", hint=f"each has one of the keys {keys}"
        )
    return [(path, kind)]


def _kind_by_first_key(path: Path) -> str:
    try:
        return next((kind for kind in KINDS if is_begun_by(path, kind)), "")
    except OSError:
        return next(iter(KINDS))  # reading it says why not


def _kind_by_any_key(path: Path) -> str:
    """Readers take the keys of a file in any order, so a file that is named need not begin with it."""
    try:
        keys = {match[2].decode("ascii", "replace") for match in map(_KEY.match, head_of(path)) if match}
    except OSError:
        return next(iter(KINDS))
    return next((kind for kind in KINDS if kind in keys), "")


def _mistakes(path: Path, kind: str) -> Sequence[UserFileError]:
    try:
        KINDS[kind](path)
    except UserFileError as error:
        return error.mistakes
    return ()
