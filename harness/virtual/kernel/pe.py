"""Reads driver images that are not trusted.

:func:`read_driver` takes the bytes of a .sys apart and says in one line what is wrong with a file that this
target cannot run; :func:`relocate` moves its image to a base. Formats: Microsoft, PE Format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import pefile

from harness.errors import DriverFileError

__all__ = ["MAX_IMAGE", "CodeView", "DriverImage", "Import", "Section", "read_driver", "relocate"]

MAX_IMAGE: Final = 64 << 20
"""Largest SizeOfImage that is loaded, in bytes."""
MAX_SECTIONS: Final = 96
"""Sections the Windows loader accepts."""

_AMD64: Final = 0x8664
_MACHINES: Final = {0x14C: "x86", 0xAA64: "ARM64", 0x1C0: "ARM", 0x1C4: "ARM (Thumb-2)", 0x200: "Itanium"}
_PE32_PLUS: Final = 0x20B
_DLL: Final = 0x2000
_NATIVE: Final = 1
_GUARD_CF: Final = 0x4000
_FORCE_INTEGRITY: Final = 0x80
_EXECUTE: Final = 0x2000_0000
_WRITE: Final = 0x8000_0000
_DISCARDABLE: Final = 0x0200_0000
_RELOCATION_PAD: Final = 0
_RELOCATION_DIR64: Final = 10
_DIRECTORIES: Final = ("IMPORT", "BASERELOC", "DEBUG", "EXCEPTION")
_LOAD_CONFIG: Final = 10
_BUILD: Final = "build it for x64 (procnotify driver build --arch x64)"


@dataclass(frozen=True)
class Section:
    """One section as it lies in the mapped image."""

    name: str
    rva: int
    size: int
    """Bytes in memory, at least 1."""
    data: bytes
    protection: str
    """``r``, ``rw``, ``rx`` or ``rwx``: what its characteristics ask for."""
    discardable: bool
    """Freed by Windows once DriverEntry has returned (``INIT``)."""


@dataclass(frozen=True)
class Import:
    """One imported name and where its address goes."""

    dll: str
    """In lower case."""
    name: str
    """``#7`` for an import by ordinal."""
    slot: int
    """RVA of the entry in the import address table."""


@dataclass(frozen=True)
class CodeView:
    """The RSDS record: which symbol file belongs to the image."""

    guid: bytes
    age: int
    pdb: str


@dataclass(frozen=True)
class DriverImage:
    """A driver file that this target can map."""

    headers: bytes
    preferred_base: int
    size: int
    """SizeOfImage: bytes of address space, whole pages."""
    entry_point: int
    """RVA of DriverEntry."""
    timestamp: int
    checksum: int
    guarded: bool
    """Linked with /guard:cf: its indirect calls are checked."""
    force_integrity: bool
    """Linked with /INTEGRITYCHECK, which PsSetCreateProcessNotifyRoutineEx demands."""
    sections: tuple[Section, ...]
    imports: tuple[Import, ...]
    relocations: tuple[int, ...]
    """RVAs of 64-bit addresses that move with the image."""
    exception_table: tuple[int, int]
    """RVA and size of .pdata; (0, 0) without one."""
    load_config: int
    """RVA of the load configuration; 0 without one."""
    code_view: CodeView | None


@lru_cache(maxsize=8)
def read_driver(data: bytes) -> DriverImage:
    """Take an x64 driver apart; the latest few are remembered.

    :raises DriverFileError: not a PE image, for another machine, damaged, or not a kernel image.
    """
    try:
        pe = pefile.PE(data=data, fast_load=True)
        machine = int(pe.FILE_HEADER.Machine)
        if machine != _AMD64:
            what = _MACHINES.get(machine, f"machine type 0x{machine:04x}")
            raise DriverFileError(f"the driver is built for {what}, this target is x64", hint=_BUILD)
        _check_headers(pe, len(data))
        pe.parse_data_directories(
            [pefile.DIRECTORY_ENTRY[f"IMAGE_DIRECTORY_ENTRY_{name}"] for name in _DIRECTORIES]
        )
        return _image(pe, data)
    except pefile.PEFormatError as error:
        reason = str(error).strip("'\". ")
        raise DriverFileError(f"the driver is not a PE image ({reason})", hint=_BUILD) from error
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        struct.error,
    ) as error:
        # pefile trusts what a damaged header says and trips over it in many ways.
        reason = f"{type(error).__name__}: {error}"
        raise DriverFileError(f"the driver's PE headers are damaged ({reason})", hint=_BUILD) from error


def relocate(image: DriverImage, base: int) -> bytearray:
    """The whole image as it lies in memory at ``base``, imports still unbound."""
    mapped = bytearray(image.size)
    mapped[: len(image.headers)] = image.headers
    for section in image.sections:
        mapped[section.rva : section.rva + len(section.data)] = section.data
    delta = base - image.preferred_base
    for rva in image.relocations:
        (address,) = struct.unpack_from("<Q", mapped, rva)
        struct.pack_into("<Q", mapped, rva, (address + delta) & 0xFFFF_FFFF_FFFF_FFFF)
    return mapped


def _check_headers(pe: Any, length: int) -> None:
    optional = pe.OPTIONAL_HEADER
    alignment = int(optional.SectionAlignment)
    size = int(optional.SizeOfImage)
    if int(optional.Magic) != _PE32_PLUS:
        raise DriverFileError("the driver's optional header is not PE32+", hint=_BUILD)
    if int(optional.Subsystem) != _NATIVE:
        what = "a DLL" if pe.FILE_HEADER.Characteristics & _DLL else "a program"
        raise DriverFileError(
            f"the file is {what} for user mode (subsystem {optional.Subsystem}), not a driver",
            hint="link it with -Wl,--subsystem,native",
        )
    if not 0 < size <= MAX_IMAGE or len(pe.sections) > MAX_SECTIONS:
        raise DriverFileError(
            f"the driver asks for {size} bytes in {len(pe.sections)} sections",
            hint=f"at most {MAX_IMAGE} bytes and {MAX_SECTIONS} sections are loaded",
        )
    if alignment != 0x1000:
        raise DriverFileError(
            f"the driver's sections are aligned to 0x{alignment:x}",
            hint="link with a section alignment of 0x1000, which memory integrity (HVCI) demands too",
        )
    if not 0 < int(optional.AddressOfEntryPoint) < size:
        raise DriverFileError("the driver has no entry point", hint="link with -Wl,--entry,DriverEntry")
    for section in pe.sections:
        start, raw = int(section.PointerToRawData), int(section.SizeOfRawData)
        if raw and start + raw > length:
            raise DriverFileError(
                f"the driver is cut off: section {_name(section)} ends at byte {start + raw} of {length}",
                hint="copy or build it again",
            )


def _name(section: Any) -> str:
    return bytes(section.Name).rstrip(b"\0").decode("ascii", "replace")


def _image(pe: Any, data: bytes) -> DriverImage:
    optional = pe.OPTIONAL_HEADER
    size = (int(optional.SizeOfImage) + 0xFFF) & ~0xFFF
    sections = tuple(_section(section, data, size) for section in pe.sections)
    end = int(optional.SizeOfHeaders)
    for section in sorted(sections, key=lambda s: s.rva):
        if section.rva < end:
            raise DriverFileError(f"the driver's section {section.name} overlaps its neighbour", hint=_BUILD)
        end = section.rva + section.size
    pdata = optional.DATA_DIRECTORY[3]
    exception_table = (int(pdata.VirtualAddress), int(pdata.Size))
    if sum(exception_table) > size:
        exception_table = (0, 0)
    load_config = int(optional.DATA_DIRECTORY[_LOAD_CONFIG].VirtualAddress)
    return DriverImage(
        headers=data[: min(int(optional.SizeOfHeaders), 0x1000)],
        preferred_base=int(optional.ImageBase),
        size=size,
        entry_point=int(optional.AddressOfEntryPoint),
        timestamp=int(pe.FILE_HEADER.TimeDateStamp),
        checksum=int(optional.CheckSum),
        guarded=bool(optional.DllCharacteristics & _GUARD_CF),
        force_integrity=bool(optional.DllCharacteristics & _FORCE_INTEGRITY),
        sections=sections,
        imports=tuple(_imports(pe, size)),
        relocations=tuple(_relocations(pe, size)),
        exception_table=exception_table,
        load_config=load_config,
        code_view=_code_view(pe),
    )


def _section(section: Any, data: bytes, image_size: int) -> Section:
    rva, raw = int(section.VirtualAddress), int(section.SizeOfRawData)
    size = max(int(section.Misc_VirtualSize) or raw, 1)
    flags = int(section.Characteristics)
    start = int(section.PointerToRawData)
    if rva % 0x1000 or rva + size > image_size:
        raise DriverFileError(f"the driver's section {_name(section)} lies outside its image", hint=_BUILD)
    return Section(
        name=_name(section),
        rva=rva,
        size=size,
        data=data[start : start + min(raw, size)],
        protection="r" + ("w" if flags & _WRITE else "") + ("x" if flags & _EXECUTE else ""),
        discardable=bool(flags & _DISCARDABLE),
    )


def _imports(pe: Any, size: int) -> list[Import]:
    found = []
    for library in getattr(pe, "DIRECTORY_ENTRY_IMPORT", ()):
        dll = bytes(library.dll).decode("ascii", "replace").lower()
        for entry in library.imports:
            name = entry.name.decode("ascii", "replace") if entry.name else f"#{entry.ordinal}"
            slot = int(entry.address) - int(pe.OPTIONAL_HEADER.ImageBase)
            if not 0 <= slot <= size - 8:
                raise DriverFileError(f"the driver's import {name} lies outside its image", hint=_BUILD)
            found.append(Import(dll=dll, name=name, slot=slot))
    return found


def _relocations(pe: Any, size: int) -> list[int]:
    found = []
    for block in getattr(pe, "DIRECTORY_ENTRY_BASERELOC", ()):
        for entry in block.entries:
            if entry.type == _RELOCATION_PAD:
                continue
            if entry.type != _RELOCATION_DIR64 or not 0 <= entry.rva <= size - 8:
                raise DriverFileError(
                    f"the driver's relocation of type {entry.type} at 0x{entry.rva:x} cannot be applied",
                    hint=_BUILD,
                )
            found.append(int(entry.rva))
    return found


def _code_view(pe: Any) -> CodeView | None:
    for entry in getattr(pe, "DIRECTORY_ENTRY_DEBUG", ()):
        record = pe.get_data(entry.struct.AddressOfRawData, entry.struct.SizeOfData)
        if record[:4] == b"RSDS" and len(record) > 24:
            return CodeView(
                guid=record[4:20],
                age=int.from_bytes(record[20:24], "little"),
                pdb=record[24:].split(b"\0")[0].decode("utf-8", "replace"),
            )
    return None
