"""The few functions that compiled code calls on its own, as a library: a program gets only what it uses."""

from __future__ import annotations

from pathlib import Path

from harness.resources import driver_sources
from harness.toolchain.arch import Arch
from harness.toolchain.compile import compile_sources
from harness.toolchain.ziglang import run_tool

__all__ = ["make_runtime"]

_MEMORY = "memory.c"
_LONG_DIVISION = "int64.c"
_INTERRUPTS = "interrupts.c"


def make_runtime(arch: Arch, folder: Path, *, kernel: bool) -> Path:
    """Build ``runtime.lib`` into ``folder``.

    64-bit division is for drivers on x86: it rests on exports that only the kernel has.
    """
    names = [_MEMORY]
    if kernel and arch is not Arch.ARM64:
        names.append(_INTERRUPTS)
    if kernel and arch is Arch.X86:
        names.append(_LONG_DIVISION)
    objects = folder / "runtime"
    objects.mkdir()
    sources = [driver_sources().resolve() / "runtime" / name for name in names]
    compiled = compile_sources(sources, arch, objects, kernel=kernel)
    library = folder / "runtime.lib"
    # The members' names are in the .pdb, and its hash is in the image: not with the separator of this system.
    members = [path.relative_to(folder).as_posix() for path in compiled]
    run_tool("lld-link", ["/lib", "/nologo", f"/out:{library.name}", *members], cwd=folder)
    return library
