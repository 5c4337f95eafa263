"""The temporary folder of a build, and what leaves it."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.errors import UsageError
from harness.files import cannot_write, write_whole

__all__ = ["BuildResult", "build_folder", "describe", "pdb_name_for", "publish"]


class BuildResult(NamedTuple):
    """An image that was built."""

    path: Path
    pdb: Path
    """Its debug information, under the name that the image's CodeView record has."""
    sha256: str
    """Of the image, in hexadecimal."""


@contextlib.contextmanager
def build_folder() -> Iterator[Path]:
    """A temporary folder for one build. What somebody still has open when it ends (a virus scanner does that
    with a fresh image) stays behind, and is no failure of the build."""
    with tempfile.TemporaryDirectory(prefix="procnotify-build-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def describe(path: Path, pdb: Path) -> BuildResult:
    """The result for files that exist."""
    return BuildResult(path, pdb, hashlib.sha256(path.read_bytes()).hexdigest())


def pdb_name_for(out: Path) -> str:
    """The file name of the .pdb that belongs to ``out``.

    :raises UsageError: ``out`` is called as a .pdb itself.
    """
    if out.suffix.lower() == ".pdb":
        raise UsageError(f"{out} is a name for debug information", hint="give --out the name of a .sys")
    return f"{out.stem}.pdb"


def publish(image: Path, pdb: Path, out: Path) -> BuildResult:
    """Copy an image to ``out`` and its .pdb beside it; each file appears whole or not at all.

    :raises UsageError: a place where nothing can be written.
    :raises RigError: the disk is full.
    """
    try:
        for source, target in ((pdb, out.with_name(pdb.name)), (image, out)):
            write_whole(target, source.read_bytes())
    except OSError as error:
        raise cannot_write(out, error, hint="choose another --out") from error
    return describe(out, out.with_name(pdb.name))
