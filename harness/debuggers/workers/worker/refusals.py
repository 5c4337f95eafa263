"""What the debugger's DLLs may not do for a target: which functions, and what of them is allowed.

Sources: the imports of DbgEng 10.0.15063, dbghelp and symsrv; Microsoft's headers for the prototypes.
"""

from __future__ import annotations

import ctypes
import ntpath
import re
import sys
from typing import Any, NamedTuple

NEVER = "never"
FILE = "file"
"""dbgeng.dll: only the connection's pipe, and to read what lies in the debugger's own folder. The DLLs that
find symbols: on local disks."""
LOOK = "look"
"""On local disks."""
LIBRARY = "library"
"""By their mere name, and out of the debugger's folder and Windows' own."""
SEARCH = "search"
"""A path to search: local folders, and what the user's environment names."""
FIND = "find"
"""GetProcAddress: what it finds is treated as an import."""

SUSPECT = re.compile(
    r"(?:_o_)?_*w?(?:f?s?open|freopen|l?creat|lopen|spawn[lv]\w*|exec[lv]\w*|system|popen|mkdir|rmdir|remove|unlink"
    r"|rename|putenv|chdir|tempnam|tmpnam|tmpfile|stat\d*i?\d*|access|chmod|findfirst)(?:_s|32|64|A|W)?"
    r"|(?:Nt|Zw)?(?:Create|Open|Copy|Move|Replace|Delete|Encrypt|Decrypt)\w*File(?!Mapping)\w*"
    r"|(?:Nt|Zw)?(?:Create|Remove|SetCurrent)Directory\w*|CreateHardLink\w*|CreateSymbolicLink\w*"
    r"|SetFileAttributes\w*|GetTempFileName\w*|LZOpenFile\w*|\w*Stream\w*OnFile\w*|DbgHelpCreateUserDump\w*"
    r"|GetFileAttributes\w*|GetFileVersionInfo\w*|PathFileExists\w*|PathIsDirectory\w*|\w*PrivateProfile\w*|FindFirst\w*File\w*|SearchPath\w*|GetDriveType\w*"
    r"|(?:Nt|Zw)?CreateProcess\w*|(?:Nt|Zw|Rtl)CreateUserProcess\w*|WinExec|ShellExec\w*|(?:Nt|Zw)?OpenProcess"
    r"|CreateRemoteThread\w*|CreateService\w*|StartService\w*|OpenSCManager\w*"
    r"|(?:Create|Call|Wait)NamedPipe\w*|WS2_32#(?:1|13)|listen|accept|AcceptEx|WSAAccept|RpcServer\w*"
    r"|(?:Nt|Zw)(?:Set|Delete)\w*Key|(?:Nt|Zw)CreateKey|SH(?:Set|Delete)\w*Key\w*"
    r"|Reg(?:Create|Set|Delete|Load|Unload|Restore|Replace|Save|Copy|Rename|Connect)\w*"
    r"|(?:Rtl)?SetEnvironment\w*|URLDownload\w*"
    r"|Load(?:Library|PackagedLibrary|Module)\w*|LdrLoadDll|(?:Add|Set)DllDirectory\w*"
    r"|SymInitialize\w*|SymSetSearchPath\w*|SymFindFileInPath\w*|FindExecutableImage\w*|FindDebugInfoFile\w*"
    r"|GetProcAddress\w*"
    r"|homedir"  # dbghelp's extension command, which makes a folder anywhere
)
"""Names, whole, of functions that could reach the host: a DbgEng that imports one which :data:`REFUSALS` does
not have is not known well enough."""


class Refusal(NamedTuple):
    """How a function is kept from the target."""

    prototype: Any
    result: Any
    """What a refused call returns."""
    texts: tuple[int, ...]
    """Which arguments are paths or names."""
    rule: str


def is_suspect(name: str) -> bool:
    """Whether a function of that name could reach the host."""
    return SUSPECT.fullmatch(name) is not None


def is_network(path: str) -> bool:
    """Whether the path, or a part of a search path, may lie on another machine, or is no file."""
    return any(
        part.strip(' "').replace("/", "\\").startswith(("\\\\", "\\??\\")) or "://" in part
        for part in re.split(r"[;*]", path)
    )


def is_within(path: str, folder: str) -> bool:
    """Whether a whole path lies in the folder, by its letters."""
    if is_network(path) or not folder:
        return False
    whole = ntpath.normcase(ntpath.normpath(path))
    return whole.startswith(ntpath.normcase(ntpath.normpath(folder)).rstrip("\\") + "\\")


def is_own_library(name: str, folders: list[str]) -> bool:
    """Whether a DLL comes from one of the folders, or has a mere name. Nobody's are srcsrv.dll, which starts
    the programs that a symbol file names, and pykd itself, which is no second time an extension."""
    if re.search(r"(?:^|[\\/])srcsrv[^\\/]*$|\.pyd[. ]*$", name, re.IGNORECASE):
        return False
    return not re.search(r"[\\/:]", name) or any(is_within(name, folder) for folder in folders)


def is_own_search(path: str, known: set[str]) -> bool:
    """Whether a search path leads to local folders only, and to ``known`` parts. A symbol server that a
    target names would write what it likes to where the target likes."""
    parts = [part.lower() for part in path.split(";") if part]
    return all(part in known or not ("*" in part or is_network(part)) for part in parts)


def _refusals() -> dict[str, Refusal]:
    if sys.platform != "win32":
        return {}

    def std(*types: Any) -> Any:
        return ctypes.WINFUNCTYPE(*types, use_last_error=True)

    def c(*types: Any) -> Any:
        return ctypes.CFUNCTYPE(*types, use_last_error=True)

    pointer, dword, wide, narrow = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_wchar_p, ctypes.c_char_p
    number, handle = ctypes.c_int, ctypes.c_ssize_t
    invalid, denied, not_there = -1, 5, 0xFFFFFFFF
    no_access, no_stream = -0x3FFFFFDE, -0x7FF8FFFB  # STATUS_ACCESS_DENIED, E_ACCESSDENIED
    create_process = (number, *[pointer] * 5, dword, *[pointer] * 4)
    remote_thread = std(handle, handle, pointer, ctypes.c_size_t, pointer, pointer, dword, pointer)
    open_key = (handle, wide, dword, pointer, dword, dword, pointer, pointer, pointer)
    open_narrow_key = (handle, narrow, *open_key[2:])
    search = (number, handle, wide, wide, pointer, dword, dword, dword, pointer, pointer, pointer)
    found = {
        "CreateRemoteThread": (remote_thread, 0, (), NEVER),
        "DbgHelpCreateUserDump": (std(number, narrow, pointer, pointer), 0, (0,), NEVER),
        "DbgHelpCreateUserDumpW": (std(number, wide, pointer, pointer), 0, (0,), NEVER),
        "FindExecutableImageExW": (std(pointer, wide, wide, *[pointer] * 3), None, (1,), SEARCH),
        "GetFileAttributesExW": (std(number, wide, number, pointer), 0, (0,), LOOK),
        "GetFileVersionInfoExW": (std(number, dword, wide, dword, dword, pointer), 0, (1,), LOOK),
        "GetFileVersionInfoSizeExW": (std(dword, dword, wide, pointer), 0, (1,), LOOK),
        "GetPrivateProfileIntW": (std(dword, wide, wide, number, wide), 0, (3,), LOOK),
        "GetPrivateProfileSectionW": (std(dword, wide, pointer, dword, wide), 0, (3,), LOOK),
        "GetPrivateProfileStringW": (std(dword, wide, wide, wide, pointer, dword, wide), 0, (5,), LOOK),
        "GetProcAddress": (std(pointer, pointer, pointer), None, (), FIND),
        "GetTempFileNameW": (std(dword, wide, pointer, dword, pointer), 0, (0,), FILE),
        "NtCreateFile": (std(number, *[pointer] * 11), no_access, (), NEVER),
        "NtOpenProcess": (std(number, *[pointer] * 4), no_access, (), NEVER),
        "OpenProcess": (std(handle, dword, number, dword), 0, (), NEVER),
        "RegCreateKeyExA": (std(number, *open_narrow_key), denied, (1,), NEVER),
        "RegCreateKeyExW": (std(number, *open_key), denied, (1,), NEVER),
        "RegDeleteValueW": (std(number, handle, wide), denied, (1,), NEVER),
        "RegSetValueExW": (std(number, handle, wide, dword, dword, pointer, dword), denied, (1,), NEVER),
        "RtlCreateUserProcess": (std(number, *[pointer] * 10), no_access, (), NEVER),
        "SHCreateStreamOnFileW": (std(number, wide, dword, pointer), no_stream, (0,), FILE),
        "SearchPathW": (std(dword, wide, wide, wide, dword, pointer, pointer), 0, (0, 1), LOOK),
        "SymFindFileInPathW": (std(*search), 0, (1,), SEARCH),
        "SymInitializeW": (std(number, handle, wide, number), 0, (1,), SEARCH),
        "SymSetSearchPathW": (std(number, handle, wide), 0, (1,), SEARCH),
        "WS2_32#1": (std(handle, handle, pointer, pointer), invalid, (), NEVER),
        "WS2_32#13": (std(number, handle, number), invalid, (), NEVER),
        "WaitNamedPipeW": (std(number, wide, dword), 0, (0,), FILE),
        "_spawnlp": (c(handle, number, narrow, *[pointer] * 8), invalid, (1,), NEVER),
    }
    found["accept"], found["listen"] = found["WS2_32#1"], found["WS2_32#13"]
    for end, text in (("A", narrow), ("W", wide)):
        create_file = std(handle, text, dword, dword, pointer, dword, dword, pointer)
        copy = std(number, text, text, number)
        copy_more = std(number, text, text, pointer, pointer, pointer, dword)
        found["CreateFile" + end] = (create_file, invalid, (0,), FILE)
        found["CopyFile" + end] = (copy, 0, (0, 1), NEVER)
        found["CopyFileEx" + end] = (copy_more, 0, (0, 1), NEVER)
        found["MoveFileEx" + end] = (std(number, text, text, dword), 0, (0, 1), NEVER)
        found["CreateDirectory" + end] = (std(number, text, pointer), 0, (0,), FILE)
        found["CreateNamedPipe" + end] = (std(handle, text, *[dword] * 6, pointer), invalid, (0,), NEVER)
        found["CreateProcess" + end] = (std(*create_process), 0, (), NEVER)
        found["DeleteFile" + end] = (std(number, text), 0, (0,), FILE)
        found["FindFirstFile" + end] = (std(handle, text, pointer), invalid, (0,), LOOK)
        found["GetDriveType" + end] = (std(dword, text), 0, (0,), LOOK)
        found["GetFileAttributes" + end] = (std(dword, text), not_there, (0,), LOOK)
        found["LoadLibrary" + end] = (std(pointer, text), None, (0,), LIBRARY)
        found["LoadLibraryEx" + end] = (std(pointer, text, pointer, dword), None, (0,), LIBRARY)
        found["PathFileExists" + end] = (std(number, text), 0, (0,), LOOK)
        found["PathIsDirectory" + end] = (std(number, text), 0, (0,), LOOK)
        found["RemoveDirectory" + end] = (std(number, text), 0, (0,), FILE)
        found["SetEnvironmentVariable" + end] = (std(number, text, text), 0, (0,), NEVER)
        found["SetFileAttributes" + end] = (std(number, text, dword), 0, (0,), FILE)
    for start in ("_", "_o__"):
        found[start + "wfopen"] = (c(pointer, wide, wide), None, (0,), FILE)
        found[start + "wfsopen"] = (c(pointer, wide, wide, number), None, (0,), FILE)
        found[start + "wsopen_s"] = (c(number, pointer, wide, number, number, number), 13, (1,), FILE)
        found[start + "wstat64"] = (c(number, wide, pointer), -1, (0,), LOOK)
    return {name: Refusal(*entry) for name, entry in found.items()}


REFUSALS = _refusals()
