"""Import libraries, made from the export lists (``.def``) that mingw-w64 keeps of Windows' own modules."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import ToolchainError
from harness.toolchain.arch import Arch
from harness.toolchain.ziglang import package_dir, run_tool

__all__ = ["import_library_of", "make_import_library"]

_MINGW = Path("lib", "libc", "mingw")
_DECORATION = re.compile(r"@\d+$", re.MULTILINE)


def make_import_library(module: str, arch: Arch, folder: Path) -> Path:
    """Write ``MODULE.lib`` into ``folder``, with which a linker imports from ``module`` (``ntoskrnl``, ...).

    :raises ToolchainError: no export list of that module is known.
    """
    return _library(_definition(module, arch, folder), folder / f"{module}.lib", arch)


def import_library_of(definition: Path, arch: Arch, folder: Path) -> Path:
    """The same for an export list of our own, written as for x86: ``Function@BYTES_OF_ARGUMENTS``."""
    text = definition.read_text(encoding="ascii")
    copy = folder / definition.name
    copy.write_text(text if arch is Arch.X86 else _DECORATION.sub("", text), encoding="ascii", newline="\n")
    return _library(copy, copy.with_suffix(".lib"), arch)


def _library(definition: Path, library: Path, arch: Arch) -> Path:
    # -k: x86 modules export their __stdcall functions without the "@12" that the compiler appends.
    run_tool(
        "dlltool",
        ["-k", "-m", arch.names.dlltool, "-d", str(definition), "-l", library.name],
        cwd=library.parent,
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
