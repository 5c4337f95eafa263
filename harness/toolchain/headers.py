"""Includes that only a Windows file system finds, being in another letter case (``<Ntddk.h>``).

For each such include a forwarding header of exactly that name is written into a folder of its own, so the
sources stay as they are and the system's headers too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["write_forwarders"]

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^<>"\r\n]{1,200})[>"]', re.MULTILINE)


def write_forwarders(
    files: Iterable[Path], own: Sequence[Path], system: Sequence[Path], folder: Path
) -> None:
    """Write into ``folder`` what the includes of ``files``, and of the headers that these reach, need beyond
    what is found anyway.

    :param own: the folders that includes are looked for in, besides that of the including file.
    :param system: those that follow; their headers are as they have to be and are not read.
    """
    waiting = list(files)
    seen = {file.resolve() for file in waiting}
    while waiting:
        file = waiting.pop()
        text = file.read_text(encoding="utf-8", errors="replace")
        for written in dict.fromkeys(_INCLUDE.findall(text)):
            # clang takes a backslash for a slash in this dialect.
            name = "/".join(filter(None, re.split(r"[\\/]", written)))
            places = [file.parent, *own, *system]
            found = next((place / name for place in places if (place / name).is_file()), None)
            if found is None:
                found = _find(name, places)
                _forward(folder, name, found)
            if found is None or any(found.is_relative_to(place) for place in system):
                continue
            if (reached := found.resolve()) not in seen:
                seen.add(reached)
                waiting.append(reached)


def _forward(folder: Path, name: str, target: Path | None) -> None:
    forwarder = folder / name
    # A name that climbs out of the folder is left to the compiler to refuse.
    if target is not None and forwarder.resolve().is_relative_to(folder.resolve()):
        forwarder.parent.mkdir(parents=True, exist_ok=True)
        forwarder.write_text(f'#include "{target.as_posix()}"\n', encoding="utf-8", newline="\n")


def _find(name: str, places: Sequence[Path]) -> Path | None:
    """The file that Windows would find for ``name``."""
    for place in places:
        found = place
        for part in name.split("/"):
            found = _child(found, part)
        if found.is_file():
            return found.resolve()
    return None


def _child(folder: Path, name: str) -> Path:
    """The entry of ``folder`` that Windows would take for ``name``; may not exist."""
    exact = folder / name
    if exact.exists() or not folder.is_dir():
        return exact
    wanted = name.casefold()
    return next((path for path in sorted(folder.iterdir()) if path.name.casefold() == wanted), exact)
