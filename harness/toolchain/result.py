"""What a build hands back, and how it leaves its temporary folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from harness.errors import UsageError
from harness.files import cannot_write

__all__ = ["BuildResult", "describe", "pdb_name_for", "publish"]


class BuildResult(NamedTuple):
    """An image that was built."""

    path: Path
    pdb: Path
    """Its debug information, under the name that the image's CodeView record has."""
    sha256: str
    """Of the image, in hexadecimal."""


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
        out.parent.mkdir(parents=True, exist_ok=True)
        for source, target in ((pdb, out.with_name(pdb.name)), (image, out)):
            handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=f".{target.name}.")
            os.close(handle)
            shutil.copyfile(source, temporary)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
    except OSError as error:
        raise cannot_write(out, error, hint="choose another --out") from error
    return describe(out, out.with_name(pdb.name))
