"""C and C++ to object files, several at a time, with nothing of this machine in the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.toolchain.arch import Arch
from harness.toolchain.ziglang import package_dir, run_tool

__all__ = ["LANGUAGES", "Progress", "compile_sources", "system_includes"]

Progress = Callable[[str], None]
"""Told in a few words what is done next; called from several threads."""

LANGUAGES = {".c": "c", ".cpp": "c++", ".cc": "c++", ".cxx": "c++"}
"""File name extension → clang's language."""

_STANDARD = {"c": "-std=gnu17", "c++": "-std=gnu++20"}

FLAGS = (
    "-O2",
    "-g",
    "-gcodeview",
    # Microsoft's dialect: "text" __FUNCTION__ "text", __declspec, __try, #pragma comment, unnamed members.
    "-fms-extensions",
    "-ffreestanding",
    "-fno-stack-protector",
    # Large frames would call a probe of the C runtime, which nothing here links.
    "-mno-stack-arg-probe",
    "-fno-exceptions",
    "-fno-ident",
    # Neither the folder of the sources nor that of the compiler may show in the debug information.
    "-fdebug-compilation-dir=.",
    "-gno-codeview-command-line",
    "-nostdinc",
)
"""For every source; part of the cache key of :mod:`harness.toolchain.builds`."""

_CPLUSPLUS = ("-fno-rtti", "-fno-threadsafe-statics")


def system_includes(*, kernel: bool) -> list[Path]:
    """The folders of clang's and mingw-w64's headers, in the order of search."""
    lib = package_dir() / "lib"
    windows = lib / "libc" / "include" / "any-windows-any"
    return [lib / "include", windows, *([windows / "ddk"] if kernel else [])]


def compile_sources(
    sources: Sequence[Path],
    arch: Arch,
    objects: Path,
    *,
    kernel: bool,
    includes: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Compile each source into the folder ``objects``; the object files, in the order of the sources.

    :param kernel: with the WDK's headers and calling conventions, else for user mode.
    :param includes: searched before the system's headers.
    :raises harness.toolchain.ziglang.CompilerRefusal: the first source, in order, that was refused.
    """
    lib = package_dir() / "lib"
    common = [
        f"--target={arch.names.triple}",
        "-c",
        *FLAGS,
        f"-ffile-prefix-map={lib}=zig",
        *(arch.names.kernel_flags if kernel else arch.names.user_flags),
        *(f"-D{name}={value}" for name, value in (defines or {}).items()),
        *(flag for folder in includes for flag in ("-I", str(folder), f"-ffile-prefix-map={folder}=include")),
        *(flag for folder in system_includes(kernel=kernel) for flag in ("-isystem", str(folder))),
    ]

    def one(number: int, source: Path) -> Path:
        if progress is not None:
            progress(f"compiling {source.name} for {arch}")
        language = LANGUAGES[source.suffix.lower()]
        # Numbered, because two folders may hold a file of the same name.
        result = objects / f"{number:03}-{source.stem}.obj"
        special = [_STANDARD[language], *(_CPLUSPLUS if language == "c++" else ())]
        naming = ["-Xclang", f"-object-file-name={result.name}", "-o", str(result)]
        run_tool("clang", [*common, *special, source.name, *naming], cwd=source.parent)
        return result

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(one, range(len(sources)), sources))
