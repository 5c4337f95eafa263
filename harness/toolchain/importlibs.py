"""Import libraries, made from the export lists (``.def``) that mingw-w64 keeps of Windows' own modules."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ToolchainError
from harness.toolchain.arch import Arch
from harness.toolchain.ziglang import package_dir, run_tool

__all__ = ["make_import_library"]

_MINGW = Path("lib", "libc", "mingw")


def make_import_library(module: str, arch: Arch, folder: Path) -> Path:
    """Write ``MODULE.lib`` into ``folder``, with which a linker imports from ``module`` (``ntoskrnl``, ...).

    :raises ToolchainError: no export list of that module is known.
    """
    definition = _definition(module, arch, folder)
    library = folder / f"{module}.lib"
    # -k: x86 modules export their __stdcall functions without the "@12" that the compiler appends.
    run_tool(
        "dlltool",
        ["-k", "-m", arch.names.dlltool, "-d", str(definition), "-l", library.name],
        cwd=folder,
    )
    return library


def _definition(module: str, arch: Arch, folder: Path) -> Path:
    mingw = package_dir() / _MINGW
    for name in arch.names.def_folders:
        plain = mingw / name / f"{module}.def"
        if plain.is_file():
            return plain
        template = mingw / name / f"{module}.def.in"
        if template.is_file():
            return _preprocessed(template, mingw, arch, folder)
    raise ToolchainError(
        f"no export list of {module!r} for {arch} is known", hint=f"those at hand are in {mingw}"
    )


def _preprocessed(template: Path, mingw: Path, arch: Arch, folder: Path) -> Path:
    definition = folder / template.stem
    run_tool(
        "clang",
        [
            "-E",
            "-P",
            "-xc",
            f"--target={arch.names.triple}",
            "-nostdinc",
            f"-I{mingw / 'def-include'}",
            str(template),
            "-o",
            definition.name,
        ],
        cwd=folder,
    )
    return definition
