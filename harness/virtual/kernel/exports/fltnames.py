"""The filter manager's names of files: FLT_FILE_NAME_INFORMATION, lent and given back.

The volume has no short names, mount points or tunnels, so that the name under which a file was opened is its
normalized one; and no name is cached, for nothing filters the opening of a file. Sources: Microsoft,
*FltGetFileNameInformation*, *FltGetFileNameInformationUnsafe*, *FltParseFileNameInformation*,
*FltParseFileName*, *FltReleaseFileNameInformation*, *FLT_FILE_NAME_INFORMATION*, *FltGetRoutineAddress*
(fltkernel.h); *Bug Check 0xF5: FLTMGR_FILE_SYSTEM*.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.exports.obnames import file_name
from harness.virtual.kernel.exports.registry import EXPORTS, FILTER_MANAGER, export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string, string_parts
from harness.virtual.kernel.fileobjects import VOLUME_DEVICE
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.structures.irp import FILE_OBJECT
from harness.virtual.kernel.system import System
from harness.virtual.windows.layout import Layout, Value
from harness.virtual.windows.status import (
    STATUS_FLT_NAME_CACHE_MISS,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_INFORMATION: Final = Layout(
    "_FLT_FILE_NAME_INFORMATION",
    0x78,
    {
        "Size": (0x00, "H"),
        "NamesParsed": (0x02, "H"),
        "Format": (0x04, "I"),
        "Name": (0x08, "HHIQ"),
        "Volume": (0x18, "HHIQ"),
        "Share": (0x28, "HHIQ"),
        "Extension": (0x38, "HHIQ"),
        "Stream": (0x48, "HHIQ"),
        "FinalComponent": (0x58, "HHIQ"),
        "ParentDir": (0x68, "HHIQ"),
    },
)
_FORMATS, _METHODS = 0xFF, 0xFF00
_NORMALIZED, _OPENED, _SHORT = 1, 2, 3
"""FLT_FILE_NAME_NORMALIZED and its like."""
_QUERY_DEFAULT, _QUERY_CACHE_ONLY, _QUERY_FILESYSTEM_ONLY, _QUERY_ALWAYS_ALLOW_CACHE_LOOKUP = (
    *(0x100, 0x200),
    *(0x300, 0x400),
)
_ALL_PARSED: Final = 0xF
"""FLTFL_FILE_NAME_PARSED_*, set whether a part is there or not."""
_IOPB, _TARGET_FILE_OBJECT = 0x10, 0x08
"""Offsets in FLT_CALLBACK_DATA and FLT_IO_PARAMETER_BLOCK."""
_DATA_STREAM: Final = ":$DATA"
_TAG: Final = b"FMfn"
_FLTMGR_FILE_SYSTEM: Final = 0xF5
_NAME_OVER_RELEASED: Final = 0x68
_MAX_ROUTINE_NAME: Final = 256


@export("FltGetFileNameInformationUnsafe", 4, module=FILTER_MANAGER)
def flt_get_file_name_information_unsafe(
    system: System, file: int, _instance: int, options: int, result: int
) -> int:
    """Short names, and names of what does not lie on the volume, are not served."""
    form, method = options & _FORMATS, options & _METHODS
    if form not in (_NORMALIZED, _OPENED, _SHORT) or method > _QUERY_ALWAYS_ALLOW_CACHE_LOOKUP:
        return STATUS_INVALID_PARAMETER
    system.memory.u64(result)
    if form == _SHORT:
        system.lacks("FltGetFileNameInformation(FLT_FILE_NAME_SHORT)")
    if not method:
        system.lacks("FltGetFileNameInformation(without a query method)")
    device = system.memory.u64(file + FILE_OBJECT.offset("DeviceObject"))
    if system.device_names.get(device) != VOLUME_DEVICE:
        system.lacks("FltGetFileNameInformation(of what is no file on the volume)")
    if method == _QUERY_CACHE_ONLY:
        return STATUS_FLT_NAME_CACHE_MISS
    block = _lend(system, file_name(system, file), form)
    if not block:
        return STATUS_INSUFFICIENT_RESOURCES
    system.memory.put_u64(result, block)
    return STATUS_SUCCESS


@export("FltGetFileNameInformation", 3, module=FILTER_MANAGER)
def flt_get_file_name_information(system: System, data: int, options: int, result: int) -> int:
    """Of the file that an operation is for."""
    file = system.memory.u64(system.memory.u64(data + _IOPB) + _TARGET_FILE_OBJECT)
    return flt_get_file_name_information_unsafe(system, file, 0, options, result)


def _lend(system: System, name: str, form: int) -> int:
    """A new block with one reference, the caller's; 0 where there is no memory."""
    if form == _NORMALIZED and name.upper().endswith(_DATA_STREAM):
        name = name[: -len(_DATA_STREAM)].removesuffix(":")
    characters = name.encode("utf-16-le", "surrogatepass")
    block = system.pool.allocate(_INFORMATION.size + len(characters) + 2, _TAG, paged=True, site=None)
    if not block:
        return 0
    buffer, volume = block + _INFORMATION.size, 2 * len(VOLUME_DEVICE)
    fields: dict[str, Value] = {
        "Size": _INFORMATION.size,
        "Format": form,
        "Name": (len(characters), len(characters) + 2, 0, buffer),
        "Volume": (volume, volume, 0, buffer),
    }
    system.memory.store(block, _INFORMATION.pack(fields) + characters + b"\0\0")
    system.filter_manager.names[block] = 1
    system.belongings.take_once_more(Belonging.FILE_NAME, block, system.call_site())
    return block


def _lent(system: System, information: int) -> None:
    """Demand that the block is one that is lent.

    :raises BugcheckRaised: it was given back before, or it is none.
    """
    if information not in system.filter_manager.names:
        if system.pool.freed_at(information) is None:
            system.memory.load(information, _INFORMATION.size)
        raise BugcheckRaised(_FLTMGR_FILE_SYSTEM, _NAME_OVER_RELEASED, 0, information, 0)


@export("FltReferenceFileNameInformation", 1, module=FILTER_MANAGER)
def flt_reference_file_name_information(system: System, information: int) -> None:
    _lent(system, information)
    system.filter_manager.names[information] += 1
    system.belongings.take_once_more(Belonging.FILE_NAME, information, system.call_site())


@export("FltReleaseFileNameInformation", 1, module=FILTER_MANAGER)
def flt_release_file_name_information(system: System, information: int) -> None:
    """Once too often: bugcheck 0xF5."""
    _lent(system, information)
    names = system.filter_manager.names
    names[information] -= 1
    system.belongings.give_back(Belonging.FILE_NAME, information)
    if not names[information]:
        del names[information]
        system.pool.free(information, site=system.call_site())


@export("FltParseFileNameInformation", 1, module=FILTER_MANAGER)
def flt_parse_file_name_information(system: System, information: int) -> int:
    """Sets Extension, Stream, FinalComponent and ParentDir, which lie in the characters of Name."""
    _lent(system, information)
    memory = system.memory
    raw = memory.load(information, _INFORMATION.size)
    name = read_unicode_string(system, information + _INFORMATION.offset("Name"))
    buffer = _INFORMATION.read(raw, "Name")[3]
    for part, (low, high) in _parts(name, _INFORMATION.read(raw, "Volume")[0] // 2).items():
        memory.store(information + _INFORMATION.offset(part), _part_of(buffer, low, high))
    memory.put_u16(information + _INFORMATION.offset("NamesParsed"), _ALL_PARSED)
    return STATUS_SUCCESS


def _parts(name: str, volume: int) -> dict[str, tuple[int, int]]:
    """Where each part begins and ends.

    :param volume: how many characters name the volume.
    """
    end = len(name)
    volume = min(volume, end)
    final = max(name.rfind("\\", volume) + 1, volume)
    stream = name.find(":", final)
    stem_end = end if stream < 0 else stream
    dot = name.rfind(".", final, stem_end)
    return {
        "Extension": (stem_end if dot < 0 else dot + 1, stem_end),
        "Stream": (stem_end, end),
        "FinalComponent": (final, end),
        "ParentDir": (volume, final),
    }


def _part_of(buffer: int, low: int, high: int) -> bytes:
    """A UNICODE_STRING that shares the characters of another one."""
    size = 2 * (high - low)
    return encode_unicode_string(size, size, buffer + 2 * low) if size else bytes(16)


@export("FltParseFileName", 4, module=FILTER_MANAGER)
def flt_parse_file_name(system: System, name: int, extension: int, stream: int, final: int) -> int:
    """Of any full name; each part is optional."""
    _, _, buffer = string_parts(system, name)
    parts = _parts(read_unicode_string(system, name), 0)
    for result, part in ((extension, "Extension"), (stream, "Stream"), (final, "FinalComponent")):
        if result:
            system.memory.store(result, _part_of(buffer, *parts[part]))
    return STATUS_SUCCESS


@export("FltGetRoutineAddress", 1, module=FILTER_MANAGER)
def flt_get_routine_address(system: System, name: int) -> int:
    """NULL for a name that this target does not have, as for one that a version of Windows has not."""
    wanted = system.memory.c_string(name, _MAX_ROUTINE_NAME).decode("ascii", "replace")
    routine = EXPORTS.get(wanted)
    return system.symbol(wanted) if routine is not None and routine.module == FILTER_MANAGER else 0
