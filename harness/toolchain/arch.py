"""The processor architectures a driver is built for, and what each tool calls them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Arch"]


class _Names(NamedTuple):
    triple: str
    """clang's target."""
    dlltool: str
    """dlltool's machine."""
    linker: str
    """lld-link's machine, also that of ``/lib``."""
    pe_machine: int
    """IMAGE_FILE_HEADER.Machine (Microsoft, PE Format, Machine Types)."""
    def_folders: tuple[str, ...]
    """Where mingw-w64 keeps its export lists, the first hit wins. Its arm64 kernel has no list of its own:
    the names are those of x64, undecorated."""
    kernel_flags: tuple[str, ...]
    """What makes code fit for the kernel, and what the WDK defines."""
    user_flags: tuple[str, ...]


class Arch(StrEnum):
    """Architecture of a Windows binary, in Microsoft's words."""

    X64 = "x64"
    X86 = "x86"
    ARM64 = "arm64"

    @property
    def names(self) -> _Names:
        """What the tools call it."""
        return _NAMES[self]

    def decorate(self, function: str, argument_bytes: int) -> str:
        """The linker's name of a ``__stdcall`` function, without the leading underscore of x86."""
        return f"{function}@{argument_bytes}" if self is Arch.X86 else function


_UNWIND = "-fasynchronous-unwind-tables"
"""A debugger walks the stack of x64 and arm64 by tables (``.pdata``)."""

_NO_DWARF = ("-fseh-exceptions", "-fno-asynchronous-unwind-tables")
"""x86 has no such tables; clang's default for it is a section of DWARF that no Windows debugger reads."""

_NAMES = {
    Arch.X64: _Names(
        triple="x86_64-w64-windows-gnu",
        dlltool="i386:x86-64",
        linker="x64",
        pe_machine=0x8664,
        def_folders=("lib64", "lib-common"),
        # An interrupt uses the kernel's own stack, so nothing may live below the stack pointer.
        kernel_flags=("-D_AMD64_", "-mno-red-zone", _UNWIND),
        user_flags=(_UNWIND,),
    ),
    Arch.X86: _Names(
        triple="i686-w64-windows-gnu",
        dlltool="i386",
        linker="x86",
        pe_machine=0x014C,
        def_folders=("lib32", "lib-common"),
        # The WDK compiles x86 drivers with __stdcall as default (/Gz), and without SSE.
        kernel_flags=("-D_X86_", "-mrtd", "-march=i586", *_NO_DWARF),
        user_flags=("-march=i586", *_NO_DWARF),
    ),
    Arch.ARM64: _Names(
        triple="aarch64-w64-windows-gnu",
        dlltool="arm64",
        linker="arm64",
        pe_machine=0xAA64,
        def_folders=("libarm64", "lib64", "lib-common"),
        # mingw-w64's wdm.h asks for ARM by this name and then includes armddk.h, which driver/wdk has.
        kernel_flags=("-D_ARM64_", "-D_M_ARM", _UNWIND),
        user_flags=(_UNWIND,),
    ),
}
