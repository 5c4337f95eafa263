"""The files that options ask for: written whole, and over none that is read."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Final

import click

from harness.errors import UsageError
from harness.files import cannot_write, same_file, write_whole
from harness.report.text import one_line

__all__ = ["files_given", "note_given", "refuse_to_overwrite", "write_file"]


_FILES_GIVEN: Final = "harness.cli.files_given"


def note_given(ctx: click.Context, path: Path) -> None:
    """Take down that an option was given this file to be read."""
    ctx.meta.setdefault(_FILES_GIVEN, []).append(path)


def files_given() -> list[Path]:
    """The files that options of the running command were given to be read, see :func:`note_given`."""
    ctx = click.get_current_context(silent=True)
    return [] if ctx is None else ctx.meta.get(_FILES_GIVEN, [])


def refuse_to_overwrite(
    written: Mapping[str, Path | None], read: Iterable[Path], *, in_place: Container[str] = ()
) -> None:
    """See, before any is opened, that no file is written over one that is read, nor two over one another, nor
    any over what is no file; a device is written to by an option that writes in place.

    :param written: option → the file that it asks for.
    :param in_place: options whose file is not written beside it and renamed.
    :param read: besides those of :func:`files_given`.
    :raises UsageError: it would be.
    """
    asked = [(option, path) for option, path in written.items() if path is not None]
    for (one, path), (other, second) in combinations(asked, 2):
        if same_file(path, second):
            raise UsageError(f"{one} and {other} both write {path}", hint="give each a file of its own")
    every = [*read, *files_given()] if asked else []
    for option, path in asked:
        way_out = f"choose another {option}"
        if any(same_file(path, one) for one in every):
            raise UsageError(f"{option} would write over {path}, which is read", hint=way_out)
        is_written = path.is_file() or (option in in_place and path.is_char_device())
        if path.exists() and not is_written:
            raise UsageError(f"{option} cannot write {path}: it is there, and is no file", hint=way_out)


def write_file(path: Path, data: bytes, option: str) -> None:
    """Write what an option asked for, whole or not at all.

    :raises UsageError: it cannot be written there.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise cannot_write(path, error, hint=f"choose another {option}") from None
    click.echo(f"procnotify: {one_line(str(path))} written", err=True)
