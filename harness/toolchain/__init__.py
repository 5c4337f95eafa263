"""C to Windows images: drivers, the guest helper and small programs, with the compiler from PyPI alone."""

from __future__ import annotations

from harness.toolchain.actor import ActorBuild, build_actor
from harness.toolchain.arch import Arch
from harness.toolchain.builds import default_actor, default_driver
from harness.toolchain.compile import Progress
from harness.toolchain.diagnostics import SourceError
from harness.toolchain.driver import build_driver
from harness.toolchain.program import build_program
from harness.toolchain.result import BuildResult

__all__ = [
    "ActorBuild",
    "Arch",
    "BuildResult",
    "Progress",
    "SourceError",
    "build_actor",
    "build_driver",
    "build_program",
    "default_actor",
    "default_driver",
]
