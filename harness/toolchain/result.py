"""What a build hands back, and how it leaves its temporary folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from harness.errors import ToolchainError

__all__ = ["BuildResult", "describe", "publish"]


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


def publish(image: Path, pdb: Path, out: Path) -> BuildResult:
    """Copy an image to ``out`` and its .pdb beside it; each file appears whole or not at all.

    :raises ToolchainError: the folder cannot be written.
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
        raise ToolchainError(f"cannot write {out}: {error.strerror}", hint="choose another --out") from error
    return describe(out, out.with_name(pdb.name))
