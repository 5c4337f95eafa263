"""The executable files of the virtual disk: what they are called, how big they are, what they import.

System files come from the profile and from ``programs.yaml``; others are put there by the guest channel and
are read with :mod:`pefile`. Where an image is mapped is decided once a boot and file, as Windows does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from random import Random
from typing import NamedTuple

import msgspec
import pefile

from harness.errors import GuestError
from harness.ntpaths import base_name
from harness.trace.sources.procmon import DEVICE
from harness.virtual.nt.profile import Profile

__all__ = ["WORK_FOLDER", "ImageFile", "ImageStore", "win32_path"]

WORK_FOLDER = r"C:\procnotify"
SYSTEM32 = rf"{DEVICE}\Windows\System32"
SYSWOW64 = rf"{DEVICE}\Windows\SysWOW64"
NT_WORK_FOLDER = DEVICE + WORK_FOLDER[2:]

MAX_FILE_BYTES = 64 << 20
"""Largest file the virtual disk takes; drivers and test programs have kilobytes."""
MAX_PATH = 260
"""Win32's limit for a path without the long-path prefix."""
ALLOCATION = 0x1_0000
"""Images are mapped at multiples of 64 KB."""
PROGRAM_REGION = 0x7FF6_0000_0000
"""64-bit programs lie from here up; libraries above 0x7ff700000000 and below the recorded ones."""
MACHINE_X64, MACHINE_X86 = 0x8664, 0x14C

WOW64_LIBRARIES = {"wow64.dll": 0x59000, "wow64win.dll": 0x83000, "wow64cpu.dll": 0xA000}
"""The 64-bit libraries of a 32-bit process and their sizes (debugger output in
NationalSecurityAgency/ghidra#5947, Windows 10 19043)."""


class _Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    size: int
    imports: list[str] = []


class _Programs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dependencies: dict[str, list[str]]
    programs: list[_Program]
    libraries: list[_Program]
    helper: list[_Program]
    """What lies in the work folder until something of that name is put there."""


@dataclass(frozen=True)
class ImageFile:
    """A file that can be mapped as an image."""

    path: str
    """NT path."""
    size: int
    """SizeOfImage, bytes."""
    wow64: bool = False
    """A 32-bit x86 image."""
    library: bool = False
    imports: tuple[str, ...] = ()
    """Base names, in the order of the import table."""


def win32_path(nt_path: str) -> str:
    """``\\Device\\HarddiskVolume3\\x`` as ``C:\\x``."""
    return "C:" + nt_path.removeprefix(DEVICE) if nt_path.startswith(DEVICE) else nt_path


def path_32_bit(path: str) -> str:
    """Where the 32-bit twin of a 64-bit system file lies."""
    return path.replace(f"{SYSTEM32}\\", f"{SYSWOW64}\\").replace("\\WinSxS\\amd64_", "\\WinSxS\\x86_")


class _SystemFiles(NamedTuple):
    """What is on the disk of every machine with one profile."""

    files: Mapping[str, ImageFile]
    """By case-folded NT path."""
    recorded: Mapping[str, int]
    """Where the recording has them, by case-folded NT path."""
    lowest_library: int
    """The lowest recorded base of a library."""


@cache
def _programs() -> _Programs:
    text = (resources.files("harness.virtual") / "profiles" / "programs.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=_Programs)


@lru_cache(maxsize=8)
def _system_files(profile: Profile) -> _SystemFiles:
    programs = _programs()
    files: dict[str, ImageFile] = {}
    recorded: dict[str, int] = {}

    def add(path: str, size: int, imports: Iterable[str] = (), *, library: bool = False) -> None:
        files[path.casefold()] = ImageFile(path, size, library=library, imports=tuple(imports))

    dependencies = {name.casefold(): found for name, found in programs.dependencies.items()}
    for image in profile.images:
        name = base_name(image.path).casefold()
        add(image.path, image.size, dependencies.get(name, ()), library=name.endswith(".dll"))
        recorded[image.path.casefold()] = image.base
    lowest_library = min(recorded[key] for key, file in files.items() if file.library)
    for program in programs.programs:
        add(rf"{SYSTEM32}\{program.name}", program.size, program.imports)
    for entry in programs.libraries:
        imports = dependencies.get(entry.name.casefold(), ())
        add(rf"{SYSTEM32}\{entry.name}", entry.size, imports, library=True)
    for entry in programs.helper:
        library = entry.name.endswith(".dll")
        add(rf"{NT_WORK_FOLDER}\{entry.name}", entry.size, entry.imports, library=library)
    for name, size in WOW64_LIBRARIES.items():
        add(rf"{SYSTEM32}\{name}", size, library=True)
    # SysWOW64: the same names, programs and libraries, as 32-bit images. No 32-bit launch was recorded; sizes
    # are those of the 64-bit files.
    for image_file in list(files.values()):
        path = path_32_bit(image_file.path)
        if path != image_file.path and base_name(path) not in WOW64_LIBRARIES:
            files[path.casefold()] = ImageFile(
                path, image_file.size, True, image_file.library, image_file.imports
            )
    return _SystemFiles(files, recorded, lowest_library)


class ImageStore:
    """Finds image files by the names programs use, and where they are mapped.

    :param rng: decides this boot's load addresses.
    """

    def __init__(self, profile: Profile, rng: Random) -> None:
        system = _system_files(profile)
        self._files = dict(system.files)
        self._bases: dict[str, int] = {}
        self._plain: dict[str, bytes] = {}
        self._recorded = system.recorded
        self._slide = rng.randrange(0x1000) * ALLOCATION
        self._next_library = system.lowest_library - self._slide
        self._next_program = PROGRAM_REGION + rng.randrange(0x1000) * ALLOCATION
        self._next_library32 = 0x77E0_0000 - rng.randrange(0x80) * ALLOCATION
        self._next_program32 = 0x0040_0000 + rng.randrange(0x80) * ALLOCATION

    def put(self, name: str, data: bytes) -> str:
        """Store a file in the work folder; its Win32 path.

        :raises GuestError: the name is not a plain file name, or the file is too large.
        """
        if not name or len(name) > MAX_PATH - len(WORK_FOLDER) - 1 or set(name) & set('\\/:*?"<>|\0'):
            raise GuestError(f"{name!r} is not a file name", hint="give a name without a folder")
        if len(data) > MAX_FILE_BYTES:
            raise GuestError(f"{name}: {len(data)} bytes; the virtual disk takes {MAX_FILE_BYTES} at most")
        path = rf"{NT_WORK_FOLDER}\{name}"
        self.replace(path, data)
        return win32_path(path)

    def replace(self, path: str, data: bytes) -> None:
        """Store a file under its full path, in place of what may be there."""
        path = self.nt_path(path)
        self._plain[path.casefold()] = data
        self._files.pop(path.casefold(), None)
        image = _read_image(path, data)
        if image is not None:
            self._add(image)

    def contents(self, path: str) -> bytes | None:
        """The bytes of a file that was put there; None for others."""
        return self._plain.get(self.nt_path(path).casefold())

    def exists(self, path: str) -> bool:
        """Whether the full path names a file at all, an image or not."""
        key = self.nt_path(path).casefold()
        return key in self._files or key in self._plain

    def nt_path(self, path: str) -> str:
        """A full Win32 path (or ``\\SystemRoot\\...``) as NT path; others unchanged."""
        path = path.removeprefix("\\??\\")
        if path[1:3] == ":\\":
            return DEVICE + path[2:]
        if path.casefold().startswith("\\systemroot\\"):
            return rf"{DEVICE}\Windows" + path[len("\\SystemRoot") :]
        return path

    def find(self, name: str, *, wow64: bool = False, folder: str = NT_WORK_FOLDER) -> ImageFile | None:
        """An image by the name a program uses: a full path, or a bare name searched for in ``folder``, in the
        system folder of the caller's bitness, and in the work folder."""
        if "\\" in name:
            return self._files.get(self.nt_path(name).casefold())
        for place in (folder, SYSWOW64 if wow64 else SYSTEM32, rf"{DEVICE}\Windows", NT_WORK_FOLDER):
            found = self._files.get(rf"{place}\{name}".casefold())
            if found is not None:
                return found
        return None

    def programs(self) -> list[str]:
        """The names of all programs of the system that are found without a folder, sorted."""
        folders = (SYSTEM32.casefold(), rf"{DEVICE}\Windows".casefold(), NT_WORK_FOLDER.casefold())
        paths = (image.path.casefold().rpartition("\\") for image in self._files.values())
        return sorted({name for folder, _, name in paths if folder in folders and name.endswith(".exe")})

    def base(self, image: ImageFile) -> int:
        """Where this boot maps ``image``."""
        key = image.path.casefold()
        base = self._bases.get(key)
        if base is None:
            recorded = self._recorded.get(key)
            base = self._place(image) if recorded is None else recorded - self._slide
            self._bases[key] = base
        return base

    def _place(self, image: ImageFile) -> int:
        span = -(-image.size // ALLOCATION) * ALLOCATION
        low = image.wow64 or base_name(image.path).casefold() == "wow64cpu.dll"
        if image.library:
            if low:
                self._next_library32 -= span
                return self._next_library32
            self._next_library -= span
            return self._next_library
        if low:
            self._next_program32 += span
            return self._next_program32 - span
        self._next_program += span
        return self._next_program - span

    def _add(self, image: ImageFile) -> None:
        self._files[image.path.casefold()] = image


def _read_image(path: str, data: bytes) -> ImageFile | None:
    """The PE file ``data`` as an image of x86 or x64; None when it is anything else."""
    found = _read_headers(data)
    return None if found is None else replace(found, path=path)


@lru_cache(maxsize=8)
def _read_headers(data: bytes) -> ImageFile | None:
    """What the PE file ``data`` says, for whatever path."""
    try:
        image = pefile.PE(data=data, fast_load=True)
        image.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"]])
    except pefile.PEFormatError:
        return None
    machine = image.FILE_HEADER.Machine
    if machine not in (MACHINE_X64, MACHINE_X86):
        return None
    imports = [entry.dll.decode("ascii", "replace") for entry in getattr(image, "DIRECTORY_ENTRY_IMPORT", [])]
    return ImageFile(
        "", image.OPTIONAL_HEADER.SizeOfImage, machine == MACHINE_X86, image.is_dll(), tuple(imports)
    )
