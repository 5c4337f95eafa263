"""Object files to a Windows image with a CodeView record and a .pdb, the same bytes wherever it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.toolchain.arch import Arch
from harness.toolchain.ziglang import run_tool

__all__ = ["LinkJob", "link"]

FLAGS = (
    "/nologo",
    "/nodefaultlib",
    # The time stamp, and the GUID that ties image and .pdb together, become hashes of the content.
    "/Brepro",
    "/debug",
    # The .pdb holds no path of this machine: lld resolves every relative one against this folder.
    "/pdbsourcepath:C:\\procnotify",
    # Fills in the checksum, which the kernel verifies of a driver.
    "/release",
    "/emittoolversioninfo:no",
    "/incremental:no",
    "/opt:ref",
    "/opt:icf",
)
"""For every image; part of the cache key of :mod:`harness.toolchain.builds`."""


class LinkJob(NamedTuple):
    """What becomes one image."""

    name: str
    """File name of the image."""
    pdb_name: str
    """File name of the .pdb, as the CodeView record in the image has it."""
    entry: str
    """Linker name of the entry point, see :meth:`Arch.decorate`."""
    subsystem: str
    """``native`` for a driver, ``console`` or ``windows`` for a program."""
    flags: tuple[str, ...] = ()


def link(job: LinkJob, arch: Arch, inputs: Sequence[Path], folder: Path) -> tuple[Path, Path]:
    """Link ``inputs`` (objects and import libraries, all in ``folder``); the image and its .pdb, beside them.

    :raises harness.toolchain.ziglang.CompilerRefusal: for example an undefined symbol.
    """
    # NT 5.2 is the oldest Windows that must run the result; no Windows runs arm64 before NT 10.
    oldest = "10.00" if arch is Arch.ARM64 else "5.02"
    run_tool(
        "lld-link",
        [
            *FLAGS,
            f"/machine:{arch.names.linker}",
            f"/entry:{job.entry}",
            f"/subsystem:{job.subsystem},{oldest}",
            f"/pdb:{job.pdb_name}",
            f"/pdbaltpath:{job.pdb_name}",
            f"/out:{job.name}",
            *job.flags,
            *(path.name for path in inputs),
        ],
        cwd=folder,
    )
    return folder / job.name, folder / job.pdb_name
