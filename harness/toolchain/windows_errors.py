"""NTSTATUS values and Win32 error codes by their names, from mingw-w64's ntstatus.h and winerror.h.

The headers come with the compiler (the ``ziglang`` package), so every name that a driver's source may use is
known, and nothing has to be kept up to date here. Where they are missing a code is shown as its number.
"""

from __future__ import annotations

import functools
import re

from harness.errors import ToolchainError
from harness.toolchain.ziglang import package_dir

__all__ = ["NT_ERROR", "nt_failed", "ntstatus_from_win32", "ntstatus_words", "win32_words"]

NT_ERROR = 0x8000_0000
"""NTSTATUS values from here on are warnings and errors: NT_SUCCESS is FALSE (ntdef.h)."""

_FACILITY_NTWIN32 = 0xC007_0000
"""Errors of this facility carry a Win32 error in their low word (ntstatus.h, NTSTATUS_FROM_WIN32)."""
_HEADERS = ("lib", "libc", "include", "any-windows-any")
_NTSTATUS = re.compile(r"^#define (\w+) \(\(NTSTATUS\)(0x[0-9A-Fa-f]{1,8})\)", re.MULTILINE)
_WIN32 = re.compile(r"^#define (ERROR_\w+) __MSABI_LONG\((0x[0-9A-Fa-f]{1,8}|[0-9]{1,10})\)", re.MULTILINE)

_PLAINER = {
    "ERROR_ALREADY_EXISTS": "it exists already",
    "ERROR_BAD_ARGUMENTS": "wrong arguments",
    "ERROR_BAD_EXE_FORMAT": "no program or DLL for this Windows or this bitness",
    "ERROR_DLL_INIT_FAILED": "a DllMain said no",
    "ERROR_FILE_NOT_FOUND": "no such file",
    "ERROR_FILENAME_EXCED_RANGE": "the path is too long",
    "ERROR_INVALID_PARAMETER": "an invalid argument; of a PID: no such process",
    "ERROR_MOD_NOT_FOUND": "the DLL, or one that it needs, was not found",
    "ERROR_PATH_NOT_FOUND": "no such folder",
    "ERROR_PROC_NOT_FOUND": "the DLL lacks a function",
    "ERROR_SERVICE_EXISTS": "a service of that name exists already",
    "ERROR_TIMEOUT": "it did not end in time",
    "STATUS_DRIVER_ENTRYPOINT_NOT_FOUND": "the driver imports a routine that this kernel lacks",
    "STATUS_DRIVER_ORDINAL_NOT_FOUND": "the driver imports an ordinal that this kernel lacks",
    "STATUS_INVALID_DEVICE_REQUEST": "the request is not supported; of an unload: no unload routine",
    "STATUS_INVALID_IMAGE_HASH": "the signature is missing or not accepted",
}
"""Where the name alone says too little."""


def nt_failed(status: int) -> bool:
    """Whether NT_SUCCESS is FALSE for an NTSTATUS, which may come with its sign or without."""
    return status & 0xFFFF_FFFF >= NT_ERROR


def ntstatus_from_win32(code: int) -> int:
    """An NTSTATUS that carries a Win32 error; 0 stays 0 (NTSTATUS_FROM_WIN32 of ntstatus.h)."""
    return _FACILITY_NTWIN32 | code & 0xFFFF if code else 0


def ntstatus_words(status: int) -> str:
    """``NTSTATUS 0xc0000022 (STATUS_ACCESS_DENIED: access denied)``, or the Win32 error that it carries."""
    status &= 0xFFFF_FFFF
    if status & 0xFFFF_0000 == _FACILITY_NTWIN32:
        return win32_words(status & 0xFFFF)
    return f"NTSTATUS 0x{status:08x}{_named(_ntstatus_names().get(status))}"


def win32_words(code: int) -> str:
    """``Win32 error 5 (ERROR_ACCESS_DENIED: access denied)``."""
    return f"Win32 error {code}{_named(_win32_names().get(code))}"


def _named(name: str | None) -> str:
    if name is None:
        return ""
    words = _PLAINER.get(name) or name.split("_", 1)[1].replace("_", " ").lower()
    return f" ({name}: {words})"


@functools.cache
def _ntstatus_names() -> dict[int, str]:
    return _names("ntstatus.h", _NTSTATUS)


@functools.cache
def _win32_names() -> dict[int, str]:
    return _names("winerror.h", _WIN32)


def _names(header: str, definition: re.Pattern[str]) -> dict[int, str]:
    """Value → name; of several names the first that the header has, but ``STATUS_`` before others."""
    try:
        text = package_dir().joinpath(*_HEADERS, header).read_text(encoding="utf-8", errors="replace")
    except (OSError, ToolchainError):
        return {}
    names: dict[int, str] = {}
    for name, value in definition.findall(text):
        number = int(value, 0)
        if number not in names or (name.startswith("STATUS_") and not names[number].startswith("STATUS_")):
            names[number] = name
    return names
