"""C sources to a user-mode program or DLL without a C runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from harness.errors import ToolchainError
from harness.toolchain.arch import Arch
from harness.toolchain.compile import Progress, compile_sources
from harness.toolchain.diagnostics import users_sources
from harness.toolchain.importlibs import make_import_library
from harness.toolchain.link import LinkJob, link
from harness.toolchain.result import BuildResult, build_folder, pdb_name_for, publish
from harness.toolchain.runtime import make_runtime

__all__ = ["USER_DEFINES", "build_program"]

USER_DEFINES: Mapping[str, str] = {"UNICODE": "1", "_UNICODE": "1", "_WIN32_WINNT": "0x0502"}
"""Windows Server 2003 is the oldest that must run the result; a caller may ask for more."""


def build_program(
    sources: Sequence[Path],
    arch: Arch,
    out: Path,
    *,
    kind: Literal["exe", "dll"] = "exe",
    libs: Sequence[str] = ("kernel32",),
    defines: Mapping[str, str] | None = None,
    entry: str | None = None,
    exports: Sequence[str] = (),
    subsystem: Literal["console", "windows"] = "console",
    includes: Sequence[Path] = (),
    precompiled: str | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Compile ``sources`` to the program or DLL ``out``, with a .pdb beside it; reproducible like a driver.

    :param libs: modules to import from, for example ``kernel32`` and ``ws2_32``.
    :param defines: macros, on top of :data:`USER_DEFINES`.
    :param entry: linker name of the entry point; by default ``EntryPoint`` (no arguments, never returns) for
        a program and ``DllMain`` for a DLL.
    :param exports: functions that a DLL exports, in the syntax of lld's ``/export``.
    :param precompiled: see :func:`harness.toolchain.compile.compile_sources`.
    :raises harness.toolchain.diagnostics.SourceError: with the first error.
    :raises UsageError: a place where nothing can be written.
    :raises ToolchainError: no sources, no compiler, or an unknown module.
    """
    if not sources:
        raise ToolchainError(f"no sources for {out.name}", hint="name at least one C file")
    if entry is None:
        entry = arch.decorate("DllMain", 12) if kind == "dll" else "EntryPoint"
    flags = ["/dll"] if kind == "dll" else []
    # /noimplib: an import library of a DLL would be a stray file, nobody links against it.
    flags += ["/noimplib", *(f"/export:{name}" for name in exports)]
    with build_folder() as folder:
        with users_sources():
            objects = compile_sources(
                [path.resolve() for path in sources],
                arch,
                folder,
                kernel=False,
                includes=[path.resolve() for path in includes],
                defines={**USER_DEFINES, **(defines or {})},
                precompiled=precompiled,
                progress=progress,
            )
        if progress is not None:
            progress(f"linking {out.name}")
        libraries = [make_runtime(arch, folder, kernel=False)]
        libraries += [make_import_library(module, arch, folder) for module in dict.fromkeys(libs)]
        pdb_name = pdb_name_for(out)
        job = LinkJob(out.name, pdb_name, entry, subsystem, tuple(flags))
        with users_sources():
            image, pdb = link(job, arch, [*objects, *libraries], folder)
        return publish(image, pdb, out)
