"""C and C++ to object files, several at a time, with nothing of this machine in the result."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path

from harness.toolchain.arch import Arch
from harness.toolchain.diagnostics import refusal_of_all, warnings_that_matter
from harness.toolchain.ziglang import CompilerRefusal, package_dir, run_tool
from harness.waiting import is_done_within

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
    # Clang would warn of it otherwise, and of pragmas that only Microsoft's compiler knows.
    "-Wno-microsoft",
    "-Wno-unknown-pragmas",
    "-Wno-ignored-pragmas",
    "-ffreestanding",
    "-fno-stack-protector",
    # Large frames would call a probe of the C runtime, which nothing here links.
    "-mno-stack-arg-probe",
    "-fno-exceptions",
    # A __try block guards every access in it, as with Microsoft's compiler, and not only what it calls.
    *("-Xclang", "-fasync-exceptions"),
    "-fno-ident",
    # Neither the folder of the sources nor that of the compiler may show in the debug information.
    "-fdebug-compilation-dir=.",
    "-gno-codeview-command-line",
    "-nostdinc",
)
"""For every source; part of the cache key of :mod:`harness.toolchain.builds`."""

DRIVER_FLAGS = (
    # What MSVC warns of in C, and clang refuses.
    "-Wno-error=incompatible-pointer-types",
    "-Wno-error=incompatible-function-pointer-types",
    "-Wno-error=int-conversion",
    "-Wno-error=implicit-function-declaration",
    "-Wno-error=implicit-int",
    # "int x;" in two files of C is one variable.
    "-fcommon",
    # Microsoft's preprocessor: an empty __VA_ARGS__ takes the comma before it along, L#x is a wide string.
    "-fms-compatibility",
    # mingw-w64's headers choose by it, and the option above would take it away.
    "-fgnuc-version=4.2.1",
    # One type in the WDK.
    "-D_ETHREAD=_KTHREAD",
    "-D_EPROCESS=_KPROCESS",
)
"""For sources of drivers; as the above."""

CPLUSPLUS_FLAGS = (
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fsized-deallocation",
    # wcscpy_s(array, text) and its like.
    "-D_CRT_SECURE_CPP_OVERLOAD_SECURE_NAMES=1",
)


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
    forced: Sequence[Path] = (),
    precompiled: str | None = None,
    progress: Progress | None = None,
    warned: Progress | None = None,
) -> list[Path]:
    """Compile each source into the folder ``objects``; the object files, in the order of the sources.

    :param kernel: with mingw-w64's kernel headers and the WDK's calling conventions, else for user mode.
    :param includes: searched before the system's headers.
    :param forced: headers that every source includes before its first line.
    :param precompiled: a system header that each of them, all C, includes before anything else of the
        system's: it is read once and not once a source. The object files are the same without.
    :param warned: told what the compiler warns of, a source at a time, with source lines and carets.
    :raises harness.toolchain.ziglang.CompilerRefusal: with what was said of every source that was refused.
    """
    lib = package_dir() / "lib"
    common = [
        f"--target={arch.names.triple}",
        "-c",
        *FLAGS,
        f"-ffile-prefix-map={lib}=zig",
        *((*arch.names.kernel_flags, *DRIVER_FLAGS) if kernel else arch.names.user_flags),
        *(f"-D{name}={value}" for name, value in (defines or {}).items()),
        *(flag for folder in includes for flag in ("-I", str(folder), f"-ffile-prefix-map={folder}=include")),
        *(flag for folder in system_includes(kernel=kernel) for flag in ("-isystem", str(folder))),
        *(flag for header in forced for flag in ("-include", str(header))),
    ]

    if precompiled is not None:
        common += ["-include-pch", str(_precompile(precompiled, common, objects))]

    def one(number: int, source: Path) -> Path | CompilerRefusal:
        if progress is not None:
            progress(f"compiling {source.name} for {arch}")
        language = LANGUAGES[source.suffix.lower()]
        # Numbered, because two folders may hold a file of the same name.
        result = objects / f"{number:03}-{source.stem}.obj"
        special = [_STANDARD[language], *(CPLUSPLUS_FLAGS if language == "c++" else ())]
        naming = ["-Xclang", f"-object-file-name={result.name}", "-o", str(result)]
        try:
            output = run_tool("clang", [*common, *special, source.name, *naming], cwd=source.parent)
        except CompilerRefusal as refusal:
            message = _in_place(refusal.message, source)
            return CompilerRefusal(message, output=_in_place(refusal.output, source), hint=refusal.hint)
        warnings = warnings_that_matter(_in_place(output, source))
        if warnings and warned is not None:
            warned(warnings.rstrip("\n"))
        return result

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        try:  # the first of them runs, and may be interrupted, before the last of them is begun
            jobs = [pool.submit(one, number, source) for number, source in enumerate(sources)]
            is_done_within(jobs, inf)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        results = [job.result() for job in jobs]
    refusals = [result for result in results if isinstance(result, CompilerRefusal)]
    if refusals:
        raise refusal_of_all(refusals)
    return [result for result in results if isinstance(result, Path)]


def _precompile(header: str, flags: Sequence[str], folder: Path) -> Path:
    """The precompiled header in ``folder``, made with the flags that the sources are compiled with."""
    including = folder / "precompiled.h"
    including.write_text(f"#include <{header}>\n", encoding="ascii", newline="\n")
    result = folder / "precompiled.pch"
    words = [_STANDARD["c"], "-Xclang", "-fno-pch-timestamp", "-x", "c-header", including.name]
    run_tool("clang", [*flags, *words, "-o", str(result)], cwd=folder)
    return result


def _in_place(text: str, source: Path) -> str:
    """What the compiler said, with the path of ``source`` in place of its bare name."""
    shown = source
    with contextlib.suppress(ValueError):
        shown = source.relative_to(Path.cwd())
    return re.sub(rf"^{re.escape(source.name)}:(?=\d)", lambda _: f"{shown}:", text, flags=re.MULTILINE)
