"""C sources to a .sys: the project's own driver, or anybody's WDK sources as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.resources import driver_sources
from harness.toolchain.arch import Arch
from harness.toolchain.compile import LANGUAGES, Progress, compile_sources, system_includes
from harness.toolchain.diagnostics import users_sources
from harness.toolchain.directives import INTEGRITY_CHECK, take_directive
from harness.toolchain.headers import write_forwarders
from harness.toolchain.importlibs import import_library_of, make_import_library
from harness.toolchain.link import LinkJob, link
from harness.toolchain.result import BuildResult, build_folder, pdb_name_for, publish
from harness.toolchain.runtime import make_runtime

__all__ = ["DRIVER_DEFINES", "build_driver", "find_sources"]

DRIVER_DEFINES: Mapping[str, str] = {"DBG": "1", "NDEBUG": "1"}
"""``DBG`` turns ``KdPrint`` on: this build is for a debugger to listen to."""

_KERNEL_MODULES = ("ntoskrnl", "hal")
_OWN_EXPORT_LISTS = ("ntoskrnl-newer.def", "fltmgr.def")
_PRINT_FORMATS = "printformats.h"
_ENTRY = re.compile(rb"\bDriverEntry\b")


def find_sources(*sources: Path) -> list[Path]:
    """The C and C++ files of a driver: of each of ``sources`` itself, those in that folder, or else those
    below it.

    :raises UsageError: one of them has none.
    """
    return list(dict.fromkeys(file for source in sources for file in _sources_in(source)))


def _sources_in(source: Path) -> list[Path]:
    if source.is_file() and source.suffix.lower() in LANGUAGES:
        return [source.resolve()]
    for pattern in ("*", "**/*"):
        found = [path for path in source.glob(pattern) if path.suffix.lower() in LANGUAGES and path.is_file()]
        if found:
            return sorted(path.resolve() for path in found)
    raise UsageError(
        f"no C or C++ sources in {source}",
        hint=f"looked for {', '.join('*' + suffix for suffix in LANGUAGES)}",
    )


def _stem(sources: list[Path]) -> str:
    """The driver's own name: that of the file with its entry point, whatever folder it lies in."""
    for path in sources:
        if _ENTRY.search(path.read_bytes()):
            return path.stem
    return sources[0].stem


def build_driver(
    sources: Path | Sequence[Path],
    arch: Arch,
    out: Path,
    *,
    includes: Sequence[Path] = (),
    integrity_check: bool = False,
    defines: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    warned: Progress | None = None,
) -> BuildResult:
    """Compile the driver in ``sources`` to ``out``, with a .pdb beside it.

    The same sources give the same image, byte for byte, wherever they lie and on whichever system; the name
    of ``out`` is in it too, for the image says what its .pdb is called.

    :param sources: a folder, or one file, or several of them; each folder is searched for headers, too.
    :param includes: further folders of headers.
    :param integrity_check: link with /INTEGRITYCHECK, without which the kernel refuses Ex process callbacks
        and object callbacks; a ``#pragma comment(linker, "/INTEGRITYCHECK")`` in a source asks for it too.
    :param defines: further macros, on top of :data:`DRIVER_DEFINES`.
    :param warned: told what the compiler warns of, arguments that do not fit a print's format above all.
    :raises harness.toolchain.diagnostics.SourceError: with the first error.
    :raises UsageError: no sources, or a place where nothing can be written.
    :raises ToolchainError: no compiler, or it fell.
    """
    pdb_name = pdb_name_for(out)
    wanted = [sources] if isinstance(sources, Path) else list(sources)
    files = find_sources(*wanted)
    ours = driver_sources() / "wdk"
    own = [path.resolve() if path.is_dir() else path.resolve().parent for path in (*wanted, *includes)]
    own = list(dict.fromkeys(own))
    with build_folder() as folder:
        forwarders = folder / "forwarders"
        forwarders.mkdir()
        write_forwarders(files, own, [ours, *system_includes(kernel=True)], forwarders)
        with users_sources():
            objects = compile_sources(
                files,
                arch,
                folder,
                kernel=True,
                includes=[*own, ours, forwarders],
                defines={**DRIVER_DEFINES, **(defines or {})},
                forced=[ours / _PRINT_FORMATS],
                progress=progress,
                warned=warned,
            )
        if progress is not None:
            progress(f"linking {out.name}")
        libraries = [make_runtime(arch, folder, kernel=True)]
        libraries += [make_import_library(module, arch, folder) for module in _KERNEL_MODULES]
        libraries += [import_library_of(ours / name, arch, folder) for name in _OWN_EXPORT_LISTS]
        stem = _stem(files)
        asked = [take_directive(path, INTEGRITY_CHECK) for path in objects]
        flags = ("/driver", "/integritycheck") if integrity_check or any(asked) else ("/driver",)
        job = LinkJob(
            name=f"{stem}.sys",
            pdb_name=pdb_name,
            entry=arch.decorate("DriverEntry", 8),
            subsystem="native",
            flags=flags,
        )
        with users_sources():
            image, pdb = link(job, arch, [*objects, *libraries], folder)
        return publish(image, pdb, out)
