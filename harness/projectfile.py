"""The project's file: what its members would otherwise write behind every command.

::

    # procnotify.toml, or below [tool.procnotify] in pyproject.toml
    driver = "build/mydriver.sys"     or a list: the last is under test, the others stand beside it
    machine = "lab.yaml"              or the name of a machine
    debugger = "native"
    seeds = "1-100"
    trace-dir = "traces"
    lines = "mydriver.lines.yaml"

It is looked for in the current folder and in those above it; the nearest counts, whole and alone. Paths in it
begin at its own folder. The command line comes first.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from harness.errors import ProjectFileError
from harness.files import read_file

__all__ = [
    "KEYS",
    "MAX_BYTES",
    "MAX_DRIVERS",
    "MAX_SEEDS",
    "PROJECT_FILE",
    "SEEDS",
    "ProjectFile",
    "find_project_file",
    "range_of_seeds",
    "read_project_file",
]

PROJECT_FILE: Final = "procnotify.toml"
"""The name of the file; in a folder it comes before :data:`_PYPROJECT`."""
_PYPROJECT: Final = "pyproject.toml"
SUFFIXES: Final = (".yaml", ".yml")
"""Of a machine's file; what has neither and no folder is a machine's name."""
MAX_BYTES: Final = 1 << 16
"""Of either file, where there is something in it for us."""
_MAX_PYPROJECT: Final = 1 << 20
"""Bytes of a pyproject.toml that are searched for that."""
_MAX_DOTS: Final = 500
"""Of a line: the time that tomllib takes for a key grows with the square of its parts."""
MAX_DRIVERS: Final = 16
SEEDS: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)
"""A range of seeds, both ends included."""
MAX_SEEDS: Final = 10_000_000
"""Of a range."""
_AT_LINE: Final = re.compile(r" \(at line ([0-9]+), column [0-9]+\)")
KEYS: Final[Mapping[str, str]] = {
    "driver": "a path, or a list of paths",
    "machine": "the name of a machine, or the path of a machine file",
    "debugger": "a name",
    "seeds": 'a range of seeds, "1-100"',
    "trace-dir": "a path",
    "lines": "a path",
}
"""Every key and what its value is, in words."""


_FIELDS: Final = ("drivers", "machine", "debugger", "seeds", "trace_dir", "lines")
"""Of :class:`ProjectFile`, in the order of :data:`KEYS`."""


@dataclass(frozen=True)
class ProjectFile:
    """What a project's file says; what it does not say is empty or None."""

    path: Path
    drivers: tuple[Path, ...] = ()
    """The last is under test, the others stand beside it."""
    machine: str | None = None
    debugger: str | None = None
    seeds: str | None = None
    """As ``--seeds`` takes it."""
    trace_dir: Path | None = None
    lines: Path | None = None

    def __str__(self) -> str:
        said = [key for key, name in zip(KEYS, _FIELDS, strict=True) if getattr(self, name)]
        return f"{self.path}: {', '.join(said) or 'nothing'}"


def range_of_seeds(text: str) -> range:
    """The seeds of ``1-10000``, both included.

    :raises ValueError: it is no range, or of more than :data:`MAX_SEEDS`; what to write instead.
    """
    found = SEEDS.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise ValueError("write a range of seeds, 1-100")
    seeds = range(int(found[1]), int(found[2]) + 1)
    if seeds[-1] - seeds.start >= MAX_SEEDS:
        raise ValueError(f"write a range of at most {MAX_SEEDS} seeds")
    return seeds


def find_project_file(folder: Path) -> ProjectFile | None:
    """The project's file of ``folder`` and those above it; None: there is none. A pyproject.toml without the
    section is passed over.

    :raises ProjectFileError: it cannot be read or is wrong.
    """
    for above in _upward(folder):
        for name in (PROJECT_FILE, _PYPROJECT):
            path = above / name
            if path.is_file() and (found := read_project_file(path)) is not None:
                return found
    return None


def read_project_file(path: Path) -> ProjectFile | None:
    """What the file says; None: it is a pyproject.toml without a section for us.

    :raises ProjectFileError: it cannot be read or is wrong; with the file, the line and the key.
    """
    ours = path.name != _PYPROJECT
    try:
        data = read_file(path, limit=MAX_BYTES if ours else _MAX_PYPROJECT)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise _error(path, 1, f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _error(path, 1, f"it is no UTF-8: {error.reason} at byte {error.start}") from None
    if not ours and "procnotify" not in text:
        return None  # whatever else is wrong with it is not for us to say
    if len(data) > MAX_BYTES:
        raise _error(path, 1, f"it cannot be read: it is larger than {MAX_BYTES} bytes")
    for number, written in enumerate(text.split("\n"), 1):
        if written.count(".") > _MAX_DOTS:
            raise _error(path, number, f"the line has more than {_MAX_DOTS} dots")
    try:
        table: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        line = int(place[1]) if place is not None else text.count("\n") + 1
        raise _error(path, line, f"it is no TOML: {_AT_LINE.sub('', str(error))}") from None
    except RecursionError:
        raise _error(path, 1, "it has too many lists or tables inside one another") from None
    except ValueError:
        raise _error(path, 1, "it has a number of more digits than can be read") from None
    if not ours:
        for name in ("tool", "procnotify"):
            table = table.get(name) if isinstance(table, dict) else None
            if table is None:
                return None
    if not isinstance(table, dict):
        raise _error(path, 1, "'tool.procnotify' is no table")
    return _Reader(path, text, table).read()


def _upward(folder: Path) -> Iterator[Path]:
    """The folder and those above it, spelt from where it begins."""
    yield folder
    for height in range(1, len(folder.absolute().parts)):
        yield folder.joinpath(*[".."] * height)


def _error(path: Path, line: int, message: str, hint: str = "") -> ProjectFileError:
    return ProjectFileError(message, path=path, line=line, hint=hint or ProjectFileError.documentation)


_Value = TypeVar("_Value")


class _Reader:
    def __init__(self, path: Path, text: str, table: Mapping[str, Any]) -> None:
        self._path = path
        self._text = text
        self._table = table

    def read(self) -> ProjectFile:
        for key in self._table:
            if key not in KEYS:
                self._fail(key, "is no key of a project's file", f"the keys are {', '.join(KEYS)}")
        machine = self._value("machine", self._words)
        if machine is not None and (Path(machine).suffix in SUFFIXES or len(Path(machine).parts) > 1):
            machine = str(self._path.parent / machine)
        return ProjectFile(
            self._path,
            drivers=self._value("driver", self._paths) or (),
            machine=machine,
            debugger=self._value("debugger", self._words),
            seeds=self._value("seeds", self._seeds),
            trace_dir=self._value("trace-dir", self._file),
            lines=self._value("lines", self._file),
        )

    def _value(self, key: str, read: Callable[[str, object], _Value]) -> _Value | None:
        return read(key, self._table[key]) if key in self._table else None

    def _words(self, key: str, value: object) -> str:
        if not isinstance(value, str) or not value or "\0" in value:
            self._fail(key, f"is {_shown(value)}", f"write {KEYS[key]}")
        return value

    def _file(self, key: str, value: object) -> Path:
        return self._path.parent / self._words(key, value)

    def _paths(self, key: str, value: object) -> tuple[Path, ...]:
        values = value if isinstance(value, list) else [value]
        if not 1 <= len(values) <= MAX_DRIVERS:
            self._fail(key, f"has {len(values)} paths", f"give 1 to {MAX_DRIVERS}")
        return tuple(self._file(key, each) for each in values)

    def _seeds(self, key: str, value: object) -> str:
        words = self._words(key, value)
        try:
            range_of_seeds(words)
        except ValueError as error:
            self._fail(key, f"is {_shown(value)}", str(error))
        return words

    def _fail(self, key: str, what: str, hint: str) -> NoReturn:
        # tomllib keeps no positions: a key is looked for where people write one.
        written = re.compile(
            rf"^[ \t]*(?:[\w.\"' -]*\.)?[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*=", re.MULTILINE
        )
        section = re.search(r"^[ \t]*\[\s*tool\s*\.\s*procnotify\s*\]", self._text, re.MULTILINE)
        found = written.search(self._text, section.end() if section is not None else 0)
        line = self._text.count("\n", 0, found.start()) + 1 if found is not None else 1
        raise _error(self._path, line, f"'{key}' {what}", hint)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # too deep, or a number of too many digits
        text = f"a value of type {type(value).__name__} that is too large to be shown"
    return text if len(text) <= 60 else f"{text[:60]}..."
